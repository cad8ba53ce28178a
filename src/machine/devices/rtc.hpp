// SPDX-License-Identifier: MIT
//
// The MC146818 real-time clock and its CMOS memory (ports 0x70, 0x71; interrupt line 8).
//
// For determinism the machine is always switched on at 2026-01-01 00:00:00 UTC; the guest may set
// another time, and from then on machine time carries it. Nothing runs per second or per period:
// flags and time are worked out when somebody looks, and only an enabled interrupt arms a timer.
//
// The day of the week follows from the date. The divider bits of register A do not stop the clock.
// The memory-size cells are filled in as a BIOS does.
#pragma once

#include <array>
#include <cstdint>

#include "machine/bus.hpp"
#include "machine/clock.hpp"
#include "machine/devices/interrupt_lines.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class Rtc final : public PortDevice, private Timer {
 public:
  /// 2026-01-01 00:00:00 UTC, in seconds since 1970.
  static constexpr std::int64_t kPowerOn = 1767225600;

  struct Config {
    std::uint64_t memory_below_4g = 0;  ///< bytes, the first MiB included
    std::uint64_t memory_above_4g = 0;  ///< bytes
    unsigned cpu_count = 1;
  };

  Rtc(const Config& config, Clock& clock, InterruptLines& lines);
  void add_to(Bus& bus);
  /// The battery keeps time and memory; interrupts are disabled.
  void reset();

  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

  static constexpr unsigned kCells = 128;

  struct State {
    std::uint8_t index = 0;
    std::array<std::uint8_t, kCells> cells{};  ///< but for the running time and register C
    std::uint8_t flags = 0;                    ///< register C, without IRQF
    std::int64_t base_second = kPowerOn;       ///< since 1970, at base_tick
    std::uint64_t base_tick = 0;               ///< 32768 Hz ticks since power-on
    std::uint64_t seen_tick = 0;               ///< up to which `flags` is worked out
    std::uint64_t due = kNever;                ///< of the clock's timer; only in what save() gives
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const;
  /// The clock must have its time already.
  Result<void> restore(const State& state);

 private:
  /// Values of the time registers, by register number; only those of kTimeRegisters are used.
  using TimeFields = std::array<std::uint8_t, kCells>;

  void on_timer() override;

  [[nodiscard]] std::uint64_t ticks() const;
  [[nodiscard]] std::int64_t second_at(std::uint64_t tick) const;
  [[nodiscard]] bool is_set_mode() const;
  [[nodiscard]] std::uint64_t period() const;

  [[nodiscard]] std::uint8_t encode(unsigned value) const;
  [[nodiscard]] unsigned decode(std::uint8_t value) const;
  [[nodiscard]] std::uint8_t encode_hour(unsigned hour) const;
  [[nodiscard]] unsigned decode_hour(std::uint8_t value) const;
  void encode_time(std::int64_t second, TimeFields& to) const;
  [[nodiscard]] std::int64_t decode_time(const TimeFields& from) const;

  [[nodiscard]] bool alarm_matches(unsigned reg, std::uint8_t encoded) const;
  /// The first second after `second` that the alarm names; false if there is none.
  bool next_alarm(std::int64_t second, std::int64_t& alarm) const;

  void fill_memory_size(const Config& config);
  std::uint8_t read_cell(std::uint8_t reg);
  void write_cell(std::uint8_t reg, std::uint8_t value);
  void write_control(std::uint8_t value);
  std::uint8_t read_flags();
  /// Brings the flags up to now.
  void catch_up();
  /// Brings the interrupt line and the timer in line with flags and enables.
  void update();

  Clock& clock_;
  InterruptLines& lines_;
  State state_;
};

}  // namespace vpmu::machine
