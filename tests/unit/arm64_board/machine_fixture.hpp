// SPDX-License-Identifier: MIT
//
// Machines that run a few words at the start of RAM.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "machine/arm64_board/machine.hpp"
#include "machine/arm64_map.hpp"
#include "machine/silent_console.hpp"
#include "unit/arm64/code.hpp"

namespace vpmu::machine::arm64 {

using Code = std::vector<std::uint32_t>;

/// The console of a machine: what comes out.
class TextConsole final : public Console {
 public:
  void put(std::uint8_t byte) override { text += static_cast<char>(byte); }
  std::optional<std::uint8_t> next_input() override { return std::nullopt; }
  bool wait_for_input() override { return false; }
  void flush() override {}

  std::string text;
};

class MachineFixture : public testing::Test {
 protected:
  static constexpr std::uint64_t kBase = arm64_map::kRam;
  static constexpr std::uint32_t kHvc = code::hvc(0), kHltSemihosting = 0xd45e'0000;

  /// Any number into a register.
  static void set(Code& code, unsigned rd, std::uint64_t value) {
    code.push_back(code::movz(rd, value & 0xffff));
    for (unsigned half = 1; half < 4; ++half) {
      const std::uint32_t part = value >> (16 * half) & 0xffff;
      if (part != 0) code.push_back(code::movk(rd, part, half));
    }
  }
  /// Stores w`rt` to the exit device; clobbers x9.
  static void exit_with(Code& code, unsigned rt) {
    set(code, 9, ExitDevice::kAddress);
    code.push_back(code::str_word(rt, 9));
  }
  /// MSR reg, Xrt.
  static std::uint32_t msr(silicon::arm64::SystemRegister reg, unsigned rt) {
    return 0xd500'0000U | std::uint32_t{raw(reg)} << 5 | rt;
  }
  /// A PSCI function without arguments.
  static Code psci(std::uint32_t function) {
    Code code;
    set(code, 0, function);
    code.push_back(kHvc);
    return code;
  }

  static MachineConfig config(unsigned vcpus = 1) {
    MachineConfig made;
    made.model = silicon::arm64::find_cpu_model("neoverse-n1");
    made.vcpus = vcpus;
    made.memory_bytes = 4 << 20;
    made.quantum = 100;
    return made;
  }

  std::unique_ptr<Machine> create(const MachineConfig& made) {
    auto machine = Machine::create(made, console);
    EXPECT_TRUE(machine.has_value()) << machine.error().message;
    return std::move(*machine);
  }

  std::unique_ptr<Machine> loaded(const Code& code, const MachineConfig& made = config()) {
    auto machine = create(made);
    std::vector<std::uint8_t> bytes(code.size() * 4);
    std::memcpy(bytes.data(), code.data(), bytes.size());
    boot::Image image;
    image.protocol = boot::Protocol::kFreestanding;
    image.entry = kBase;
    image.segments = {{kBase, 0x10'0000, bytes}};
    const auto done = machine->load(image, {.image = "words", .arguments = "", .modules = {}});
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return machine;
  }

  TextConsole console;
};

}  // namespace vpmu::machine::arm64
