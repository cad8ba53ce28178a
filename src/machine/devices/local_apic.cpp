// SPDX-License-Identifier: MIT
#include "machine/devices/local_apic.hpp"

#include <algorithm>

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

using apic::Base;
using apic::Command;
using apic::Lvt;
using apic::Spurious;

namespace {
constexpr std::uint64_t kPageAddress = 0xfee00000;
constexpr std::uint32_t kVersionNumber = 0x15;
constexpr std::uint32_t kEoiSuppressionOffered = 1U << 24;
/// Vectors below are exceptions: illegal for interrupts.
constexpr std::uint8_t kFirstLegalVector = 16;

enum Shorthand : std::uint8_t { kNoShorthand, kSelf, kAllIncludingSelf, kAllExcludingSelf };

/// The register of a 256-bit set that `offset` names, or -1.
int set_word(std::uint32_t offset, std::uint32_t first) {
  return offset >= first && offset < first + 0x80 ? static_cast<int>((offset - first) >> 4) : -1;
}
}  // namespace

LocalApic::LocalApic(const Config& config, Clock& clock, ApicBus& bus, CpuSignals& signals,
                     ExtIntSource* ext_int)
    : config_{config},
      bus_{bus},
      signals_{signals},
      ext_int_{ext_int},
      timer_{clock, config.timer_hz, *this} {
  bus.add(*this);
  reset();
}

void LocalApic::reset() {
  state_.base = {};
  state_.base.raw = kPageAddress;
  state_.base.set(Base::kEn, 1);
  state_.base.set(Base::kBsp, config_.bootstrap ? 1 : 0);
  init();
}

void LocalApic::init() {
  State fresh;
  fresh.base = state_.base;
  fresh.spurious.raw = 0xff;
  for (Lvt& lvt : fresh.lvt) lvt.set(Lvt::kMask, 1);
  // Levels of the pins are the wires', not the APIC's.
  fresh.lint_high = state_.lint_high;
  state_ = fresh;
  timer_.reset();
  update();
}

// ---- Interrupts to the CPU ----------------------------------------------------------------------

std::uint8_t LocalApic::processor_priority() const {
  const int serving = std::max(state_.in_service.highest(), 0);
  return state_.task_priority >> 4 >= serving >> 4 ? state_.task_priority
                                                   : static_cast<std::uint8_t>(serving & 0xf0);
}

std::uint8_t LocalApic::arbitration_priority() const {
  const int requested = std::max(state_.request.highest(), 0) & 0xf0;
  const int serving = std::max(state_.in_service.highest(), 0) & 0xf0;
  const int task = state_.task_priority;
  if (task >> 4 >= requested >> 4 && task >> 4 > serving >> 4) return state_.task_priority;
  return static_cast<std::uint8_t>(std::max({task & 0xf0, requested, serving}));
}

bool LocalApic::ext_int_ready() const {
  if (ext_int_ == nullptr) return false;
  if (state_.ext_int_pending) return true;
  if (!state_.lint_high[0]) return false;
  const Lvt lint0 = state_.lvt[kLint0];
  return !enabled() || (lint0.get(Lvt::kMask) == 0 &&
                        lint0.get(Lvt::kDeliveryMode) == static_cast<int>(DeliveryMode::kExtInt));
}

void LocalApic::update() {
  waiting_ = ext_int_ready() || (state_.request.highest() >> 4) > (processor_priority() >> 4);
}

std::uint8_t LocalApic::acknowledge() {
  if (ext_int_ready()) {
    state_.ext_int_pending = false;
    const std::uint8_t vector = ext_int_->acknowledge();  // may change LINT0
    update();
    return vector;
  }
  const int vector = state_.request.highest();
  if (vector >> 4 <= processor_priority() >> 4) {
    return static_cast<std::uint8_t>(state_.spurious.get(Spurious::kVector));
  }
  state_.request.erase(static_cast<std::uint8_t>(vector));
  state_.in_service.insert(static_cast<std::uint8_t>(vector));
  update();
  return static_cast<std::uint8_t>(vector);
}

void LocalApic::set_task_priority(std::uint8_t priority_class) {
  state_.task_priority = static_cast<std::uint8_t>(priority_class << 4);
  update();
}

