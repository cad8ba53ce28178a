// SPDX-License-Identifier: MIT
//
// Stacks that say what they like. The first byte chooses: registers and memory for walk_stack();
// registers, page tables and memory of a CPU; or code that runs profiled, with a sample behind
// every instruction. Walks end, read only where a frame may be, and change nothing.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "fuzz/fuzz_machine.hpp"
#include "machine/pc/guest_stack.hpp"
#include "machine/profiler/profiler.hpp"
#include "machine/stack_walk.hpp"
#include "vpmu/hostperf/lbr_host.hpp"

namespace {
using namespace vpmu;
using Bytes = std::span<const std::uint8_t>;

void require(bool holds) {
  if (!holds) std::abort();
}

template <class T>
T take(Bytes& input) {
  T value{};
  const std::size_t size = std::min(sizeof value, input.size());
  std::memcpy(&value, input.data(), size);
  input = input.subspan(size);
  return value;
}

// ---- Any memory ---------------------------------------------------------------------------------

/// The input over and over again from `begin` on, with a hole now and then. Checks what is asked.
class InputMemory final : public machine::StackReader {
 public:
  InputMemory(Bytes bytes, std::uint64_t begin, unsigned word)
      : bytes_{bytes}, begin_{begin}, word_{word} {}
  unsigned reads = 0;

  bool read(std::uint64_t linear, void* to, std::size_t bytes) override {
    const std::uint64_t last =
        word_ == 4 ? std::numeric_limits<std::uint32_t>::max() : ~std::uint64_t{0};
    require(bytes == 2 * word_ && linear % word_ == 0 && linear <= last - (bytes - 1));
    require(linear >= next_);
    require(reads == 0 || linear - next_ <= machine::kFarthestFrame);
    next_ = linear + bytes;
    ++reads;
    if (bytes_.empty() || linear / 4096 % 7 == 3) return false;
    for (std::size_t n = 0; n < bytes; ++n) {
      static_cast<std::uint8_t*>(to)[n] = bytes_[(linear - begin_ + n) % bytes_.size()];
    }
    return true;
  }

 private:
  Bytes bytes_;
  std::uint64_t begin_;
  unsigned word_;
  std::uint64_t next_ = 0;
};

void walk_any_memory(Bytes input) {
  machine::StackRegisters registers;
  registers.word_bytes = take<std::uint8_t>(input) % 2 == 0 ? 8 : 4;
  const std::size_t depth = take<std::uint8_t>(input) % 128;
  registers.ip = take<std::uint64_t>(input);
  registers.stack_pointer = take<std::uint64_t>(input);
  registers.frame_pointer = take<std::uint64_t>(input);
  registers.link = take<std::uint64_t>(input);
  registers.has_link = registers.link % 2 != 0;
  if (registers.word_bytes == 4) {
    registers.stack_pointer = static_cast<std::uint32_t>(registers.stack_pointer);
    registers.frame_pointer = static_cast<std::uint32_t>(registers.frame_pointer);
  }
  InputMemory memory{input, registers.stack_pointer, registers.word_bytes};
  std::array<std::uint64_t, 128> chain{};
  const std::size_t found = machine::walk_stack(registers, memory, std::span{chain}.first(depth));
  require(found <= depth && memory.reads <= depth);
  require(depth == 0 || chain[0] == registers.ip);
  require(std::ranges::all_of(std::span{chain}.subspan(found), [](auto at) { return at == 0; }));
}

// ---- Any registers and page tables --------------------------------------------------------------

/// Where the input lies in the machine's memory: page tables, stack and code.
constexpr std::uint64_t kInput = 0x200000;

void walk_any_machine(Bytes input) {
  machine::SilentConsole console;
  machine::MachineConfig config;
  config.model = silicon::x86::cpu_models().front();
  config.memory_bytes = std::uint64_t{4} << 20;
  static const auto machine = machine::Machine::create(config, console);
  require(machine.has_value());
  machine::x86::Cpu& cpu = (*machine)->vcpus().front()->cpu();
  machine::x86::Core& core = cpu.core();
  cpu.reset();
  using namespace vpmu::machine::x86;
  const auto kind = take<std::uint8_t>(input);
  if (kind % 4 != 0) core.cr0 |= kCr0Pe;
  if (kind % 4 > 1) {
    core.cr0 |= kCr0Pg;
    core.cr4 |= kCr4Pae;
  }
  if (kind % 4 == 3) core.efer |= kEferLme | kEferLma;
  core.segment[kCs].long_code = kind % 4 == 3 && (kind & 8) != 0;
  core.segment[kCs].big = !core.segment[kCs].long_code && (kind & 16) != 0;
  core.cr3 = kInput + take<std::uint8_t>(input) % 4 * 4096;
  core.rip = take<std::uint64_t>(input);
  core.gpr[kRsp] = take<std::uint64_t>(input);
  core.gpr[kRbp] = take<std::uint64_t>(input);
  core.segment[kSs].base = take<std::uint32_t>(input);
  core.segment[kCs].base = take<std::uint32_t>(input);
  std::uint8_t* const ram = (*machine)->board().memory.host(kInput, 0x10000);
  std::memset(ram, 0, 0x10000);
  std::memcpy(ram, input.data(), std::min<std::size_t>(input.size(), 0x10000));
  cpu.state_changed();
  std::array<std::uint64_t, 127> chain{};
  const machine::x86::CodePlace next = cpu.place();
  require(machine::call_chain(cpu, chain) >= 1 && chain[0] == next.linear);
  for (const bool other : {false, true}) {
    const machine::x86::Cpu::Retired last{.place = {core.rip, next.user != other},
                                          .code64 = (kind & 64) != 0,
                                          .calls = (kind & 128) != 0,
                                          .returns = (kind & 32) != 0};
    require(machine::call_chain(cpu, last, chain) <= chain.size());
  }
}

// ---- Any code, profiled -------------------------------------------------------------------------

class Checking final : public hostperf::SampleSink {
 public:
  void on_sample(const hostperf::Sample& sample) override {
    require(sample.vcpu == 0 && sample.period != 0);
    require(sample.mode == hostperf::SampledMode::kGuestKernel ||
            sample.mode == hostperf::SampledMode::kGuestUser);
    require(!sample.callchain.empty() && sample.callchain.front() == sample.ip);
    sum_ += sample.callchain.back();
  }

