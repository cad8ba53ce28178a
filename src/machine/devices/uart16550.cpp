// SPDX-License-Identifier: MIT
#include "machine/devices/uart16550.hpp"

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

namespace {
enum Index : unsigned {
  kData,
  kInterruptEnable,
  kInterruptId,
  kLineControl,
  kModemControl,
  kLineStatus,
  kModemStatus,
  kScratch
};
// IER.
constexpr std::uint8_t kReceiveEnable = 1, kTransmitEnable = 2, kLineStatusEnable = 4,
                       kModemStatusEnable = 8;
// IIR, highest priority first.
constexpr std::uint8_t kIdLineStatus = 0x6, kIdReceived = 0x4, kIdTimeout = 0xc, kIdTransmit = 0x2,
                       kIdModemStatus = 0x0, kIdNone = 0x1, kIdFifo = 0xc0;
// LSR.
constexpr std::uint8_t kDataReady = 1, kOverrun = 2, kTransmitterEmpty = 0x60;
// FCR.
constexpr std::uint8_t kFifoEnable = 1, kClearReceiver = 2, kFifoBits = 0xc9;
// MCR.
constexpr std::uint8_t kDtr = 1, kRts = 2, kOut1 = 4, kOut2 = 8, kModemControlBits = 0x1f;
// MSR.
constexpr std::uint8_t kCts = 0x10, kDsr = 0x20, kRing = 0x40, kDcd = 0x80;
}  // namespace

Uart16550::Uart16550(std::uint16_t first_port, unsigned line, InterruptLines& lines, ByteSink& sink)
    : first_port_{first_port}, line_{line}, lines_{lines}, sink_{sink} {}

void Uart16550::reset() {
  state_ = State{};
  update();
}

unsigned Uart16550::trigger_level() const {
  static constexpr unsigned kLevels[] = {1, 4, 8, 14};
  return fifo_enabled() ? kLevels[state_.fifo_control >> 6] : 1;
}

void Uart16550::receive(std::uint8_t byte) {
  if (loops_back()) return;  // the line is disconnected
  push(byte);
  update();
}

void Uart16550::push(std::uint8_t byte) {
  if (!can_receive()) {
    state_.overrun = true;
    return;
  }
  state_.fifo[(state_.first + state_.received) % kFifoSize] = byte;
  ++state_.received;
}

std::uint8_t Uart16550::pop() {
  if (state_.received == 0) return 0;
  const std::uint8_t byte = state_.fifo[state_.first];
  state_.first = static_cast<std::uint8_t>((state_.first + 1) % kFifoSize);
  --state_.received;
  return byte;
}

void Uart16550::transmit(std::uint8_t byte) {
  if (loops_back()) {
    push(byte);
  } else {
    sink_.put(byte);
  }
  // Not empty for a moment: a guest that did not look at IIR needs a new edge.
  state_.transmit_interrupt = false;
  update();
  state_.transmit_interrupt = true;
}

std::uint8_t Uart16550::modem_lines() const {
  if (!loops_back()) return kCts | kDsr | kDcd;
  const std::uint8_t control = state_.modem_control;
  return static_cast<std::uint8_t>(
      ((control & kRts) != 0 ? kCts : 0) | ((control & kDtr) != 0 ? kDsr : 0) |
      ((control & kOut1) != 0 ? kRing : 0) | ((control & kOut2) != 0 ? kDcd : 0));
}

std::uint8_t Uart16550::interrupt_id() const {
  const std::uint8_t enabled = state_.interrupt_enable;
  if ((enabled & kLineStatusEnable) != 0 && state_.overrun) return kIdLineStatus;
  if ((enabled & kReceiveEnable) != 0 && state_.received > 0) {
    return state_.received >= trigger_level() ? kIdReceived : kIdTimeout;
  }
  if ((enabled & kTransmitEnable) != 0 && state_.transmit_interrupt) return kIdTransmit;
  if ((enabled & kModemStatusEnable) != 0 && state_.modem_delta != 0) return kIdModemStatus;
  return kIdNone;
}

std::uint8_t Uart16550::read_interrupt_id() {
  const std::uint8_t id = interrupt_id();
  if (id == kIdTransmit) state_.transmit_interrupt = false;
  return static_cast<std::uint8_t>(id | (fifo_enabled() ? kIdFifo : 0));
}

