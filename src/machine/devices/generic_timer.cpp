// SPDX-License-Identifier: MIT
#include "machine/devices/generic_timer.hpp"

#include "machine/cannot_hold.hpp"
#include "machine/devices/ticks.hpp"

namespace vpmu::machine {

using silicon::arm64::system_register;
using silicon::arm64::SystemRegister;

namespace {
constexpr std::uint64_t kFrequencyBits = 0xffff'ffff;

std::uint64_t sign_extended(std::uint64_t value) {
  return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(value)});
}
}  // namespace

// ---- One timer ----------------------------------------------------------------------------------

GenericTimerChannel::GenericTimerChannel(Clock& clock, std::uint64_t counter_hz, unsigned intid,
                                         InterruptLines& lines)
    : Timer{clock}, clock_{clock}, counter_hz_{counter_hz}, intid_{intid}, lines_{lines} {}

void GenericTimerChannel::reset() {
  state_ = State{};
  update();
}

std::uint64_t GenericTimerChannel::count() const {
  return ticks_now(clock_, counter_hz_) - offset_;
}

std::uint64_t GenericTimerChannel::control() const {
  Control control = state_.control;
  const bool enabled = control.get(Control::kEnable) != 0;
  control.set(Control::kIstatus, enabled && (state_.met || count() >= state_.compare) ? 1 : 0);
  return control.raw;
}

std::uint64_t GenericTimerChannel::timer_value() const {
  return (state_.compare - count()) & 0xffff'ffff;
}

void GenericTimerChannel::set_control(std::uint64_t value) {
  state_.control.raw = static_cast<std::uint8_t>(value & Control::kWritable);
  update();
}

void GenericTimerChannel::set_compare(std::uint64_t value) {
  state_.compare = value;
  state_.met = false;
  update();
}

void GenericTimerChannel::set_timer_value(std::uint64_t value) {
  set_compare(count() + sign_extended(value));
}

void GenericTimerChannel::on_timer() {
  update();
}

bool GenericTimerChannel::wanted() const {
  return state_.control.get(Control::kEnable) != 0 && state_.control.get(Control::kImask) == 0;
}

void GenericTimerChannel::update() {
  if (count() >= state_.compare) state_.met = true;
  lines_.set_line(intid_, wanted() && state_.met);
  schedule();
}

void GenericTimerChannel::schedule() {
  disarm();
  if (!wanted() || state_.met || state_.compare > ~offset_) return;
  const std::uint64_t due = first_cycle_of(clock_, state_.compare + offset_, counter_hz_);
  if (due >> 63 == 0) arm(due);
}

void GenericTimerChannel::restore(const State& state, std::uint64_t offset) {
  state_ = state;
  offset_ = offset;
  schedule();
}

// ---- All of a vCPU ------------------------------------------------------------------------------

GenericTimer::GenericTimer(Clock& clock, std::uint64_t counter_hz, InterruptLines& lines)
    : counter_hz_{counter_hz},
      physical_{clock, counter_hz, kPhysicalIntid, lines},
      virtual_{clock, counter_hz, kVirtualIntid, lines},
      events_{clock, counter_hz} {
  state_.frequency = counter_hz & kFrequencyBits;
}

void GenericTimer::reset() {
  state_.frequency = counter_hz_ & kFrequencyBits;
  state_.kernel_control = {};
  physical_.reset();
  virtual_.reset();
  events_.stop();
}

void GenericTimer::wait_for_event() {
  const KernelControl control = state_.kernel_control;
  if (control.get(KernelControl::kEvnten) == 0) return events_.stop();
  events_.start({.bit = control.get(KernelControl::kEvnti),
                 .falling = control.get(KernelControl::kEvntdir) != 0},
                state_.virtual_offset);
}

GenericTimer::Decoded GenericTimer::decode(SystemRegister which) {
  switch (which) {
    case system_register(3, 0, 14, 1, 0): return {Name::kKernelControl};
    case system_register(3, 3, 14, 0, 0): return {Name::kFrequency};
    case system_register(3, 3, 14, 0, 1): return {Name::kPhysicalCount};
    case system_register(3, 3, 14, 0, 2): return {Name::kVirtualCount};
    case system_register(3, 3, 14, 2, 0): return {Name::kTimerValue, 0};
    case system_register(3, 3, 14, 2, 1): return {Name::kControl, 0};
    case system_register(3, 3, 14, 2, 2): return {Name::kCompare, 0};
    case system_register(3, 3, 14, 3, 0): return {Name::kTimerValue, 1};
    case system_register(3, 3, 14, 3, 1): return {Name::kControl, 1};
    case system_register(3, 3, 14, 3, 2): return {Name::kCompare, 1};
    default: return {Name::kNone};
  }
}