void LocalApic::end_of_interrupt() {
  const int served = state_.in_service.highest();
  if (served < 0) return;
  const auto vector = static_cast<std::uint8_t>(served);
  state_.in_service.erase(vector);
  if (state_.trigger_mode.contains(vector)) {
    for (unsigned pin = 0; pin < 2; ++pin) {
      Lvt& lvt = state_.lvt[kLint0 + pin];
      if (lvt.get(Lvt::kRemoteIrr) != 0 && lvt.get(Lvt::kVector) == vector) {
        lvt.set(Lvt::kRemoteIrr, 0);
        drive_lint(pin);
      }
    }
    if (state_.spurious.get(Spurious::kSuppressEoiBroadcast) == 0) bus_.broadcast_eoi(vector);
  }
  update();
}

// ---- Interrupts from the wires ------------------------------------------------------------------

bool LocalApic::is_target_of(const InterruptMessage& message) const {
  if (message.is_broadcast()) return true;
  if (!message.logical) return message.destination == config_.id;
  const std::uint32_t wanted = message.destination;
  if (x2apic_mode()) {
    const std::uint32_t own = logical_register();
    return own >> 16 == wanted >> 16 && (own & wanted & 0xffff) != 0;
  }
  if (wanted > 0xff) return false;
  const std::uint32_t own = state_.logical_id;
  switch (state_.destination_format) {
    case 0xf: return (own & wanted) != 0;
    case 0x0: return own >> 4 == wanted >> 4 && (own & wanted & 0xf) != 0;
    default: return false;
  }
}

bool LocalApic::accept(DeliveryMode mode, std::uint8_t vector, bool level_triggered) {
  if (!enabled()) return false;
  switch (mode) {
    case DeliveryMode::kFixed:
    case DeliveryMode::kLowestPriority:
      if (!software_enabled()) return false;
      if (vector < kFirstLegalVector) {
        report_error(apic::kReceiveIllegalVector);
        return false;
      }
      state_.request.insert(vector);
      if (level_triggered) {
        state_.trigger_mode.insert(vector);
      } else {
        state_.trigger_mode.erase(vector);
      }
      update();
      signals_.wake();
      return true;
    case DeliveryMode::kNmi: signals_.nmi(); return true;
    case DeliveryMode::kInit:
      init();
      signals_.init();
      return true;
    case DeliveryMode::kStartUp: signals_.sipi(vector); return true;
    case DeliveryMode::kExtInt:
      if (ext_int_ == nullptr) return false;
      state_.ext_int_pending = true;
      update();
      signals_.wake();
      return true;
    case DeliveryMode::kSmi:
    case DeliveryMode::kReserved: break;
  }
  return false;
}

bool LocalApic::deliver_lvt(LvtIndex index) {
  const Lvt lvt = state_.lvt[index];
  if (lvt.get(Lvt::kMask) != 0) return false;
  const auto mode = static_cast<DeliveryMode>(lvt.get(Lvt::kDeliveryMode));
  switch (mode) {
    case DeliveryMode::kFixed:
    case DeliveryMode::kNmi:
    case DeliveryMode::kInit:
      return accept(mode, static_cast<std::uint8_t>(lvt.get(Lvt::kVector)), false);
    default: return false;  // ExtINT is LINT0's, which ext_int_ready() looks at; SMI: no SMM
  }
}

PmiOutcome LocalApic::deliver_pmi(bool auto_mask, PmiModes modes) {
  if (!enabled() || state_.lvt[kPerformance].get(Lvt::kMask) != 0) return PmiOutcome::kMasked;
  const auto mode = static_cast<DeliveryMode>(state_.lvt[kPerformance].get(Lvt::kDeliveryMode));
  if (modes == PmiModes::kFixedAndNmi && mode != DeliveryMode::kFixed &&
      mode != DeliveryMode::kNmi) {
    return PmiOutcome::kNotAccepted;
  }
  if (!deliver_lvt(kPerformance)) return PmiOutcome::kNotAccepted;
  if (auto_mask) state_.lvt[kPerformance].set(Lvt::kMask, 1);
  return PmiOutcome::kDelivered;
}

void LocalApic::on_apic_timer() {
  deliver_lvt(kTimer);
}

void LocalApic::set_lint(unsigned pin, bool high) {
  if (pin > 1 || state_.lint_high[pin] == high) return;
  state_.lint_high[pin] = high;
  const Lvt lvt = state_.lvt[kLint0 + pin];
  const bool level = lvt.get(Lvt::kLevel) != 0 &&
                     lvt.get(Lvt::kDeliveryMode) == static_cast<int>(DeliveryMode::kFixed);
  if (high && enabled()) {
    if (level) {
      drive_lint(pin);
    } else {
      deliver_lvt(static_cast<LvtIndex>(kLint0 + pin));
    }
  }
  update();
  if (waiting_) signals_.wake();
}

