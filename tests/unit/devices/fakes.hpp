// SPDX-License-Identifier: MIT
//
// What the devices are built into, for tests: everything that happens is counted or kept.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "machine/byte_sink.hpp"
#include "machine/clock.hpp"
#include "machine/devices/cpu_signals.hpp"
#include "machine/devices/event_stream.hpp"
#include "machine/devices/interrupt_lines.hpp"
#include "machine/devices/machine_control.hpp"

namespace vpmu::machine {

class FakeLines final : public InterruptLines {
 public:
  void set_line(unsigned line, bool is_high) override {
    if (is_high && !high.at(line)) ++edges.at(line);
    high.at(line) = is_high;
  }
  std::array<bool, 64> high{};
  std::array<unsigned, 64> edges{};  ///< rising ones
};

class FakeSignals final : public CpuSignals {
 public:
  void nmi() override { ++nmis; }
  void init() override { ++inits; }
  void sipi(std::uint8_t vector) override { sipis.push_back(vector); }
  void wake() override { ++wakes; }
  unsigned nmis = 0;
  unsigned inits = 0;
  unsigned wakes = 0;
  std::vector<std::uint8_t> sipis;
};

class FakeControl final : public MachineControl {
 public:
  void exit(std::uint32_t code) override { exits.push_back(code); }
  void power_off() override { ++power_offs; }
  void reset() override { ++resets; }
  std::vector<std::uint32_t> exits;
  unsigned power_offs = 0;
  unsigned resets = 0;
};

class FakeSink final : public ByteSink {
 public:
  void put(std::uint8_t byte) override { text += static_cast<char>(byte); }
  std::string text;
};

class FakeEvents final : public EventStreamListener {
 public:
  void on_stream_event() override { ++events; }
  unsigned events = 0;
};

/// Moves time on, firing timers at their cycle. Returns how many times the clock had to be served.
inline unsigned run_until(Clock& clock, std::uint64_t cycle) {
  unsigned stops = 0;
  while (clock.next_due() <= cycle) {
    if (clock.next_due() > clock.now()) clock.set_now(clock.next_due());
    clock.run_due();
    ++stops;
  }
  clock.set_now(cycle);
  return stops;
}

/// Moves time on at once, as if the machine had not looked in between.
inline void jump_to(Clock& clock, std::uint64_t cycle) {
  clock.set_now(cycle);
  clock.run_due();
}

}  // namespace vpmu::machine