 private:
  std::uint64_t sum_ = 0;
};

machine::ProfilerConfig every_instruction() {
  const auto event = [](std::uint64_t config, std::uint64_t period, bool precise) {
    return machine::SamplingEvent{.name = "event",
                                  .attr = {.config = config, .period = period},
                                  .frequency = 0,
                                  .precise = precise};
  };
  machine::ProfilerConfig profile{
      .events = {event(0xc0, 1, true), event(0x3c, 61, false), event(0xc4, 1, false)},
      .callchain_depth = machine::ProfilerConfig::kDeepest};
  profile.events.back().attr.branch_type = hostperf::kBranchAny;
  profile.events.push_back(event(0x3c, 0, true));
  profile.events.back().frequency = 10'000'000;
  return profile;
}

void profile_any_code(Bytes input) {
  const auto bits = take<std::uint64_t>(input);
  machine::SilentConsole console;
  machine::MachineConfig config;
  config.model = silicon::x86::find_cpu_model("icelake-server");
  config.memory_bytes = std::uint64_t{4} << 20;
  config.quantum = 100;
  const auto provider = virt::GuestProvider::add(virt::TraceOwner::kHost);
  require(provider.has_value());
  const auto machine = machine::Machine::create(config, console);
  require(machine.has_value());
  machine::boot::Image image;
  image.protocol = machine::boot::Protocol::kFreestanding;
  image.entry = fuzz::kEntry;
  image.segments.push_back({fuzz::kEntry, std::max<std::size_t>(input.size(), 1), input});
  require((*machine)->load(image, {.image = "fuzz", .arguments = "", .modules = {}}).has_value());
  auto& core = (*machine)->vcpus().front()->cpu().core();
  core.gpr[machine::x86::kRbp] = bits;
  if (bits % 2 == 0) core.gpr[machine::x86::kRbp] = core.gpr[machine::x86::kRsp] - 64;
  Checking sink;
  const auto profiler = machine::Profiler::attach(**machine, *provider, every_instruction(), sink);
  require(profiler.has_value());
  (*machine)->run({.instructions = 300});
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input{data, size};
  switch (take<std::uint8_t>(input) % 4) {
    case 0: profile_any_code(input); break;
    case 1: walk_any_machine(input); break;
    default: walk_any_memory(input); break;
  }
  return 0;
}
