// SPDX-License-Identifier: MIT
//
// The debug-exit port 0xf4: a write of any size ends the run with that value.
#pragma once

#include "machine/bus.hpp"
#include "machine/devices/machine_control.hpp"

namespace vpmu::machine {

class ExitPort final : public PortDevice {
 public:
  static constexpr std::uint16_t kPort = 0xf4;

  explicit ExitPort(MachineControl& control) : control_{control} {}
  void add_to(Bus& bus) { bus.add_ports(kPort, 4, *this); }

  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

 private:
  MachineControl& control_;
};

}  // namespace vpmu::machine
