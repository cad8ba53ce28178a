// SPDX-License-Identifier: MIT
//
// The exit device of the Arm board, what the debug-exit port is on a PC: a write to its first word
// ends the run with that value.
#pragma once

#include "machine/bus.hpp"
#include "machine/devices/machine_control.hpp"

namespace vpmu::machine {

class ExitDevice final : public MmioDevice {
 public:
  static constexpr std::uint64_t kAddress = 0x090f'0000;
  static constexpr std::uint64_t kLength = 0x1000;

  explicit ExitDevice(MachineControl& control) : control_{control} {}
  void add_to(Bus& bus) { bus.add_mmio(kAddress, kLength, *this); }

  /// Reads 0.
  std::uint64_t read_mmio(std::uint64_t offset, unsigned bytes) override;
  /// The low 32 bits of what is written at offset 0; other offsets do nothing.
  void write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;

 private:
  MachineControl& control_;
};

}  // namespace vpmu::machine
