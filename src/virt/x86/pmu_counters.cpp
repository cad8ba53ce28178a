// SPDX-License-Identifier: MIT
//
// Virtual PMU: what the registers say about a counter, its value, and the host event behind it.
#include "virt/x86/counter_sets.hpp"
#include "vpmu/silicon/x86/amd_pmu_registers.hpp"
#include "vpmu/silicon/x86/event_selector.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::virt::x86 {

using hostperf::EventState;
using hostperf::kNoEvent;
using silicon::Privilege;
using silicon::x86::AmdEventSelect;
using silicon::x86::EventSelect;
using silicon::x86::EventSelector;
using silicon::x86::FixedControl;
using silicon::x86::Vendor;

namespace {

// Where both vendors' selectors agree. What names an event does not: bits 35:32 are IN_TX and
// IN_TXCP on one and part of the event select on the other.
static_assert(EventSelect::kEn.kMask == AmdEventSelect::kEn.kMask &&
              EventSelect::kInt.kMask == AmdEventSelect::kInt.kMask &&
              EventSelect::kUsr.kMask == AmdEventSelect::kUsr.kMask &&
              EventSelect::kOs.kMask == AmdEventSelect::kOs.kMask);

/// What fixed counter `k` counts, as an event select that a general-purpose counter could have.
/// Reference cycles at the TSC's rate and topdown slots have no such encoding but Linux's.
constexpr std::uint64_t fixed_config(unsigned k) {
  constexpr std::uint64_t kConfigs[Pmu::kMaxFixed] = {0x00c0, 0x003c, 0x0300, 0x0400};
  return kConfigs[k];
}

/// What of a selector names the event whose instructions a hypervisor credits, and which those are.
struct CreditedEvents {
  std::uint64_t compared;
  std::uint64_t instructions;
  std::uint64_t branches;
};
/// A selector with IN_TX or IN_TXCP names neither event: nothing is emulated in a transaction.
constexpr CreditedEvents kIntelCredited{
    mask_of(EventSelect::kEvent, EventSelect::kUnitMask, EventSelect::kInTx, EventSelect::kInTxcp),
    0x00c0, 0x00c4};
constexpr CreditedEvents kAmdCredited{
    mask_of(AmdEventSelect::kEvent, AmdEventSelect::kUnitMask, AmdEventSelect::kEventHigh), 0x00c0,
    0x00c2};

/// Whether host perf takes that for a fixed counter's event (EventAttr::config). To a guest, event
/// select 0 is no event of a general-purpose counter, and must not take its fixed counter away.
bool names_fixed_counter(Vendor vendor, std::uint64_t config) {
  return vendor == Vendor::kIntel && EventSelect{{config}}.get(EventSelect::kEvent) == 0;
}

}  // namespace

// ---- What the registers say ---------------------------------------------------------------------

Pmu::Counter& Pmu::counter(CounterIndex index) {
  return is_fixed(index) ? fixed_[place(index)] : gp_[place(index)];
}

const Pmu::Counter& Pmu::counter(CounterIndex index) const {
  return is_fixed(index) ? fixed_[place(index)] : gp_[place(index)];
}

std::uint64_t Pmu::mask(CounterIndex index) const {
  return low_bits(is_fixed(index) ? config_.fixed_width : config_.gp_width);
}

bool Pmu::interrupts(CounterIndex index) const {
  if (is_fixed(index)) {
    return control_of(fixed_control_, place(index)).get(FixedControl::kPmi) != 0;
  }
  return (event_select_[place(index)] & mask_of(EventSelect::kInt)) != 0;
}

bool Pmu::locally_enabled(CounterIndex index) const {
  if (is_fixed(index)) {
    return (control_of(fixed_control_, place(index)).raw & FixedControl::kEnable) != 0;
  }
  return (event_select_[place(index)] & mask_of(EventSelect::kEn)) != 0;
}

/// AMD's Guest-Only and Host-Only: without EFER.SVME a counter that has either stands still.
bool Pmu::in_counted_mode(unsigned gp) const {
  const AmdEventSelect select{{event_select_[gp]}};
  const bool guest_only = select.get(AmdEventSelect::kGuestOnly) != 0;
  const bool host_only = select.get(AmdEventSelect::kHostOnly) != 0;
  if (!guest_only && !host_only) return true;
  return svme_ && (guest_mode_ ? guest_only : host_only);
}

bool Pmu::enabled(CounterIndex index) const {
  if (config_.version > 1 && (global_control_ & bit(index)) == 0) return false;
  if ((global_status_ & freezing_status_) != 0) return false;
  if (config_.host_guest_only && !in_counted_mode(place(index))) return false;
  return locally_enabled(index);
}

