// SPDX-License-Identifier: MIT
//
// A 16550A serial port (COM1: ports 0x3f8..0x3ff, line 4). It takes no time: a byte written is in
// the sink at once and the transmitter is empty again, whatever the baud rate; bytes below the
// FIFO's trigger level count as timed out when they arrive. The interrupt reaches its line only
// while OUT2 is set, as on a PC. The other end always has CTS, DSR and DCD raised.
#pragma once

#include <array>
#include <cstdint>

#include "machine/bus.hpp"
#include "machine/byte_receiver.hpp"
#include "machine/byte_sink.hpp"
#include "machine/devices/interrupt_lines.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class Uart16550 final : public PortDevice, public ByteReceiver {
 public:
  static constexpr std::uint16_t kCom1 = 0x3f8;
  static constexpr unsigned kCom1Line = 4;
  static constexpr unsigned kFifoSize = 16;

  Uart16550(std::uint16_t first_port, unsigned line, InterruptLines& lines, ByteSink& sink);
  void add_to(Bus& bus) { bus.add_ports(first_port_, 8, *this); }
  void reset();

  void receive(std::uint8_t byte) override;
  [[nodiscard]] bool can_receive() const override { return state_.received < capacity(); }

  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

  struct State {
    std::uint8_t interrupt_enable = 0;
    std::uint8_t fifo_control = 0;
    std::uint8_t line_control = 0;
    std::uint8_t modem_control = 0;
    std::uint8_t modem_delta = 0;  ///< MSR bits 3:0
    std::uint8_t scratch = 0;
    std::uint16_t divisor = 12;  ///< 9600 baud
    bool overrun = false;
    bool transmit_interrupt = false;  ///< the transmitter became empty and nobody was told yet
    std::array<std::uint8_t, kFifoSize> fifo{};
    std::uint8_t first = 0;     ///< oldest byte in `fifo`
    std::uint8_t received = 0;  ///< bytes in `fifo`
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  [[nodiscard]] bool fifo_enabled() const { return (state_.fifo_control & 1) != 0; }
  [[nodiscard]] unsigned capacity() const { return fifo_enabled() ? kFifoSize : 1; }
  [[nodiscard]] unsigned trigger_level() const;
  [[nodiscard]] bool divisor_access() const { return (state_.line_control & 0x80) != 0; }
  [[nodiscard]] bool loops_back() const { return (state_.modem_control & 0x10) != 0; }
  [[nodiscard]] std::uint8_t modem_lines() const;
  [[nodiscard]] std::uint8_t interrupt_id() const;

  void push(std::uint8_t byte);
  std::uint8_t pop();
  void transmit(std::uint8_t byte);
  std::uint8_t read_interrupt_id();
  std::uint8_t read_line_status();
  std::uint8_t read_modem_status();
  void write_interrupt_enable(std::uint8_t value);
  void write_fifo_control(std::uint8_t value);
  void write_modem_control(std::uint8_t value);
  std::uint8_t read_byte(unsigned index);
  void write_byte(unsigned index, std::uint8_t value);
  void update();

  std::uint16_t first_port_;
  unsigned line_;
  InterruptLines& lines_;
  ByteSink& sink_;
  State state_;
};

}  // namespace vpmu::machine