/// A level-triggered, fixed LINT: requests again and again while the pin is high.
void LocalApic::drive_lint(unsigned pin) {
  Lvt& lvt = state_.lvt[kLint0 + pin];
  if (!state_.lint_high[pin] || lvt.get(Lvt::kMask) != 0 || lvt.get(Lvt::kLevel) == 0 ||
      lvt.get(Lvt::kRemoteIrr) != 0 ||
      lvt.get(Lvt::kDeliveryMode) != static_cast<int>(DeliveryMode::kFixed)) {
    return;
  }
  if (accept(DeliveryMode::kFixed, static_cast<std::uint8_t>(lvt.get(Lvt::kVector)), true)) {
    lvt.set(Lvt::kRemoteIrr, 1);
  }
}

// ---- Interrupts to others -----------------------------------------------------------------------

void LocalApic::send_command() {
  const Command command = state_.command;
  const auto mode = static_cast<DeliveryMode>(command.get(Command::kDeliveryMode));
  const auto vector = static_cast<std::uint8_t>(command.get(Command::kVector));
  if (command.get(Command::kLevel) != 0 && command.get(Command::kAssert) == 0) return;
  if (mode == DeliveryMode::kExtInt) return;  // reserved in an ICR
  const bool has_vector = mode == DeliveryMode::kFixed || mode == DeliveryMode::kLowestPriority;
  if (has_vector && vector < kFirstLegalVector) {
    report_error(apic::kSendIllegalVector);
    return;
  }

  InterruptMessage message;
  message.mode = mode;
  message.vector = vector;
  message.logical = command.get(Command::kLogical) != 0;
  message.wide = x2apic_mode();
  message.destination = static_cast<std::uint32_t>(
      message.wide ? command.get(Command::kDestination) : command.get(Command::kNarrowDestination));
  switch (command.get(Command::kShorthand)) {
    case kNoShorthand: bus_.deliver(message); break;
    case kSelf: accept(mode, vector, false); break;
    case kAllIncludingSelf: bus_.deliver_to_all(message, nullptr); break;
    case kAllExcludingSelf: bus_.deliver_to_all(message, this); break;
  }
}

void LocalApic::send_self(std::uint8_t vector) {
  if (vector < kFirstLegalVector) {
    report_error(apic::kSendIllegalVector);
  } else {
    accept(DeliveryMode::kFixed, vector, false);
  }
}

void LocalApic::report_error(std::uint32_t error) {
  const bool is_new = (state_.errors_pending & error) == 0;
  state_.errors_pending |= error;
  // Once per error until it is read: an illegal vector in LVTERR itself must not come back here.
  if (is_new) deliver_lvt(kError);
}

// ---- Registers ----------------------------------------------------------------------------------

std::uint32_t LocalApic::id_register() const {
  return x2apic_mode() ? config_.id : config_.id << 24;
}

std::uint32_t LocalApic::version_register() const {
  const std::uint32_t max_lvt = config_.cmci ? 6 : 5;
  return kVersionNumber | max_lvt << 16 | kEoiSuppressionOffered;
}

std::uint32_t LocalApic::logical_register() const {
  if (!x2apic_mode()) return std::uint32_t{state_.logical_id} << 24;
  return config_.id >> 4 << 16 | 1U << (config_.id & 0xf);
}

int LocalApic::lvt_index(std::uint32_t offset) {
  if (offset == apic::kLvtCmci) return kCmci;
  if (offset < apic::kLvtTimer || offset > apic::kLvtError || offset % 0x10 != 0) return -1;
  return kTimer + static_cast<int>((offset - apic::kLvtTimer) >> 4);
}