EventSelector Pmu::event_of(unsigned gp) const {
  return silicon::x86::selector_of(config_.vendor, event_select_[gp]);
}

bool Pmu::admitted(CounterIndex index) const {
  if (gate_ == nullptr) return true;
  return is_fixed(index) ? gate_->admits_fixed(place(index))
                         : gate_->admits(event_of(place(index)));
}

Pmu::Programme Pmu::programme(CounterIndex index) const {
  if (!is_fixed(index)) {
    const EventSelect select{{event_select_[place(index)]}};
    const std::uint64_t counted = is_intel() ? EventSelect::kCountedTsx : AmdEventSelect::kCounted;
    return {select.raw & counted, select.get(EventSelect::kUsr) != 0,
            select.get(EventSelect::kOs) != 0};
  }
  const FixedControl control = control_of(fixed_control_, place(index));
  return {fixed_config(place(index)), control.get(FixedControl::kUsr) != 0,
          control.get(FixedControl::kOs) != 0};
}

// ---- Values -------------------------------------------------------------------------------------

std::uint64_t Pmu::value(CounterIndex index) const {
  const Counter& read = counter(index);
  if (read.event == kNoEvent) return read.value;
  const auto count = perf_.read(read.event);
  if (!count) return read.value;
  return (read.value + (count->value - read.folded)) & mask(index);
}

/// What a guest has seen once is never taken back, even if the event is lost the next moment.
std::uint64_t Pmu::read_counter(CounterIndex index) {
  fold(index);
  return counter(index).value;
}

void Pmu::fold(CounterIndex index) {
  Counter& folded = counter(index);
  if (folded.event == kNoEvent) return;
  auto count = perf_.read(folded.event);
  if (!count) {
    // In error. What it counted before that can be read once it is off.
    perf_.disable(folded.event);
    count = perf_.read(folded.event);
    if (!count) return;
  }
  folded.value = (folded.value + (count->value - folded.folded)) & mask(index);
  folded.folded = count->value;
}

/// From the value to the overflow. An event that leaves out aborted transactions may go back, which
/// no host can interrupt on: it only counts.
std::uint64_t Pmu::period(CounterIndex index) const {
  const Counter& armed = counter(index);
  const bool only_counts = is_intel() && (armed.config & mask_of(EventSelect::kInTxcp)) != 0;
  return only_counts ? 0 : mask(index) - armed.value + 1;
}

// ---- Host events --------------------------------------------------------------------------------

void Pmu::request_reprogram(std::uint64_t counters) {
  reprogram_ |= counters;
  reprogram_requested_.store(true, std::memory_order_release);
}

bool Pmu::reprogram(CounterIndex index) {
  if (!enabled(index)) {
    stop(index, CounterStatus::kOff);
  } else if (!admitted(index)) {
    stop(index, CounterStatus::kDenied);
  } else {
    return start(index, programme(index));
  }
  return true;
}

/// The event is kept: guests stop counters for moments.
void Pmu::stop(CounterIndex index, CounterStatus why) {
  Counter& target = counter(index);
  if (target.event != kNoEvent) {
    perf_.disable(target.event);
    fold(index);
  }
  const bool off = why == CounterStatus::kOff;
  set_status(index, why, off ? target.status_config : programme(index).config);
}

bool Pmu::start(CounterIndex index, Programme wanted) {
  Counter& target = counter(index);
  const bool reusable = target.event != kNoEvent && target.config == wanted.config &&
                        target.user == wanted.user && target.kernel == wanted.kernel;
  EventState state = EventState::kOff;
  if (reusable) {
    state = rearm(index);
  } else {
    close_event(index);
    if (!open_event(index, wanted)) return target.status == CounterStatus::kUnsupportedEvent;
  }
  if (state != EventState::kActive) {
    perf_.enable(target.event);
    host_schedule_changed_ = true;
    state = perf_.state(target.event);
  }
  const bool on = state != EventState::kError;
  set_status(index, on ? CounterStatus::kCounting : CounterStatus::kStarved, wanted.config);
  return on;
}

/// The event goes on with another period, on its counter still if it is on one. Its state then.
EventState Pmu::rearm(CounterIndex index) {
  const hostperf::EventId event = counter(index).event;
  switch (perf_.state(event)) {
    case EventState::kOff:  // was folded by whoever stopped it
      perf_.set_period(event, period(index));
      return EventState::kOff;
    case EventState::kActive:
      perf_.pause(event);
      fold(index);
      perf_.set_period(event, period(index));
      perf_.resume(event);
      break;
    case EventState::kInactive:
    case EventState::kError:
      fold(index);
      perf_.set_period(event, period(index));
      break;
  }
  return perf_.state(event);
}

