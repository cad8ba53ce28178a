// SPDX-License-Identifier: MIT
//
// The two cascaded 8259A interrupt controllers of a PC, with the edge/level control registers
// (ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1). Lines 0..15; line 2 is the cascade.
//
// An edge stays requested until it is acknowledged, even if the line falls before: PC software
// expects no spurious interrupts from its timer. An acknowledge cycle with nothing to acknowledge
// gives the spurious IRQ 7 of the chip that was asked.
#pragma once

#include <array>
#include <cstdint>

#include "machine/bus.hpp"
#include "machine/devices/cpu_signals.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

/// The wire from the 8259 to LINT0 of the boot CPU.
class PicOutput {
 public:
  virtual void set_pic_output(bool high) = 0;

 protected:
  ~PicOutput() = default;
};

class Pic8259 final : public PortDevice, public ExtIntSource {
 public:
  Pic8259();

  /// At set-up; the output is low then. May be null.
  void connect(PicOutput* output) { output_ = output; }
  void add_to(Bus& bus);
  void reset();

  void set_irq(unsigned irq, bool high);
  std::uint8_t acknowledge() override;

  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

  /// What the data port expects next.
  enum class Step : std::uint8_t { kOperational, kIcw2, kIcw3, kIcw4 };

  struct Chip {
    std::uint8_t lines = 0;    ///< levels
    std::uint8_t request = 0;  ///< IRR
    std::uint8_t mask = 0;     ///< IMR
    std::uint8_t service = 0;  ///< ISR
    std::uint8_t level = 0;    ///< ELCR
    std::uint8_t vector_base = 0;
    std::uint8_t highest = 0;  ///< the line of highest priority (rotation)
    Step step = Step::kOperational;
    bool wants_icw4 = false;
    bool single = false;
    bool all_level = false;  ///< ICW1 LTIM
    bool read_service = false;
    bool poll = false;
    bool special_mask = false;
    bool special_nested = false;
    bool auto_eoi = false;
    bool rotate_on_auto_eoi = false;
    friend bool operator==(const Chip&, const Chip&) = default;
  };

  struct State {
    std::array<Chip, 2> chip;  ///< master, slave
    bool output = false;
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  static constexpr unsigned kMaster = 0, kSlave = 1, kCascadeLine = 2;

  static void set_line(Chip& chip, unsigned line, bool high);
  /// The line to be acknowledged next; -1 if none.
  [[nodiscard]] int pending(unsigned index) const;
  static void take(Chip& chip, unsigned line);
  /// Acknowledges for one chip: the line, 7 if there was none.
  unsigned acknowledge_chip(unsigned index);
  void write_command(unsigned index, std::uint8_t value);
  void write_data(unsigned index, std::uint8_t value);
  void begin_initialization(unsigned index, std::uint8_t icw1);
  static void end_of_interrupt(Chip& chip, std::uint8_t ocw2);
  std::uint8_t read_command(unsigned index);
  std::uint8_t read_byte(std::uint16_t port);
  void write_byte(std::uint16_t port, std::uint8_t value);
  void update();

  PicOutput* output_ = nullptr;
  State state_;
};

}  // namespace vpmu::machine
