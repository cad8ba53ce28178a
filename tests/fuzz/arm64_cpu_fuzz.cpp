// SPDX-License-Identifier: MIT
//
// Any words as code, with any registers, at EL1 and EL0: run at full speed, by blocks and by single
// instructions. All three end in the same state, with the same totals, memory and device accesses.
// So do two more of which operations are sampled, at full speed and by single instructions, and
// they sample the same.
//
// An input is 16 bytes of state, then words of code. What they read and write is RAM around the
// code, a device, and what is nowhere.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "unit/arm64/code.hpp"
#include "unit/arm64/cpu_fixture.hpp"

namespace {

using namespace vpmu;
using namespace vpmu::machine;
using namespace vpmu::machine::arm64;

constexpr std::size_t kStateBytes = 16, kMostWords = 256;
constexpr std::uint64_t kInstructions = 600, kCycles = 40'000;
constexpr std::uint64_t kSynchronousVectors[] = {0, 0x200, 0x400};

/// Behind whatever has raised the exception: SVC returns there by itself.
void load_handlers(const TestMachine& machine) {
  constexpr std::uint32_t kReadElr = 0xd538'402a, kWriteElr = 0xd518'402a, kReadEsr = 0xd538'520b;
  constexpr std::uint32_t kClassOfX11 = 0xd35a'fd6b /* lsr x11, x11, #26 */;
  constexpr std::uint32_t kCompareSvc = 0xf100'557f /* cmp x11, #0x15 */;
  for (const std::uint64_t vector : kSynchronousVectors) {
    machine.load(kVectors + vector, {kReadEsr, kClassOfX11, kCompareSvc, 0x5400'0080 /* b.eq +4 */,
                                     kReadElr, code::add(10, 10, 4), kWriteElr, code::kEret});
  }
}

void set_up(TestMachine& machine, std::span<const std::uint8_t> state,
            std::span<const std::uint32_t> words) {
  std::memset(machine.memory.host(kCode, kRam), 0, kRam);
  machine.touched.clear();
  machine.start(words);
  machine.began = machine.cpu.cycles();
  if ((state[0] & 1) != 0) machine.map();
  load_handlers(machine);
  Cpu& cpu = machine.cpu;
  Core& core = cpu.core();
  if ((state[0] & 2) != 0) core.sctlr |= 2;  // A
  if ((state[0] & 4) != 0) core.sctlr |= 8;  // SA
  if ((state[0] & 8) != 0) core.cpacr = 0;
  Registers& registers = cpu.registers();
  constexpr std::uint64_t kPlaces[] = {kData, kCode, kDevice, kNothing};
  for (unsigned n = 0; n < 31; ++n) {
    const std::uint8_t byte = state[1 + n % (kStateBytes - 1)];
    registers.set_x(n, kPlaces[byte & 3] + (byte >> 2) * 8U + n % 2 * (byte >> 7));
  }
  registers.set_sp(kData + 0x1000);
  cpu.state_changed();
}

void require_same(const TestMachine& one, const TestMachine& other) {
  const bool same =
      one.cpu.save() == other.cpu.save() && one.touched == other.touched &&
      one.totals.save() == other.totals.save() &&
      std::memcmp(one.memory.host(kCode, kRam), other.memory.host(kCode, kRam), kRam) == 0;
  if (!same) std::abort();
}

void sample(TestMachine& machine, std::span<const std::uint8_t> state) {
  machine.samples = {(state[0] & 16) == 0, (state[0] & 32) == 0};
  machine.operations.clear();
  machine.period = 1 + state[1] % 64U;
  machine.sample_at = machine.population() + 1 + state[2] % 64U;
}

/// Made once, for it takes longer than an input: each input begins with a reset and with RAM that
/// is empty, and all have done the same before.
struct Machines {
  Machines() {
    fast.cpu.allow(Cpu::Mode::kFast);
    blocks.cpu.allow(Cpu::Mode::kBlocks);
    steps.cpu.allow(Cpu::Mode::kSteps);
    sampled_fast.cpu.allow(Cpu::Mode::kFast);
    sampled_steps.cpu.allow(Cpu::Mode::kSteps);
  }

  TestMachine fast, blocks, steps, sampled_fast, sampled_steps;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kStateBytes + sizeof(std::uint32_t)) return 0;
  const std::span<const std::uint8_t> state{data, kStateBytes};
  std::vector<std::uint32_t> words(
      std::min((size - kStateBytes) / sizeof(std::uint32_t), kMostWords));
  std::memcpy(words.data(), data + kStateBytes, words.size() * sizeof(std::uint32_t));
  words.push_back(code::b(-static_cast<std::int32_t>(words.size())));
  static Machines machines;
  auto& [fast, blocks, steps, sampled_fast, sampled_steps] = machines;
  for (TestMachine* machine : {&fast, &blocks, &steps, &sampled_fast, &sampled_steps}) {
    set_up(*machine, state, words);
    if (machine == &sampled_fast || machine == &sampled_steps) sample(*machine, state);
    machine->cpu.run(kInstructions, kCycles);
  }
  require_same(steps, blocks);
  require_same(steps, fast);
  require_same(steps, sampled_steps);
  require_same(steps, sampled_fast);
  if (sampled_fast.operations != sampled_steps.operations) std::abort();
  return 0;
}
