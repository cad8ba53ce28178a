// SPDX-License-Identifier: MIT
//
// Any bytes as a snapshot: refused with one line, or a machine that runs. The checksum would keep
// the fuzzer out, so the end record is made here: an input is everything between the header and it,
// behind a byte: bit 0 says that it is a whole file, bit 1 that the header is that of an arm64
// machine, and bit 2 that this has SPE.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "fuzz/fuzz_machine.hpp"
#include "machine/snapshot/records.hpp"
#include "machine/snapshot/snapshot.hpp"

namespace {
using namespace vpmu::machine;

/// What the guests need that the seeds were saved of.
constexpr std::uint64_t kMemory = std::uint64_t{10} << 20;

/// Where the first record behind `line` ends: its length comes first, in sevens of bits.
std::size_t end_of_record(const std::string& bytes, std::size_t line) {
  std::size_t length = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.at(line++));
    length |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return line + length;
  }
}

/// The bytes behind the first line and the header, which is `head`.
template <class AnyMachine>
std::string behind_header(AnyMachine& machine, std::string& head) {
  snapshot::StringOutput output;
  if (!snapshot::save(machine, {}, output)) std::abort();
  // The header is the first record behind a line.
  const std::size_t end = end_of_record(output.bytes, output.bytes.find('\n') + 1);
  head = output.bytes.substr(0, end);
  return output.bytes.substr(end);
}

/// Of a small machine with PV perf.
std::string small_machine(vpmu::machine::SilentConsole& console, std::string& head) {
  MachineConfig config;
  config.model = vpmu::silicon::x86::find_cpu_model("icelake-server");
  config.memory_bytes = kMemory;
  const auto offered = offer_to_guest(*config.model, *config.model, {});
  if (!offered) std::abort();
  config.pv_perf = *offered;
  const auto machine = Machine::create(config, console);
  if (!machine) std::abort();
  return behind_header(**machine, head);
}

/// The same of a small machine for arm64.
std::string small_arm64_machine(bool spe, vpmu::machine::SilentConsole& console,
                                std::string& head) {
  arm64::MachineConfig config;
  if (spe) config.spe.emplace();
  config.model = vpmu::silicon::arm64::find_cpu_model("neoverse-n1");
  config.memory_bytes = kMemory;
  const auto machine = arm64::Machine::create(config, console);
  if (!machine) std::abort();
  return behind_header(**machine, head);
}

template <class RestoredMachine>
void run(const RestoredMachine& machine) {
  if (!machine) {
    if (machine.error().message.find('\n') != std::string::npos) std::abort();
    return;
  }
  (*machine)->run({.instructions = (*machine)->instructions() + 1000});
}

/// Whole files, as they are: the checksum keeps most of them out.
void restore(const std::string& bytes) {
  vpmu::machine::SilentConsole console;
  snapshot::StringInput input{bytes};
  snapshot::Reader reader{input};
  const auto header = reader.header();
  if (!header) {
    if (header.error().message.find('\n') != std::string::npos) std::abort();
    return;
  }
  constexpr std::uint64_t kMostMemory = std::uint64_t{64} << 20;
  if (header->architecture == Architecture::kArm64) {
    run(reader.arm64_machine(console, kMostMemory));
  } else {
    run(reader.machine(console, nullptr, kMostMemory));
  }
}

/// With the line and header in front and a right end record behind.
std::string completed(const std::string& head, const std::string& middle) {
  snapshot::StringOutput whole;
  snapshot::RecordWriter writer{whole};
  if (!writer.put(head + middle) || !writer.end()) std::abort();
  return whole.bytes;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto heads = [] {
    vpmu::machine::SilentConsole console;
    std::array<std::string, 3> text;
    small_machine(console, text[0]);
    small_arm64_machine(false, console, text[1]);
    small_arm64_machine(true, console, text[2]);
    return text;
  }();
  if (size < 1) return 0;
  const unsigned with_spe = data[0] >> 2 & 1;
  const unsigned head = (data[0] & 2) == 0 ? 0 : 1 + with_spe;
  const std::string bytes{reinterpret_cast<const char*>(data + 1), size - 1};
  restore((data[0] & 1) != 0 ? bytes : completed(heads[head], bytes));
  return 0;
}
