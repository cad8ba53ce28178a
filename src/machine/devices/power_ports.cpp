// SPDX-License-Identifier: MIT
#include "machine/devices/power_ports.hpp"

#include <string_view>

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint16_t kPm1aControl = 0x604, kOldPm1aControl = 0xb004, kShutdownPort = 0x8900,
                        kResetControl = 0xcf9;
constexpr std::uint32_t kSleepEnable = 1U << 13;
constexpr std::uint8_t kSystemReset = 1U << 1, kResetCpu = 1U << 2;
constexpr std::string_view kShutdown = "Shutdown";
}  // namespace

void PowerPorts::add_to(Bus& bus) {
  bus.add_ports(kPm1aControl, 4, *this);
  bus.add_ports(kOldPm1aControl, 4, *this);
  bus.add_ports(kShutdownPort, 1, *this);
  bus.add_ports(kResetControl, 1, *this);
}

std::uint32_t PowerPorts::read_port(std::uint16_t port, unsigned /*bytes*/) {
  return port == kResetControl ? state_.reset_control : 0;
}

void PowerPorts::write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  switch (port) {
    case kPm1aControl:
    case kOldPm1aControl:
      if (bytes >= 2 && (value & kSleepEnable) != 0) control_.power_off();
      break;
    case kShutdownPort: write_shutdown(static_cast<char>(value & 0xff)); break;
    case kResetControl: {
      const bool rises = (value & kResetCpu) != 0 && (state_.reset_control & kResetCpu) == 0;
      state_.reset_control = static_cast<std::uint8_t>(value & (kSystemReset | kResetCpu));
      if (rises) {
        state_.reset_control &= static_cast<std::uint8_t>(~kResetCpu);
        control_.reset();
      }
      break;
    }
    default: break;
  }
}

void PowerPorts::write_shutdown(char byte) {
  if (byte != kShutdown[state_.matched]) {
    state_.matched = byte == kShutdown[0] ? 1 : 0;
    return;
  }
  if (++state_.matched == kShutdown.size()) {
    state_.matched = 0;
    control_.power_off();
  }
}

Result<void> PowerPorts::restore(const State& state) {
  if (state.matched >= kShutdown.size()) return cannot_hold("bytes matched", state.matched);
  if ((state.reset_control & ~(kSystemReset | kResetCpu)) != 0) {
    return cannot_hold("reset control", state.reset_control);
  }
  state_ = state;
  return {};
}

}  // namespace vpmu::machine
