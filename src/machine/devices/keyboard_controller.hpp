// SPDX-License-Identifier: MIT
//
// As much of an 8042 (ports 0x60, 0x64) as keeps guests from waiting for it: it answers its own
// commands at once, has no keyboard and no mouse, and resets the machine when told to pulse the
// CPU's reset line (0xfe). No interrupts.
#pragma once

#include <cstdint>

#include "machine/bus.hpp"
#include "machine/devices/machine_control.hpp"

namespace vpmu::machine {

class KeyboardController final : public PortDevice {
 public:
  explicit KeyboardController(MachineControl& control) : control_{control} {}
  void add_to(Bus& bus);
  void reset() { state_ = State{}; }

  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

  struct State {
    std::uint8_t command_byte = 0x10;  ///< keyboard disabled
    std::uint8_t output_port = 0x03;   ///< A20 open, not in reset
    std::uint8_t output = 0;
    bool output_full = false;
    std::uint8_t awaits_data_of = 0;  ///< the command whose parameter comes next; 0: none
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  void command(std::uint8_t value);
  void data(std::uint8_t value);
  void answer(std::uint8_t value);

  MachineControl& control_;
  State state_;
};

}  // namespace vpmu::machine
