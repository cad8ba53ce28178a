// SPDX-License-Identifier: MIT
#include "machine/devices/pit8254.hpp"

#include "machine/cannot_hold.hpp"
#include "machine/devices/ticks.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint16_t kFirstPort = 0x40, kCommandPort = 0x43, kControlPort = 0x61;
constexpr unsigned kTimerLine = 0;
/// Memory refresh request: toggles bit 4 of port 0x61 every 15 us.
constexpr std::uint64_t kRefreshHz = 66287;

std::uint16_t to_bcd(std::uint32_t value) {
  return static_cast<std::uint16_t>(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
                                    value / 1000 % 10 << 12);
}

/// Digits above 9 count as their value: nothing a guest writes is an error.
std::uint32_t from_bcd(std::uint16_t value) {
  return (value & 0xfU) + (value >> 4 & 0xfU) * 10 + (value >> 8 & 0xfU) * 100 +
         (value >> 12 & 0xfU) * 1000;
}
}  // namespace

Pit8254::Pit8254(Clock& clock, InterruptLines& lines) : Timer{clock}, clock_{clock}, lines_{lines} {
  state_.channel[2].gate = false;
}

void Pit8254::add_to(Bus& bus) {
  bus.add_ports(kFirstPort, 4, *this);
  bus.add_ports(kControlPort, 1, *this);
}

void Pit8254::reset() {
  state_ = State{};
  state_.channel[2].gate = false;
  disarm();
  lines_.set_line(kTimerLine, false);
}

std::uint64_t Pit8254::gone(const Channel& channel) const {
  if (!channel.running) return channel.held;
  const std::uint64_t now = ticks_now(clock_, kHz);
  return channel.held + (now > channel.start ? now - channel.start : 0);
}

bool Pit8254::output(const Channel& channel) const {
  const std::uint64_t ticks = gone(channel);
  const std::uint64_t count = channel.count;
  switch (channel.mode) {
    case 0: return channel.loaded && ticks >= count;
    case 1: return !channel.triggered || ticks >= count;
    case 2: return !channel.running || ticks % count != count - 1;
    case 3: return !channel.running || ticks % count < (count + 1) / 2;
    case 4: return !channel.loaded || ticks != count;
    default: return !channel.triggered || ticks != count;
  }
}

std::uint16_t Pit8254::current_count(const Channel& channel) const {
  const std::uint64_t ticks = gone(channel);
  const std::uint64_t count = channel.count;
  const std::uint64_t modulus = channel.bcd ? 10000 : 0x10000;
  std::uint64_t value = 0;
  if (channel.mode == 2) {
    value = count - ticks % count;
  } else if (channel.mode == 3) {
    // Counts down by two, once for each half of the period.
    const std::uint64_t high = (count + 1) / 2;
    const std::uint64_t within = ticks % count;
    value = (count & ~std::uint64_t{1}) - 2 * (within < high ? within : within - high);
  } else {
    value = count + modulus - ticks % modulus;
  }
  value %= modulus;
  return channel.bcd ? to_bcd(static_cast<std::uint32_t>(value))
                     : static_cast<std::uint16_t>(value);
}

std::uint8_t Pit8254::status(const Channel& channel) const {
  return static_cast<std::uint8_t>((output(channel) ? 0x80 : 0) | (channel.loaded ? 0 : 0x40) |
                                   static_cast<unsigned>(channel.bytes) << 4 | channel.mode << 1 |
                                   (channel.bcd ? 1 : 0));
}

void Pit8254::set_gate(Channel& channel, bool gate) {
  if (gate == channel.gate) return;
  const bool pauses = channel.mode == 0 || channel.mode == 4;
  const bool one_shot = channel.mode == 1 || channel.mode == 5;
  if (!gate) {
    if (pauses) {
      channel.held = gone(channel);
      channel.running = false;
    } else if (!one_shot) {
      channel.held = 0;
      channel.running = false;
    }
  } else if (channel.loaded) {
    if (!pauses) channel.held = 0;
    channel.triggered = one_shot;
    channel.start = ticks_now(clock_, kHz);
    channel.running = true;
  }
  channel.gate = gate;
}

void Pit8254::load(Channel& channel, std::uint16_t written) {
  const std::uint32_t value = channel.bcd ? from_bcd(written) : written;
  channel.count = value != 0 ? value : (channel.bcd ? 10000 : 0x10000);
  channel.loaded = true;
  channel.triggered = false;
  channel.held = 0;
  channel.start = ticks_now(clock_, kHz);
  channel.running = channel.gate && channel.mode != 1 && channel.mode != 5;
}

void Pit8254::latch_count(Channel& channel) {
  if (channel.count_latched) return;
  channel.count_latched = true;
  channel.latched_count = current_count(channel);
}

void Pit8254::write_command(std::uint8_t value) {
  const unsigned select = value >> 6;
  if (select == 3) {  // read-back
    for (unsigned i = 0; i < 3; ++i) {
      if ((value & 2U << i) == 0) continue;
      Channel& channel = state_.channel[i];
      if ((value & 0x20) == 0) latch_count(channel);
      if ((value & 0x10) == 0 && !channel.status_latched) {
        channel.status_latched = true;
        channel.latched_status = status(channel);
      }
    }
    return;
  }
  Channel& channel = state_.channel[select];
  if ((value & 0x30) == 0) {
    latch_count(channel);
    return;
  }
  const bool gate = channel.gate;
  channel = Channel{};
  channel.gate = gate;
  channel.bytes = static_cast<Bytes>(value >> 4 & 3);
  const auto mode = static_cast<std::uint8_t>(value >> 1 & 7);
  channel.mode = mode >= 6 ? mode - 4 : mode;
  channel.bcd = (value & 1) != 0;
  if (select == 0) channel0_changed();
}

