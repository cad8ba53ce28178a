// SPDX-License-Identifier: MIT
//
// The 8254 interval timer (ports 0x40..0x43) and the system control port 0x61 that drives its third
// channel. Counts are worked out from machine time when somebody looks; only channel 0's next
// rising edge, which is interrupt line 0, is a timer of the clock. A channel 0 far behind catches
// up in one step: missed periods are one interrupt.
//
// All six modes, binary and BCD, latch and read-back commands. Simplifications: a new count starts
// at once (the chip waits for the end of the period in modes 2 and 3), and the tick that the chip
// needs to load a count is not counted. At power-on no channel counts and all outputs are high.
#pragma once

#include <array>
#include <cstdint>

#include "machine/bus.hpp"
#include "machine/clock.hpp"
#include "machine/devices/interrupt_lines.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class Pit8254 final : public PortDevice, private Timer {
 public:
  static constexpr std::uint64_t kHz = 1193182;

  Pit8254(Clock& clock, InterruptLines& lines);
  void add_to(Bus& bus);
  void reset();

  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

  /// Which bytes of a count go through the port.
  enum class Bytes : std::uint8_t { kLow = 1, kHigh = 2, kBoth = 3 };

  struct Channel {
    std::uint8_t mode = 3;
    bool bcd = false;
    Bytes bytes = Bytes::kBoth;
    bool loaded = false;     ///< there is a count; otherwise "null count"
    bool running = false;    ///< time goes on
    bool triggered = false;  ///< modes 1 and 5: the gate rose since the count was written
    bool gate = true;
    std::uint32_t count = 0x10000;
    std::uint64_t start = 0;  ///< tick at which `held` ticks had gone
    std::uint64_t held = 0;
    bool high_byte_next_write = false;
    bool high_byte_next_read = false;
    std::uint8_t low_byte = 0;
    bool count_latched = false;
    std::uint16_t latched_count = 0;
    bool status_latched = false;
    std::uint8_t latched_status = 0;
    friend bool operator==(const Channel&, const Channel&) = default;
  };

  struct State {
    std::array<Channel, 3> channel;
    std::uint8_t control = 0;    ///< port 0x61, bits 3:0
    std::uint64_t due = kNever;  ///< of the clock's timer; only in what save() gives
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const;
  /// The clock must have its time already.
  Result<void> restore(const State& state);

 private:
  void on_timer() override;

  [[nodiscard]] std::uint64_t gone(const Channel& channel) const;
  [[nodiscard]] bool output(const Channel& channel) const;
  [[nodiscard]] std::uint16_t current_count(const Channel& channel) const;
  [[nodiscard]] std::uint8_t status(const Channel& channel) const;

  void set_gate(Channel& channel, bool gate);
  void load(Channel& channel, std::uint16_t written);
  void latch_count(Channel& channel);
  void write_command(std::uint8_t value);
  void write_count(unsigned index, std::uint8_t value);
  std::uint8_t read_count(Channel& channel);
  [[nodiscard]] std::uint8_t read_control() const;
  void write_control(std::uint8_t value);
  std::uint8_t read_byte(std::uint16_t port);
  void write_byte(std::uint16_t port, std::uint8_t value);
  /// Brings line 0 and the clock in line with channel 0 after a change.
  void channel0_changed();
  void schedule();

  Clock& clock_;
  InterruptLines& lines_;
  State state_;
};

}  // namespace vpmu::machine
