// SPDX-License-Identifier: MIT
//
// A machine that runs a few bytes of code, for tests: 64-bit code at 1 MiB, entered as a
// freestanding image is, unless a test wants another protocol.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "machine/machine.hpp"

namespace vpmu::test {

/// Keeps what the guest prints; gives it what it was told to.
class StringConsole final : public machine::Console {
 public:
  std::string output;
  std::string input;

  void put(std::uint8_t byte) override { output.push_back(static_cast<char>(byte)); }
  std::optional<std::uint8_t> next_input() override {
    if (input.empty()) return std::nullopt;
    const auto byte = static_cast<std::uint8_t>(input.front());
    input.erase(0, 1);
    return byte;
  }
  bool wait_for_input() override { return !input.empty(); }
  void flush() override {}
};

using Code = std::vector<std::uint8_t>;

inline Code operator+(Code left, const Code& right) {
  for (const std::uint8_t byte : right) left.push_back(byte);
  return left;
}

// Instructions that tests are made of.
inline Code little_endian(std::uint64_t value, unsigned bytes) {
  Code code;
  for (unsigned i = 0; i < bytes; ++i) code.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return code;
}
inline Code mov_eax(std::uint32_t value) {
  return Code{0xb8} + little_endian(value, 4);
}
inline Code mov_ecx(std::uint32_t value) {
  return Code{0xb9} + little_endian(value, 4);
}
inline Code mov_edx(std::uint32_t value) {
  return Code{0xba} + little_endian(value, 4);
}
inline Code rdmsr(std::uint32_t msr) {
  return mov_ecx(msr) + Code{0x0f, 0x32};
}
inline Code wrmsr(std::uint32_t msr, std::uint64_t value) {
  return mov_ecx(msr) + mov_eax(static_cast<std::uint32_t>(value)) +
         mov_edx(static_cast<std::uint32_t>(value >> 32)) + Code{0x0f, 0x30};
}
/// OUT to port `port` (below 0x100) of EAX.
inline Code out_eax(std::uint8_t port) {
  return {0xe7, port};
}
inline Code debug_exit(std::uint32_t value) {
  return mov_eax(value) + out_eax(0xf4);
}
/// Exits with what is in EAX.
inline Code exit_with_eax() {
  return out_eax(0xf4);
}
inline Code print(char c) {
  return mov_edx(0x3f8) + mov_eax(static_cast<std::uint8_t>(c)) + Code{0xee};
}
inline Code halt() {
  return {0xf4};
}
/// JMP to itself.
inline Code forever() {
  return {0xeb, 0xfe};
}

class MachineTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kEntry = 0x100000;

  machine::MachineConfig config = [] {
    machine::MachineConfig small;
    small.model = silicon::x86::find_cpu_model("icelake-server");
    small.memory_bytes = std::uint64_t{4} << 20;
    return small;
  }();
  StringConsole console;
  std::unique_ptr<machine::Machine> machine;

  /// How images are entered: 64-bit code, or 32-bit code without paging (kPvh).
  machine::boot::Protocol protocol = machine::boot::Protocol::kFreestanding;

  void load(const Code& code) {
    auto created = machine::Machine::create(config, console);
    ASSERT_TRUE(created.has_value()) << created.error().message;
    machine = std::move(*created);
    machine::boot::Image image;
    image.protocol = protocol;
    image.entry = kEntry;
    image.segments.push_back({kEntry, code.size(), code});
    const auto loaded = machine->load(image, {.image = "test", .arguments = "", .modules = {}});
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  }

  machine::Outcome run(const Code& code, const machine::RunLimits& limits = {}) {
    load(code);
    return machine != nullptr ? machine->run(limits) : machine::Outcome{};
  }
};

}  // namespace vpmu::test