/// In either mode; multiples of 16 only.
bool LocalApic::exists(std::uint32_t offset) const {
  switch (offset) {
    case apic::kLvtCmci: return config_.cmci;
    case apic::kArbitrationPriority:
    case apic::kRemoteRead:
    case apic::kDestinationFormat:
    case apic::kCommandHigh: return !x2apic_mode();
    case apic::kSelfIpi: return x2apic_mode();
    case apic::kId:
    case apic::kVersion:
    case apic::kTaskPriority:
    case apic::kProcessorPriority:
    case apic::kEoi:
    case apic::kLogicalDestination:
    case apic::kSpurious:
    case apic::kErrorStatus:
    case apic::kCommandLow:
    case apic::kInitialCount:
    case apic::kCurrentCount:
    case apic::kDivide: return true;
    default:
      return lvt_index(offset) >= 0 || (offset >= apic::kInService && offset < apic::kErrorStatus);
  }
}

/// Bits that a guest can change; 0 for read-only registers.
std::uint32_t LocalApic::writable_bits(std::uint32_t offset) const {
  constexpr std::uint32_t kVectorAndMask = mask_of(Lvt::kVector, Lvt::kMask);
  constexpr std::uint32_t kLocal = kVectorAndMask | mask_of(Lvt::kDeliveryMode);
  constexpr std::uint32_t kPin = kLocal | mask_of(Lvt::kPolarity, Lvt::kLevel);
  switch (offset) {
    case apic::kTaskPriority:
    case apic::kSelfIpi: return 0xff;
    case apic::kLogicalDestination: return x2apic_mode() ? 0 : 0xff000000;
    case apic::kDestinationFormat: return 0xf0000000;
    case apic::kSpurious: return Spurious::kBits;
    case apic::kCommandLow: return static_cast<std::uint32_t>(Command::kLowBits);
    case apic::kCommandHigh: return 0xff000000;
    case apic::kLvtTimer: return kVectorAndMask | (config_.tsc_deadline ? 0x60000 : 0x20000);
    case apic::kLvtCmci:
    case apic::kLvtThermal:
    case apic::kLvtPerformance: return kLocal;
    case apic::kLvtLint0:
    case apic::kLvtLint1: return kPin;
    case apic::kLvtError: return kVectorAndMask;
    case apic::kInitialCount: return ~0U;
    case apic::kDivide: return 0xb;
    default: return 0;
  }
}

std::uint32_t LocalApic::read_register(std::uint32_t offset) const {
  if (const int word = set_word(offset, apic::kInService); word >= 0) {
    return state_.in_service.word(static_cast<unsigned>(word));
  }
  if (const int word = set_word(offset, apic::kTriggerMode); word >= 0) {
    return state_.trigger_mode.word(static_cast<unsigned>(word));
  }
  if (const int word = set_word(offset, apic::kRequest); word >= 0) {
    return state_.request.word(static_cast<unsigned>(word));
  }
  if (const int index = lvt_index(offset); index >= 0) return state_.lvt[index].raw;
  switch (offset) {
    case apic::kId: return id_register();
    case apic::kVersion: return version_register();
    case apic::kTaskPriority: return state_.task_priority;
    case apic::kArbitrationPriority: return arbitration_priority();
    case apic::kProcessorPriority: return processor_priority();
    case apic::kLogicalDestination: return logical_register();
    case apic::kDestinationFormat:
      return std::uint32_t{state_.destination_format} << 28 | 0x0fffffff;
    case apic::kSpurious: return state_.spurious.raw;
    case apic::kErrorStatus: return state_.errors_shown;
    case apic::kCommandLow: return static_cast<std::uint32_t>(state_.command.raw);
    case apic::kCommandHigh: return static_cast<std::uint32_t>(state_.command.raw >> 32);
    case apic::kInitialCount: return timer_.initial_count();
    case apic::kCurrentCount: return timer_.current_count();
    case apic::kDivide: return timer_.divide();
    default: return 0;  // EOI, remote read
  }
}

/// `value` holds writable bits only.
void LocalApic::write_register(std::uint32_t offset, std::uint32_t value) {
  if (const int index = lvt_index(offset); index >= 0) {
    write_lvt(static_cast<LvtIndex>(index), value);
    return;
  }
  switch (offset) {
    case apic::kTaskPriority:
      state_.task_priority = static_cast<std::uint8_t>(value);
      update();
      break;
    case apic::kEoi: end_of_interrupt(); break;
    case apic::kLogicalDestination:
      state_.logical_id = static_cast<std::uint8_t>(value >> 24);
      break;
    case apic::kDestinationFormat:
      state_.destination_format = static_cast<std::uint8_t>(value >> 28);
      break;
    case apic::kSpurious: write_spurious(value); break;
    case apic::kErrorStatus:
      state_.errors_shown = state_.errors_pending;
      state_.errors_pending = 0;
      break;
    case apic::kCommandLow:
      state_.command.raw = (state_.command.raw & ~std::uint64_t{0xffffffff}) | value;
      send_command();
      break;
    case apic::kCommandHigh:
      state_.command.raw = (state_.command.raw & 0xffffffff) | std::uint64_t{value} << 32;
      break;
    case apic::kInitialCount: timer_.set_initial_count(value); break;
    case apic::kDivide: timer_.set_divide(value); break;
    case apic::kSelfIpi: send_self(static_cast<std::uint8_t>(value)); break;
    default: break;  // read-only
  }
}

