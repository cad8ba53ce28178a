// SPDX-License-Identifier: MIT
//
// A PL011 serial port (Arm DDI0183, r1p4: FIFOs of 16). It takes no time: a byte written is in the
// sink at once and the transmitter is empty again, whatever the baud rate; bytes below the
// receiver's trigger level count as timed out when they arrive. Like most models it transmits even
// while it is disabled, for early consoles that do not set it up. The other end always has CTS, DSR
// and DCD raised.
#pragma once

#include <array>
#include <cstdint>

#include "machine/bus.hpp"
#include "machine/byte_receiver.hpp"
#include "machine/byte_sink.hpp"
#include "machine/devices/interrupt_lines.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class Pl011 final : public MmioDevice, public ByteReceiver {
 public:
  static constexpr std::uint64_t kAddress = 0x0900'0000;
  static constexpr std::uint64_t kLength = 0x1000;
  static constexpr unsigned kIntid = 33;  ///< SPI 1
  static constexpr unsigned kFifoSize = 16;

  Pl011(unsigned line, InterruptLines& lines, ByteSink& sink);
  void add_to(Bus& bus) { bus.add_mmio(kAddress, kLength, *this); }
  void reset();

  /// A byte comes in. If there is no room it is lost and the guest sees an overrun; if the receiver
  /// is disabled it is lost without a trace.
  void receive(std::uint8_t byte) override;
  [[nodiscard]] bool can_receive() const override;

  /// Registers are words, of which the low bytes can be accessed alone.
  std::uint64_t read_mmio(std::uint64_t offset, unsigned bytes) override;
  void write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;

  struct State {
    std::uint16_t integer_divisor = 0;   ///< IBRD
    std::uint8_t fraction = 0;           ///< FBRD
    std::uint8_t line_control = 0;       ///< LCR_H
    std::uint16_t control = 0x300;       ///< CR: transmitter and receiver, but not the UART
    std::uint8_t fifo_levels = 0x12;     ///< IFLS: half full, both
    std::uint16_t interrupt_mask = 0;    ///< IMSC
    std::uint16_t interrupt_status = 0;  ///< RIS
    std::uint8_t low_power_divisor = 0;  ///< ILPR
    std::uint8_t dma_control = 0;        ///< DMACR
    bool overrun_status = false;         ///< RSR.OE
    bool overrun_data = false;           ///< DR.OE
    std::array<std::uint8_t, kFifoSize> fifo{};
    std::uint8_t first = 0;     ///< oldest byte in `fifo`
    std::uint8_t received = 0;  ///< bytes in `fifo`
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  /// The level of the line comes with the interrupt controller's state.
  Result<void> restore(const State& state);

 private:
  [[nodiscard]] bool fifo_enabled() const;
  [[nodiscard]] unsigned capacity() const { return fifo_enabled() ? kFifoSize : 1; }
  [[nodiscard]] unsigned trigger_level() const;
  [[nodiscard]] bool loops_back() const;
  [[nodiscard]] unsigned modem_lines() const;
  [[nodiscard]] std::uint32_t flags() const;
  [[nodiscard]] std::uint32_t read_register(std::uint32_t offset);
  void write_register(std::uint32_t offset, std::uint32_t value);

  void push(std::uint8_t byte);
  std::uint32_t pop();
  void transmit(std::uint8_t byte);
  void write_line_control(std::uint32_t value);
  void write_control(std::uint32_t value);
  void update();

  unsigned line_;
  InterruptLines& lines_;
  ByteSink& sink_;
  State state_;
};

}  // namespace vpmu::machine