void Pit8254::write_count(unsigned index, std::uint8_t value) {
  Channel& channel = state_.channel[index];
  switch (channel.bytes) {
    case Bytes::kLow: load(channel, value); break;
    case Bytes::kHigh: load(channel, static_cast<std::uint16_t>(value << 8)); break;
    case Bytes::kBoth:
      if (!channel.high_byte_next_write) {
        channel.low_byte = value;
        channel.high_byte_next_write = true;
        if (channel.mode != 0) return;
        channel.loaded = channel.running = false;  // mode 0 stops at the first byte
        channel.held = 0;
        break;
      }
      channel.high_byte_next_write = false;
      load(channel, static_cast<std::uint16_t>(value << 8 | channel.low_byte));
      break;
  }
  if (index == 0) channel0_changed();
}

std::uint8_t Pit8254::read_count(Channel& channel) {
  if (channel.status_latched) {
    channel.status_latched = false;
    return channel.latched_status;
  }
  const std::uint16_t count =
      channel.count_latched ? channel.latched_count : current_count(channel);
  const bool high = channel.bytes == Bytes::kHigh ||
                    (channel.bytes == Bytes::kBoth && channel.high_byte_next_read);
  if (channel.bytes == Bytes::kBoth) channel.high_byte_next_read = !channel.high_byte_next_read;
  if (channel.bytes != Bytes::kBoth || high) channel.count_latched = false;
  return static_cast<std::uint8_t>(high ? count >> 8 : count);
}

std::uint8_t Pit8254::read_control() const {
  const bool refresh = (ticks_now(clock_, kRefreshHz) & 1) != 0;
  return static_cast<std::uint8_t>(state_.control | (refresh ? 0x10 : 0) |
                                   (output(state_.channel[2]) ? 0x20 : 0));
}

void Pit8254::write_control(std::uint8_t value) {
  state_.control = value & 0xf;
  set_gate(state_.channel[2], (value & 1) != 0);
}

void Pit8254::channel0_changed() {
  lines_.set_line(kTimerLine, output(state_.channel[0]));
  schedule();
}

void Pit8254::on_timer() {
  lines_.set_line(kTimerLine, false);
  lines_.set_line(kTimerLine, true);
  schedule();
}

/// Arms for the next rising edge of channel 0's output, strictly after now. Its gate is always
/// high, so that modes 1 and 5 never start.
void Pit8254::schedule() {
  disarm();
  const Channel& channel = state_.channel[0];
  if (!channel.running) return;
  const std::uint64_t ticks = gone(channel);
  std::uint64_t edge = 0;
  switch (channel.mode) {
    case 0: edge = channel.count; break;
    case 2:
    case 3: edge = (ticks / channel.count + 1) * channel.count; break;
    case 4: edge = channel.count + std::uint64_t{1}; break;
    default: return;
  }
  if (edge > ticks) arm(first_cycle_of(clock_, channel.start + edge, kHz));
}

std::uint8_t Pit8254::read_byte(std::uint16_t port) {
  if (port == kControlPort) return read_control();
  if (port >= kCommandPort || port < kFirstPort) return 0xff;
  return read_count(state_.channel[port - kFirstPort]);
}

void Pit8254::write_byte(std::uint16_t port, std::uint8_t value) {
  if (port == kControlPort) {
    write_control(value);
  } else if (port == kCommandPort) {
    write_command(value);
  } else if (port >= kFirstPort && port < kCommandPort) {
    write_count(port - kFirstPort, value);
  }
}

std::uint32_t Pit8254::read_port(std::uint16_t port, unsigned bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) {
    value |= std::uint32_t{read_byte(static_cast<std::uint16_t>(port + i))} << (8 * i);
  }
  return value;
}

void Pit8254::write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  for (unsigned i = 0; i < bytes; ++i) {
    write_byte(static_cast<std::uint16_t>(port + i), static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

// ---- State --------------------------------------------------------------------------------------

Pit8254::State Pit8254::save() const {
  State state = state_;
  state.due = due();
  return state;
}

Result<void> Pit8254::restore(const State& state) {
  const std::uint64_t now = ticks_now(clock_, kHz);
  for (const Channel& channel : state.channel) {
    const auto bytes = static_cast<unsigned>(channel.bytes);
    if (channel.mode > 5) return cannot_hold("mode", channel.mode);
    if (bytes < 1 || bytes > 3) return cannot_hold("access mode", bytes);
    if (channel.count == 0 || channel.count > 0x10000) return cannot_hold("count", channel.count);
    if (channel.start > now) return cannot_hold("start", channel.start);
    if (channel.held > now) return cannot_hold("ticks gone", channel.held);
  }
  if (state.control > 0xf) return cannot_hold("system control", state.control);
  state_ = state;
  arm(state.due);
  return {};
}

}  // namespace vpmu::machine