void LocalApic::write_lvt(LvtIndex index, std::uint32_t value) {
  Lvt lvt;
  lvt.raw = value;
  if (!software_enabled()) lvt.set(Lvt::kMask, 1);
  // Remote IRR is the APIC's; it has no meaning, and must not linger, on an edge-triggered pin.
  if (lvt.get(Lvt::kLevel) != 0) {
    lvt.set(Lvt::kRemoteIrr, state_.lvt[index].get(Lvt::kRemoteIrr));
  }
  if (index == kTimer) {
    // What expired until now is delivered as the register was.
    timer_.set_mode(static_cast<ApicTimer::Mode>(lvt.get(Lvt::kTimerMode)));
    timer_.set_masked(lvt.get(Lvt::kMask) != 0);
  }
  state_.lvt[index] = lvt;
  if (index == kLint0 || index == kLint1) drive_lint(index - kLint0);
  update();
}

void LocalApic::write_spurious(std::uint32_t value) {
  const bool was_enabled = software_enabled();
  state_.spurious.raw = value;
  if (was_enabled && !software_enabled()) {
    for (Lvt& lvt : state_.lvt) lvt.set(Lvt::kMask, 1);
    timer_.set_masked(true);
  }
  update();
}

// ---- Access by MMIO and MSR ---------------------------------------------------------------------

std::uint64_t LocalApic::read_mmio(std::uint64_t offset, unsigned bytes) {
  const std::uint64_t ones = ~std::uint64_t{0} >> (64 - 8 * bytes);
  if (!enabled() || x2apic_mode()) return ones;
  const auto reg = static_cast<std::uint32_t>(offset & 0xff0);
  const auto within = static_cast<unsigned>(offset & 0xf);
  if (!exists(reg)) {
    report_error(apic::kIllegalRegister);
    return 0;
  }
  // Registers are 32 bits wide at multiples of 16; the rest of the page reads 0.
  if (within >= 4) return 0;
  return (read_register(reg) >> (8 * within)) & ones;
}

void LocalApic::write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (!enabled() || x2apic_mode()) return;
  // The manual promises nothing for other widths and alignments.
  if (bytes != 4 || (offset & 0xf) != 0) return;
  const auto reg = static_cast<std::uint32_t>(offset & 0xff0);
  if (!exists(reg)) {
    report_error(apic::kIllegalRegister);
    return;
  }
  write_register(reg, static_cast<std::uint32_t>(value) & writable_bits(reg));
}

Access LocalApic::read_msr(MsrIndex msr) {
  const std::uint32_t index = raw(msr);
  if (index == apic::kMsrBase) return Access::done(state_.base.raw);
  if (index == apic::kMsrTscDeadline && config_.tsc_deadline) {
    return Access::done(timer_.deadline());
  }
  if (index < apic::kMsrX2ApicFirst || index > apic::kMsrX2ApicLast) return Access::not_mine();
  return read_x2apic((index - apic::kMsrX2ApicFirst) << 4);
}

Access LocalApic::write_msr(MsrIndex msr, std::uint64_t value) {
  const std::uint32_t index = raw(msr);
  if (index == apic::kMsrBase) return write_base(value);
  if (index == apic::kMsrTscDeadline && config_.tsc_deadline) {
    timer_.set_deadline(value);
    return Access::done();
  }
  if (index < apic::kMsrX2ApicFirst || index > apic::kMsrX2ApicLast) return Access::not_mine();
  return write_x2apic((index - apic::kMsrX2ApicFirst) << 4, value);
}

Access LocalApic::read_x2apic(std::uint32_t offset) const {
  if (!x2apic_mode() || !exists(offset) || offset == apic::kEoi || offset == apic::kSelfIpi) {
    return Access::fault();
  }
  if (offset == apic::kCommandLow) return Access::done(state_.command.raw);
  return Access::done(read_register(offset));
}

