// SPDX-License-Identifier: MIT
#include "machine/devices/pl011.hpp"

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

namespace {
enum Offset : std::uint32_t {
  kData = 0x00,
  kReceiveStatus = 0x04,  // RSR; written: ECR
  kFlags = 0x18,
  kLowPowerDivisor = 0x20,
  kIntegerDivisor = 0x24,
  kFraction = 0x28,
  kLineControl = 0x2c,
  kControl = 0x30,
  kFifoLevels = 0x34,
  kInterruptMask = 0x38,
  kRawStatus = 0x3c,
  kMaskedStatus = 0x40,
  kInterruptClear = 0x44,
  kDmaControl = 0x48,
  kIdentification = 0xfe0,
};
// DR and RSR.
constexpr std::uint32_t kDataOverrun = 1U << 11, kStatusOverrun = 1U << 3;
// FR. The modem's lines are bits 8 (RI) and 2:0 (DCD, DSR, CTS).
constexpr std::uint32_t kCts = 1, kDsr = 2, kDcd = 4, kReceiveEmpty = 0x10, kReceiveFull = 0x40,
                        kTransmitEmpty = 0x80, kRing = 0x100;
constexpr unsigned kModemRing = 8;  // beside them in modem_lines()
// LCR_H.
constexpr std::uint8_t kFifoEnable = 0x10;
// CR.
constexpr std::uint16_t kUartEnable = 1, kLoopback = 0x80, kReceiveEnable = 0x200, kDtr = 0x400,
                        kRts = 0x800, kOut1 = 0x1000, kOut2 = 0x2000, kControlBits = 0xff87;
// RIS and its relatives. The modem's are RI, CTS, DCD, DSR.
constexpr std::uint16_t kRingInterrupt = 1, kCtsInterrupt = 2, kDcdInterrupt = 4, kDsrInterrupt = 8,
                        kReceiveInterrupt = 0x10, kTransmitInterrupt = 0x20,
                        kTimeoutInterrupt = 0x40, kOverrunInterrupt = 0x400, kInterruptBits = 0x7ff;
constexpr std::uint8_t kFractionBits = 0x3f, kFifoLevelBits = 0x3f, kDmaBits = 7;
// PeriphID0..3 and PCellID0..3.
constexpr std::uint8_t kIdentity[] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

/// The interrupts of modem lines that changed, as modem_lines() numbers them.
constexpr std::uint16_t modem_interrupts(unsigned changed) {
  return static_cast<std::uint16_t>(((changed & kCts) != 0 ? kCtsInterrupt : 0) |
                                    ((changed & kDsr) != 0 ? kDsrInterrupt : 0) |
                                    ((changed & kDcd) != 0 ? kDcdInterrupt : 0) |
                                    ((changed & kModemRing) != 0 ? kRingInterrupt : 0));
}
}  // namespace

Pl011::Pl011(unsigned line, InterruptLines& lines, ByteSink& sink)
    : line_{line}, lines_{lines}, sink_{sink} {}

void Pl011::reset() {
  state_ = State{};
  update();
}

bool Pl011::fifo_enabled() const {
  return (state_.line_control & kFifoEnable) != 0;
}

bool Pl011::loops_back() const {
  return (state_.control & kLoopback) != 0;
}

unsigned Pl011::trigger_level() const {
  static constexpr unsigned kLevels[] = {2, 4, 8, 12, 14, 16, 16, 16};  // from 5 on reserved
  return fifo_enabled() ? kLevels[state_.fifo_levels >> 3 & 7] : 1;
}

/// FR bits 2:0, and kModemRing.
unsigned Pl011::modem_lines() const {
  if (!loops_back()) return kCts | kDsr | kDcd;
  const unsigned control = state_.control;
  return ((control & kRts) != 0 ? kCts : 0) | ((control & kDtr) != 0 ? kDsr : 0) |
         ((control & kOut1) != 0 ? kDcd : 0) | ((control & kOut2) != 0 ? kModemRing : 0);
}

std::uint32_t Pl011::flags() const {
  const unsigned lines = modem_lines();
  return kTransmitEmpty | (state_.received == 0 ? kReceiveEmpty : 0) |
         (state_.received >= capacity() ? kReceiveFull : 0) | (lines & (kCts | kDsr | kDcd)) |
         ((lines & kModemRing) != 0 ? kRing : 0);
}

bool Pl011::can_receive() const {
  constexpr std::uint16_t kReceives = kUartEnable | kReceiveEnable;
  return (state_.control & kReceives) == kReceives && !loops_back() && state_.received < capacity();
}

void Pl011::receive(std::uint8_t byte) {
  constexpr std::uint16_t kReceives = kUartEnable | kReceiveEnable;
  if ((state_.control & kReceives) != kReceives || loops_back()) return;
  push(byte);
  update();
}

void Pl011::push(std::uint8_t byte) {
  if (state_.received >= capacity()) {
    state_.overrun_status = state_.overrun_data = true;
    state_.interrupt_status |= kOverrunInterrupt;
    return;
  }
  state_.overrun_data = false;
  state_.fifo[(state_.first + state_.received) % kFifoSize] = byte;
  ++state_.received;
  state_.interrupt_status |=
      state_.received >= trigger_level() ? kReceiveInterrupt : kTimeoutInterrupt;
}

