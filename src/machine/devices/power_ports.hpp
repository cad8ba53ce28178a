// SPDX-License-Identifier: MIT
//
// Ports through which guests switch the machine off or reset it:
//   0x604, 0xb004  ACPI PM1a control: power off when SLP_EN (bit 13) is written
//   0x8900         power off after the bytes "Shutdown"
//   0xcf9          reset control: reset when bit 2 goes from 0 to 1
#pragma once

#include <cstdint>

#include "machine/bus.hpp"
#include "machine/devices/machine_control.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class PowerPorts final : public PortDevice {
 public:
  explicit PowerPorts(MachineControl& control) : control_{control} {}
  void add_to(Bus& bus);

  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

  struct State {
    std::uint8_t matched = 0;  ///< bytes of "Shutdown" seen
    std::uint8_t reset_control = 0;
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  void write_shutdown(char byte);

  MachineControl& control_;
  State state_;
};

}  // namespace vpmu::machine