bool Pmu::open_event(CounterIndex index, Programme wanted) {
  Counter& target = counter(index);
  if (!is_fixed(index) && names_fixed_counter(config_.vendor, wanted.config)) {
    set_status(index, CounterStatus::kUnsupportedEvent, wanted.config);
    return false;
  }
  target.config = wanted.config;
  target.user = wanted.user;
  target.kernel = wanted.kernel;
  const hostperf::EventAttr attr{
      .config = wanted.config,
      .period = period(index),
      .pinned = true,
      .exclude_user = !wanted.user,
      .exclude_kernel = !wanted.kernel,
      .exclude_host = true,
      .exclude_idle = true,
      .cookie = static_cast<std::uint64_t>(index),
  };
  const auto event = perf_.open(attr, hostperf::Target::of(vcpu_), *this);
  if (!event) {
    const bool no_space = event.error() == hostperf::OpenError::kNoSpace;
    set_status(index, no_space ? CounterStatus::kStarved : CounterStatus::kUnsupportedEvent,
               wanted.config);
    return false;
  }
  target.event = *event;
  target.folded = 0;
  return true;
}

void Pmu::close_event(CounterIndex index) {
  Counter& target = counter(index);
  if (target.event == kNoEvent) return;
  fold(index);
  perf_.close(target.event);
  target.event = kNoEvent;
  target.folded = 0;
}

void Pmu::close_unused_events() {
  for_each(all_counters(), [this](CounterIndex index) {
    Counter& checked = counter(index);
    if (!checked.touched && !locally_enabled(index)) close_event(index);
    checked.touched = false;
  });
}

void Pmu::set_status(CounterIndex index, CounterStatus status, std::uint64_t config) {
  Counter& target = counter(index);
  if (target.status == status && target.status_config == config) return;
  target.status = status;
  counting_ = status == CounterStatus::kCounting ? counting_ | bit(index) : counting_ & ~bit(index);
  target.status_config = config;
  if (observer_ != nullptr) observer_->counter_changed(index, status, config);
}

/// Of a counter that should count. A pinned event that is inactive waits for its vCPU to run, not
/// for a counter; right behind restore() there is no event yet.
bool Pmu::is_lost(const Counter& checked) const {
  if (checked.event == kNoEvent) return false;
  const EventState state = perf_.state(checked.event);
  return state == EventState::kError || state == EventState::kOff;
}

CounterStatus Pmu::status(CounterIndex index) const {
  const Counter& asked = counter(index);
  const bool lost = asked.status == CounterStatus::kCounting && is_lost(asked);
  return lost ? CounterStatus::kStarved : asked.status;
}

void Pmu::look_for_lost_events() {
  for_each(counting_, [this](CounterIndex index) {
    const Counter& checked = counter(index);
    if (!is_lost(checked)) return;
    fold(index);
    set_status(index, CounterStatus::kStarved, checked.status_config);
    // Tried again with the next request. To ask for one here would be to try without end.
    reprogram_ |= bit(index);
  });
}

// ---- Instructions that a hypervisor completes ---------------------------------------------------

void Pmu::note_creditable(CounterIndex index) {
  instruction_counters_ &= ~bit(index);
  branch_counters_ &= ~bit(index);
  if (!locally_enabled(index)) return;
  const CreditedEvents& credited = is_intel() ? kIntelCredited : kAmdCredited;
  const std::uint64_t selected =
      (is_fixed(index) ? fixed_config(place(index)) : event_select_[place(index)]) &
      credited.compared;
  if (selected == credited.instructions) instruction_counters_ |= bit(index);
  if (selected == credited.branches) branch_counters_ |= bit(index);
}

void Pmu::instruction_emulated(EmulatedInstruction kind, Privilege privilege) {
  std::uint64_t counters = instruction_counters_;
  if (kind == EmulatedInstruction::kBranch) counters |= branch_counters_;
  for_each(counters, [&](CounterIndex index) {
    const Programme wanted = programme(index);
    const bool there = privilege == Privilege::kUser ? wanted.user : wanted.kernel;
    if (there && enabled(index) && admitted(index)) credit(index);
  });
}

/// Folded first, so that a turn which the host event completed is the host event's to report.
void Pmu::credit(CounterIndex index) {
  fold(index);
  Counter& credited = counter(index);
  credited.value = (credited.value + 1) & mask(index);
  if (credited.value == 0) overflowed(index);
  credited_ |= bit(index);
  reprogram_requested_ = true;
  sink_.request_entry_work();
}

}  // namespace vpmu::virt::x86
