// SPDX-License-Identifier: MIT
//
// Ports with which a test guest moves interrupt lines itself: writing port 0x2000 + n sets line n
// (0..23) high if the value is not 0. Hypervisor test images expect them to test the I/O APIC.
#pragma once

#include "machine/bus.hpp"
#include "machine/devices/interrupt_lines.hpp"

namespace vpmu::machine {

class TestLines final : public PortDevice {
 public:
  static constexpr std::uint16_t kFirstPort = 0x2000;
  static constexpr unsigned kLines = 24;

  explicit TestLines(InterruptLines& lines) : lines_{lines} {}
  void add_to(Bus& bus) { bus.add_ports(kFirstPort, kLines, *this); }

  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

 private:
  InterruptLines& lines_;
};

}  // namespace vpmu::machine