Access LocalApic::write_x2apic(std::uint32_t offset, std::uint64_t value) {
  if (!x2apic_mode() || !exists(offset)) return Access::fault();
  if (offset == apic::kCommandLow) {
    constexpr std::uint64_t kIgnored = mask_of(Command::kDeliveryStatus);
    constexpr std::uint64_t kBits = Command::kLowBits | mask_of(Command::kDestination);
    if ((value & ~(kBits | kIgnored)) != 0) return Access::fault();
    state_.command.raw = value & kBits;
    send_command();
    return Access::done();
  }
  const std::uint64_t writable = writable_bits(offset);
  const bool write_only = offset == apic::kEoi || offset == apic::kErrorStatus;  // of zero
  if (writable == 0 && !write_only) return Access::fault();
  std::uint64_t ignored = 0;
  if (lvt_index(offset) >= 0) ignored |= mask_of(Lvt::kDeliveryStatus);
  if (offset == apic::kLvtLint0 || offset == apic::kLvtLint1) ignored |= mask_of(Lvt::kRemoteIrr);
  if ((value & ~(writable | ignored)) != 0) return Access::fault();
  write_register(offset, static_cast<std::uint32_t>(value & writable));
  return Access::done();
}

std::uint64_t LocalApic::base_bits() const {
  const std::uint64_t physical = (std::uint64_t{1} << config_.physical_bits) - 1;
  const std::uint64_t bits = mask_of(Base::kBsp, Base::kEn) | (mask_of(Base::kAddress) & physical);
  return config_.x2apic ? bits | mask_of(Base::kExtd) : bits;
}

Access LocalApic::write_base(std::uint64_t value) {
  if ((value & ~base_bits()) != 0) return Access::fault();

  Base wanted;
  wanted.raw = value;
  const bool enable = wanted.get(Base::kEn) != 0;
  const bool extend = wanted.get(Base::kExtd) != 0;
  if (extend && !enable) return Access::fault();
  if (x2apic_mode() && enable && !extend) return Access::fault();
  if (!enabled() && extend) return Access::fault();

  const bool leaves_xapic = extend && !x2apic_mode();
  const bool disables = enabled() && !enable;
  state_.base = wanted;
  if (disables) init();
  if (leaves_xapic) {
    // The ICR becomes one register, whose upper half does not survive the change.
    state_.command.raw &= 0xffffffff;
  }
  update();
  return Access::done();
}

// ---- State --------------------------------------------------------------------------------------

LocalApic::State LocalApic::save() const {
  State state = state_;
  state.timer = timer_.save();
  return state;
}

Result<void> LocalApic::restore(const State& state) {
  constexpr std::uint32_t kLvtBits =
      mask_of(Lvt::kVector, Lvt::kDeliveryMode, Lvt::kPolarity, Lvt::kRemoteIrr, Lvt::kLevel,
              Lvt::kMask, Lvt::kTimerMode);
  constexpr std::uint64_t kCommandBits = Command::kLowBits | mask_of(Command::kDestination);
  constexpr std::uint32_t kErrors =
      apic::kSendIllegalVector | apic::kReceiveIllegalVector | apic::kIllegalRegister;
  const std::uint64_t base = state.base.raw;
  const bool extended = state.base.get(Base::kExtd) != 0;
  if ((base & ~base_bits()) != 0 || (extended && state.base.get(Base::kEn) == 0)) {
    return cannot_hold("IA32_APIC_BASE", base);
  }
  if (state.destination_format > 0xf) return cannot_hold("DFR", state.destination_format);
  if ((state.spurious.raw & ~Spurious::kBits) != 0) return cannot_hold("SVR", state.spurious.raw);
  if ((state.command.raw & ~kCommandBits) != 0) return cannot_hold("ICR", state.command.raw);
  for (const Lvt& lvt : state.lvt) {
    if ((lvt.raw & ~kLvtBits) != 0) return cannot_hold("LVT entry", lvt.raw);
  }
  if (((state.errors_shown | state.errors_pending) & ~kErrors) != 0) {
    return cannot_hold("ESR", state.errors_shown | state.errors_pending);
  }
  if (auto timer = timer_.restore(state.timer); !timer) return timer;
  state_ = state;
  update();
  return {};
}

}  // namespace vpmu::machine