std::uint32_t Pl011::pop() {
  if (state_.received == 0) return 0;
  const std::uint32_t data = state_.fifo[state_.first] | (state_.overrun_data ? kDataOverrun : 0);
  state_.first = static_cast<std::uint8_t>((state_.first + 1) % kFifoSize);
  --state_.received;
  unsigned ended = state_.received < trigger_level() ? kReceiveInterrupt : 0U;
  if (state_.received == 0) ended |= kTimeoutInterrupt;
  state_.interrupt_status &= static_cast<std::uint16_t>(~ended);
  return data;
}

void Pl011::transmit(std::uint8_t byte) {
  if (loops_back()) {
    push(byte);
  } else {
    sink_.put(byte);
  }
  // Full for a moment, and through the trigger level again.
  state_.interrupt_status |= kTransmitInterrupt;
}

void Pl011::write_line_control(std::uint32_t value) {
  const bool toggles = ((value ^ state_.line_control) & kFifoEnable) != 0;
  state_.line_control = static_cast<std::uint8_t>(value);
  if (!toggles) return;
  state_.first = state_.received = 0;
  state_.interrupt_status &= static_cast<std::uint16_t>(~(kReceiveInterrupt | kTimeoutInterrupt));
}

void Pl011::write_control(std::uint32_t value) {
  const unsigned before = modem_lines();
  state_.control = value & kControlBits;
  state_.interrupt_status |= modem_interrupts(before ^ modem_lines());
}

std::uint32_t Pl011::read_register(std::uint32_t offset) {
  if (offset >= kIdentification) return kIdentity[(offset - kIdentification) / 4];
  switch (offset) {
    case kData: return pop();
    case kReceiveStatus: return state_.overrun_status ? kStatusOverrun : 0;
    case kFlags: return flags();
    case kLowPowerDivisor: return state_.low_power_divisor;
    case kIntegerDivisor: return state_.integer_divisor;
    case kFraction: return state_.fraction;
    case kLineControl: return state_.line_control;
    case kControl: return state_.control;
    case kFifoLevels: return state_.fifo_levels;
    case kInterruptMask: return state_.interrupt_mask;
    case kRawStatus: return state_.interrupt_status;
    case kMaskedStatus: return state_.interrupt_status & state_.interrupt_mask;
    case kDmaControl: return state_.dma_control;
    default: return 0;
  }
}

void Pl011::write_register(std::uint32_t offset, std::uint32_t value) {
  switch (offset) {
    case kData: transmit(static_cast<std::uint8_t>(value)); break;
    case kReceiveStatus: state_.overrun_status = false; break;
    case kLowPowerDivisor: state_.low_power_divisor = static_cast<std::uint8_t>(value); break;
    case kIntegerDivisor: state_.integer_divisor = static_cast<std::uint16_t>(value); break;
    case kFraction: state_.fraction = value & kFractionBits; break;
    case kLineControl: write_line_control(value); break;
    case kControl: write_control(value); break;
    case kFifoLevels: state_.fifo_levels = value & kFifoLevelBits; break;
    case kInterruptMask: state_.interrupt_mask = value & kInterruptBits; break;
    case kInterruptClear: state_.interrupt_status &= static_cast<std::uint16_t>(~value); break;
    case kDmaControl: state_.dma_control = value & kDmaBits; break;
    default: break;  // read-only, or nothing there
  }
}

void Pl011::update() {
  lines_.set_line(line_, (state_.interrupt_status & state_.interrupt_mask) != 0);
}

std::uint64_t Pl011::read_mmio(std::uint64_t offset, unsigned bytes) {
  if (offset % 4 != 0 || offset >= kLength) return 0;
  const std::uint64_t value = read_register(static_cast<std::uint32_t>(offset));
  update();
  return value & (~std::uint64_t{0} >> (64 - 8 * bytes));
}

void Pl011::write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (offset % 4 != 0 || offset >= kLength) return;
  write_register(static_cast<std::uint32_t>(offset),
                 static_cast<std::uint32_t>(value & (~std::uint64_t{0} >> (64 - 8 * bytes))));
  update();
}

Result<void> Pl011::restore(const State& state) {
  const unsigned room = (state.line_control & kFifoEnable) != 0 ? kFifoSize : 1;
  const struct {
    const char* name;
    unsigned value, limit;
  } limits[] = {
      {"FBRD", state.fraction, kFractionBits},
      {"IFLS", state.fifo_levels, kFifoLevelBits},
      {"IMSC", state.interrupt_mask, kInterruptBits},
      {"RIS", state.interrupt_status, kInterruptBits},
      {"DMACR", state.dma_control, kDmaBits},
      {"FIFO position", state.first, kFifoSize - 1},
      {"number of bytes received", state.received, room},
  };
  for (const auto& limit : limits) {
    if (limit.value > limit.limit) return cannot_hold(limit.name, limit.value);
  }
  if ((state.control & ~kControlBits) != 0) return cannot_hold("CR", state.control);
  state_ = state;
  return {};
}

}  // namespace vpmu::machine
