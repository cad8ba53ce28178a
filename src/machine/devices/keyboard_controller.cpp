// SPDX-License-Identifier: MIT
#include "machine/devices/keyboard_controller.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint16_t kDataPort = 0x60, kCommandPort = 0x64;
constexpr std::uint8_t kOutputFull = 1 << 0, kSystemFlag = 1 << 2, kNotLocked = 1 << 4;
constexpr std::uint8_t kReadCommandByte = 0x20, kWriteCommandByte = 0x60, kTestMouse = 0xa9,
                       kSelfTest = 0xaa, kTestKeyboard = 0xab, kReadInputPort = 0xc0,
                       kReadOutputPort = 0xd0, kWriteOutputPort = 0xd1, kWriteKeyboardOutput = 0xd2,
                       kWriteMouseOutput = 0xd3, kWriteMouse = 0xd4, kPulse = 0xf0;
constexpr std::uint8_t kSelfTestPassed = 0x55, kLineTestPassed = 0x00, kResetLine = 1;
}  // namespace

void KeyboardController::add_to(Bus& bus) {
  bus.add_ports(kDataPort, 1, *this);
  bus.add_ports(kCommandPort, 1, *this);
}

std::uint32_t KeyboardController::read_port(std::uint16_t port, unsigned /*bytes*/) {
  if (port == kCommandPort) {
    return std::uint32_t{kNotLocked} | kSystemFlag | (state_.output_full ? kOutputFull : 0U);
  }
  state_.output_full = false;
  return state_.output;
}

void KeyboardController::write_port(std::uint16_t port, unsigned /*bytes*/, std::uint32_t value) {
  if (port == kCommandPort) {
    command(static_cast<std::uint8_t>(value));
  } else {
    data(static_cast<std::uint8_t>(value));
  }
}

void KeyboardController::answer(std::uint8_t value) {
  state_.output = value;
  state_.output_full = true;
}

void KeyboardController::command(std::uint8_t value) {
  state_.awaits_data_of = 0;
  switch (value) {
    case kReadCommandByte: answer(state_.command_byte); break;
    case kSelfTest: answer(kSelfTestPassed); break;
    case kTestMouse:
    case kTestKeyboard: answer(kLineTestPassed); break;
    case kReadInputPort: answer(0); break;
    case kReadOutputPort: answer(state_.output_port); break;
    case kWriteCommandByte:
    case kWriteOutputPort:
    case kWriteKeyboardOutput:
    case kWriteMouseOutput:
    case kWriteMouse: state_.awaits_data_of = value; break;
    default:
      // A pulse pulls down the output lines whose bits are 0; line 0 is the CPU's reset.
      if (value >= kPulse && (value & kResetLine) == 0) control_.reset();
      break;
  }
}

void KeyboardController::data(std::uint8_t value) {
  switch (state_.awaits_data_of) {
    case kWriteCommandByte: state_.command_byte = value; break;
    case kWriteOutputPort:
      state_.output_port = value;
      if ((value & kResetLine) == 0) control_.reset();
      break;
    case kWriteKeyboardOutput:
    case kWriteMouseOutput: answer(value); break;
    default: break;  // for a keyboard or mouse that is not there
  }
  state_.awaits_data_of = 0;
}

}  // namespace vpmu::machine