bool GenericTimer::allows_el0(const Decoded& decoded) const {
  const KernelControl control = state_.kernel_control;
  const bool physical = control.get(KernelControl::kEl0pcten) != 0;
  const bool of_virtual = control.get(KernelControl::kEl0vcten) != 0;
  switch (decoded.name) {
    case Name::kFrequency: return physical || of_virtual;
    case Name::kPhysicalCount: return physical;
    case Name::kVirtualCount: return of_virtual;
    default:
      return (decoded.channel == 0 ? control.get(KernelControl::kEl0pten)
                                   : control.get(KernelControl::kEl0vten)) != 0;
  }
}

Access GenericTimer::read(SystemRegister which, bool el0) const {
  const Decoded decoded = decode(which);
  if (decoded.name == Name::kNone) return Access::not_mine();
  if (el0 && decoded.name == Name::kKernelControl) return Access::fault();
  if (el0 && !allows_el0(decoded)) return Access::trap();
  const GenericTimerChannel& channel = decoded.channel == 0 ? physical_ : virtual_;
  switch (decoded.name) {
    case Name::kFrequency: return Access::done(state_.frequency);
    case Name::kKernelControl: return Access::done(state_.kernel_control.raw);
    case Name::kPhysicalCount: return Access::done(physical_.count());
    case Name::kVirtualCount: return Access::done(virtual_.count());
    case Name::kTimerValue: return Access::done(channel.timer_value());
    case Name::kControl: return Access::done(channel.control());
    case Name::kCompare: return Access::done(channel.compare());
    default: return Access::not_mine();
  }
}

Access GenericTimer::write(SystemRegister which, std::uint64_t value, bool el0) {
  const Decoded decoded = decode(which);
  GenericTimerChannel& channel = decoded.channel == 0 ? physical_ : virtual_;
  switch (decoded.name) {
    case Name::kNone: return Access::not_mine();
    case Name::kPhysicalCount:
    case Name::kVirtualCount: return Access::fault();
    case Name::kFrequency:
      if (el0) return Access::fault();
      state_.frequency = value & kFrequencyBits;
      return Access::done();
    case Name::kKernelControl:
      if (el0) return Access::fault();
      state_.kernel_control.raw = value & KernelControl::kBits;
      return Access::done();
    default: break;
  }
  if (el0 && !allows_el0(decoded)) return Access::trap();
  if (decoded.name == Name::kTimerValue) {
    channel.set_timer_value(value);
  } else if (decoded.name == Name::kControl) {
    channel.set_control(value);
  } else {
    channel.set_compare(value);
  }
  return Access::done();
}

GenericTimer::State GenericTimer::save() const {
  State state = state_;
  state.physical = physical_.save();
  state.virtual_ = virtual_.save();
  return state;
}

Result<void> GenericTimer::restore(const State& state) {
  if (state.frequency > kFrequencyBits) return cannot_hold("CNTFRQ", state.frequency);
  if ((state.kernel_control.raw & ~KernelControl::kBits) != 0) {
    return cannot_hold("CNTKCTL", state.kernel_control.raw);
  }
  if (state.virtual_offset > physical_.count()) return cannot_hold("CNTVOFF", state.virtual_offset);
  constexpr auto is_control = [](GenericTimerChannel::Control control) {
    return (control.raw & ~GenericTimerChannel::Control::kWritable) == 0;
  };
  if (!is_control(state.physical.control)) {
    return cannot_hold("CNTP_CTL", state.physical.control.raw);
  }
  if (!is_control(state.virtual_.control)) {
    return cannot_hold("CNTV_CTL", state.virtual_.control.raw);
  }
  physical_.restore(state.physical, 0);
  virtual_.restore(state.virtual_, state.virtual_offset);
  state_ = state;
  return {};
}

}  // namespace vpmu::machine