std::uint8_t Uart16550::read_line_status() {
  const auto status = static_cast<std::uint8_t>(
      kTransmitterEmpty | (state_.received > 0 ? kDataReady : 0) | (state_.overrun ? kOverrun : 0));
  state_.overrun = false;
  return status;
}

std::uint8_t Uart16550::read_modem_status() {
  const auto status = static_cast<std::uint8_t>(modem_lines() | state_.modem_delta);
  state_.modem_delta = 0;
  return status;
}

void Uart16550::write_interrupt_enable(std::uint8_t value) {
  const bool transmit_was_enabled = (state_.interrupt_enable & kTransmitEnable) != 0;
  state_.interrupt_enable = value & 0xf;
  // The transmitter is always empty: enabling its interrupt raises it.
  if (!transmit_was_enabled && (value & kTransmitEnable) != 0) state_.transmit_interrupt = true;
}

void Uart16550::write_fifo_control(std::uint8_t value) {
  const bool toggles = ((value ^ state_.fifo_control) & kFifoEnable) != 0;
  if (toggles || (value & kClearReceiver) != 0) state_.first = state_.received = 0;
  // The other bits can only be set together with the enable.
  state_.fifo_control = (value & kFifoEnable) != 0 ? value & kFifoBits : 0;
}

void Uart16550::write_modem_control(std::uint8_t value) {
  const std::uint8_t before = modem_lines();
  state_.modem_control = value & kModemControlBits;
  const std::uint8_t after = modem_lines();
  auto delta = static_cast<std::uint8_t>((before ^ after) >> 4);
  // Ring shows its trailing edge only.
  if ((after & kRing) != 0) delta &= static_cast<std::uint8_t>(~(kRing >> 4));
  state_.modem_delta |= delta;
}

std::uint8_t Uart16550::read_byte(unsigned index) {
  switch (index) {
    case kData: return divisor_access() ? static_cast<std::uint8_t>(state_.divisor) : pop();
    case kInterruptEnable:
      return divisor_access() ? static_cast<std::uint8_t>(state_.divisor >> 8)
                              : state_.interrupt_enable;
    case kInterruptId: return read_interrupt_id();
    case kLineControl: return state_.line_control;
    case kModemControl: return state_.modem_control;
    case kLineStatus: return read_line_status();
    case kModemStatus: return read_modem_status();
    case kScratch: return state_.scratch;
    default: return 0xff;
  }
}

void Uart16550::write_byte(unsigned index, std::uint8_t value) {
  switch (index) {
    case kData:
      if (divisor_access()) {
        state_.divisor = static_cast<std::uint16_t>((state_.divisor & 0xff00) | value);
      } else {
        transmit(value);
      }
      break;
    case kInterruptEnable:
      if (divisor_access()) {
        state_.divisor = static_cast<std::uint16_t>((state_.divisor & 0xff) | value << 8);
      } else {
        write_interrupt_enable(value);
      }
      break;
    case kInterruptId: write_fifo_control(value); break;
    case kLineControl: state_.line_control = value; break;
    case kModemControl: write_modem_control(value); break;
    case kScratch: state_.scratch = value; break;
    default: break;  // status registers are read-only
  }
}

void Uart16550::update() {
  lines_.set_line(
      line_, (state_.modem_control & kOut2) != 0 && !loops_back() && interrupt_id() != kIdNone);
}

std::uint32_t Uart16550::read_port(std::uint16_t port, unsigned bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) {
    value |= std::uint32_t{read_byte(port - first_port_ + i)} << (8 * i);
  }
  update();
  return value;
}

void Uart16550::write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  for (unsigned i = 0; i < bytes; ++i) {
    write_byte(port - first_port_ + i, static_cast<std::uint8_t>(value >> (8 * i)));
  }
  update();
}

Result<void> Uart16550::restore(const State& state) {
  const unsigned room = (state.fifo_control & kFifoEnable) != 0 ? kFifoSize : 1;
  if (state.interrupt_enable > 0xf) return cannot_hold("IER", state.interrupt_enable);
  if ((state.fifo_control & ~kFifoBits) != 0) return cannot_hold("FCR", state.fifo_control);
  if ((state.modem_control & ~kModemControlBits) != 0) {
    return cannot_hold("MCR", state.modem_control);
  }
  if (state.modem_delta > 0xf) return cannot_hold("MSR", state.modem_delta);
  if (state.first >= kFifoSize) return cannot_hold("FIFO position", state.first);
  if (state.received > room) return cannot_hold("number of bytes received", state.received);
  state_ = state;
  return {};
}

}  // namespace vpmu::machine
