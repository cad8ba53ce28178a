// SPDX-License-Identifier: MIT
//
// Virtual PMU: from registers to host events and back, overflow and PMI.
#include "vpmu/virt/x86/pmu.hpp"

#include <bit>

#include "vpmu/base/ensure.hpp"

namespace vpmu::virt::x86 {

using hostperf::EventState;
using hostperf::kNoEvent;
using silicon::x86::Cpuid0aEax;
using silicon::x86::Cpuid0aEdx;
using silicon::x86::EventSelect;
using silicon::x86::FixedControl;
using silicon::x86::GlobalStatus;
using silicon::x86::MiscEnable;

namespace {

constexpr std::uint64_t low_bits(unsigned count) {
  return count == 0 ? 0 : ~std::uint64_t{0} >> (64 - count);
}

constexpr std::uint64_t bit(CounterIndex index) {
  return std::uint64_t{1} << static_cast<unsigned>(index);
}

constexpr bool is_fixed(CounterIndex index) {
  return static_cast<unsigned>(index) >= GlobalStatus::kFixed0;
}

/// Place in the array of its kind.
constexpr std::size_t place(CounterIndex index) {
  return is_fixed(index) ? static_cast<unsigned>(index) - GlobalStatus::kFixed0
                         : static_cast<unsigned>(index);
}

template <class Function>
void for_each(std::uint64_t counters, Function function) {
  for (; counters != 0; counters &= counters - 1) {
    function(static_cast<CounterIndex>(std::countr_zero(counters)));
  }
}

/// What fixed counter `k` counts, as an event select that a general-purpose counter could have.
/// Reference cycles at the TSC's rate and topdown slots have no such encoding but Linux's.
constexpr std::uint64_t fixed_config(std::size_t k) {
  constexpr std::uint64_t kConfigs[Pmu::kMaxFixed] = {0x00c0, 0x003c, 0x0300, 0x0400};
  return kConfigs[k];
}

}  // namespace

const char* name(CounterStatus status) {
  switch (status) {
    case CounterStatus::kOff: return "off";
    case CounterStatus::kCounting: return "counting";
    case CounterStatus::kUnsupportedEvent: return "unsupported event";
    case CounterStatus::kStarved: return "starved";
    case CounterStatus::kDenied: return "denied";
  }
  return "?";
}

Pmu::Pmu(const PmuConfig& config, hostperf::HostPerf& perf, hostperf::VcpuIndex vcpu, PmiSink& sink)
    : config_{config}, perf_{perf}, vcpu_{vcpu}, sink_{sink} {
  ensure(config.gp_counters <= kMaxGp && config.fixed_counters <= kMaxFixed);
  if (config_.version > 0) {
    global_control_writable_ = low_bits(config_.gp_counters) | low_bits(config_.fixed_counters)
                                                                   << GlobalStatus::kFixed0;
    global_status_valid_ =
        global_control_writable_ | mask_of(GlobalStatus::kOvfBuf, GlobalStatus::kCondChgd);
    event_select_writable_ = EventSelect::kPlain;
    for (unsigned k = 0; k < config_.fixed_counters; ++k) {
      fixed_control_writable_ |= FixedControl::kPlain << (FixedControl::kBits * k);
    }
  }
  reset();
}

Pmu::~Pmu() {
  for_each(all_counters(), [this](CounterIndex index) { close_event(index); });
}

void Pmu::reset() {
  for_each(all_counters(), [this](CounterIndex index) { close_event(index); });
  gp_.fill({});
  fixed_.fill({});
  event_select_.fill({});
  fixed_control_ = 0;
  global_control_ = config_.version > 1 ? low_bits(config_.gp_counters) : 0;
  global_status_ = 0;
  debug_control_ = 0;
  MiscEnable misc_enable;
  misc_enable.set(MiscEnable::kFastStrings, 1);
  misc_enable.set(MiscEnable::kPerformanceMonitoringAvailable, config_.version > 0 ? 1 : 0);
  misc_enable.set(MiscEnable::kBtsUnavailable, 1);
  misc_enable.set(MiscEnable::kPebsUnavailable, 1);
  misc_enable_ = misc_enable.raw;
  reprogram_ = 0;
  reprogram_requested_ = false;
  pmi_pending_ = false;
}

void Pmu::adjust_cpuid(std::uint32_t leaf, silicon::x86::CpuidResult& result) const {
  if (leaf == 0x1) {
    constexpr std::uint32_t kPdcm = 1u << 15;
    result.ecx &= ~kPdcm;
    if (config_.has_perf_capabilities) result.ecx |= kPdcm;
  }
  if (leaf != 0xa) return;
  result = {};
  if (config_.vendor != silicon::x86::Vendor::kIntel || config_.version == 0) return;
  Cpuid0aEax eax;
  eax.set(Cpuid0aEax::kVersion, config_.version);
  eax.set(Cpuid0aEax::kCounters, config_.gp_counters);
  eax.set(Cpuid0aEax::kWidth, config_.gp_width);
  eax.set(Cpuid0aEax::kEventsLength, config_.arch_event_length);
  Cpuid0aEdx edx;
  edx.set(Cpuid0aEdx::kFixedCounters, config_.fixed_counters);
  edx.set(Cpuid0aEdx::kFixedWidth, config_.fixed_width);
  edx.set(Cpuid0aEdx::kAnyThreadDeprecated, 1);
  result = {eax.raw, config_.arch_events_unavailable, 0, edx.raw};
}

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

namespace {

FixedControl control_of(std::uint64_t fixed_control, std::size_t k) {
  return {{fixed_control >> (FixedControl::kBits * k) & low_bits(FixedControl::kBits)}};
}

}  // namespace

bool Pmu::interrupts(CounterIndex index) const {
  if (!is_fixed(index)) return event_select_[place(index)].get(EventSelect::kInt) != 0;
  return control_of(fixed_control_, place(index)).get(FixedControl::kPmi) != 0;
}

bool Pmu::locally_enabled(CounterIndex index) const {
  if (!is_fixed(index)) return event_select_[place(index)].get(EventSelect::kEn) != 0;
  return (control_of(fixed_control_, place(index)).raw & FixedControl::kEnable) != 0;
}

bool Pmu::may_count(CounterIndex index) const {
  const bool globally_enabled = config_.version < 2 || (global_control_ & bit(index)) != 0;
  return globally_enabled && locally_enabled(index);
}

Pmu::Programme Pmu::programme(CounterIndex index) const {
  if (!is_fixed(index)) {
    const EventSelect select = event_select_[place(index)];
    return {select.raw & EventSelect::kCounted, select.get(EventSelect::kUsr) != 0,
            select.get(EventSelect::kOs) != 0};
  }
  const FixedControl control = control_of(fixed_control_, place(index));
  return {fixed_config(place(index)), control.get(FixedControl::kUsr) != 0,
          control.get(FixedControl::kOs) != 0};
}

CounterStatus Pmu::status(CounterIndex index) const {
  const Counter& asked = counter(index);
  if (asked.status == CounterStatus::kCounting && perf_.state(asked.event) == EventState::kError) {
    return CounterStatus::kStarved;
  }
  return asked.status;
}

PmuStatistics Pmu::statistics() const {
  PmuStatistics statistics = statistics_;
  statistics.overflows = overflows_;
  return statistics;
}

// ---- Values -------------------------------------------------------------------------------------

std::uint64_t Pmu::read_counter(CounterIndex index) const {
  const Counter& read = counter(index);
  if (read.event == kNoEvent) return read.value;
  const auto count = perf_.read(read.event);
  if (!count) return read.value;
  return (read.value + (count->value - read.folded)) & mask(index);
}

void Pmu::fold(CounterIndex index) {
  Counter& folded = counter(index);
  if (folded.event == kNoEvent) return;
  const auto count = perf_.read(folded.event);
  if (!count) return;
  folded.value = (folded.value + (count->value - folded.folded)) & mask(index);
  folded.folded = count->value;
}

// ---- Host events --------------------------------------------------------------------------------

void Pmu::request_reprogram(std::uint64_t counters) {
  reprogram_ |= counters;
  reprogram_requested_ = true;
}

bool Pmu::reprogram(CounterIndex index) {
  Counter& target = counter(index);
  if (target.event != kNoEvent) {
    perf_.pause(target.event);
    fold(index);
  }
  if (may_count(index)) return start(index, programme(index));
  // The event is kept: guests stop counters for moments.
  if (target.event != kNoEvent) perf_.disable(target.event);
  target.status = CounterStatus::kOff;
  return true;
}

bool Pmu::start(CounterIndex index, Programme wanted) {
  Counter& target = counter(index);
  const bool reusable = target.event != kNoEvent && target.config == wanted.config &&
                        target.user == wanted.user && target.kernel == wanted.kernel &&
                        perf_.state(target.event) != EventState::kError;
  if (reusable) {
    perf_.set_period(target.event, mask(index) - target.value + 1);
    perf_.resume(target.event);
  } else {
    close_event(index);
    if (!open_event(index, wanted)) return target.status == CounterStatus::kUnsupportedEvent;
  }
  perf_.enable(target.event);
  const bool on = perf_.state(target.event) != EventState::kError;
  target.status = on ? CounterStatus::kCounting : CounterStatus::kStarved;
  return on;
}

namespace {

/// Whether host perf takes that for a fixed counter's event (EventAttr::config). To a guest, event
/// select 0 is no event of a general-purpose counter, and must not take its fixed counter away.
bool names_fixed_counter(silicon::x86::Vendor vendor, std::uint64_t config) {
  return vendor == silicon::x86::Vendor::kIntel &&
         EventSelect{{config}}.get(EventSelect::kEvent) == 0;
}

}  // namespace

bool Pmu::open_event(CounterIndex index, Programme wanted) {
  Counter& target = counter(index);
  if (!is_fixed(index) && names_fixed_counter(config_.vendor, wanted.config)) {
    target.status = CounterStatus::kUnsupportedEvent;
    return false;
  }
  const hostperf::EventAttr attr{
      .config = wanted.config,
      .period = mask(index) - target.value + 1,
      .pinned = true,
      .exclude_user = !wanted.user,
      .exclude_kernel = !wanted.kernel,
      .exclude_host = true,
      .exclude_idle = true,
      .cookie = static_cast<std::uint64_t>(index),
  };
  const auto event = perf_.open(attr, hostperf::Target::of(vcpu_), *this);
  if (!event) {
    target.status = event.error() == hostperf::OpenError::kNoSpace
                        ? CounterStatus::kStarved
                        : CounterStatus::kUnsupportedEvent;
    return false;
  }
  target.event = *event;
  target.folded = 0;
  target.config = wanted.config;
  target.user = wanted.user;
  target.kernel = wanted.kernel;
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

void Pmu::scheduled_in() {
  new_time_slice_ = true;
  // Counters that host perf had no room for get another chance.
  if (reprogram_ != 0) reprogram_requested_ = true;
  for_each(all_counters(), [this](CounterIndex index) {
    if (counter(index).event != kNoEvent) reprogram_requested_ = true;
  });
}

void Pmu::close_unused_events() {
  for_each(all_counters(), [this](CounterIndex index) {
    Counter& checked = counter(index);
    if (!checked.touched && !locally_enabled(index)) close_event(index);
    checked.touched = false;
  });
}

// ---- Entry, overflow, PMI -----------------------------------------------------------------------

void Pmu::before_entry() {
  if (reprogram_requested_.exchange(false)) {
    // Only the bits taken here are cleared: an overflow may set others meanwhile.
    const std::uint64_t snapshot = reprogram_.exchange(0);
    for_each(snapshot, [this](CounterIndex index) {
      if (!reprogram(index)) reprogram_ |= bit(index);
    });
    if (new_time_slice_) {
      new_time_slice_ = false;
      close_unused_events();
    }
  }
  if (pmi_pending_.exchange(false)) deliver_pmi();
}

void Pmu::on_overflow(hostperf::EventId, std::uint64_t cookie) {
  const auto index = static_cast<CounterIndex>(cookie);
  // A counter that waits to be reprogrammed is what the guest no longer wants.
  if ((reprogram_ & bit(index)) != 0) return;
  ++overflows_;
  if (config_.version > 1) global_status_ |= bit(index);
  if (interrupts(index)) pmi_pending_ = true;
  reprogram_ |= bit(index);  // for the period of a whole turn
  reprogram_requested_ = true;
  sink_.request_entry_work();
}

void Pmu::deliver_pmi() {
  const bool intel = config_.vendor == silicon::x86::Vendor::kIntel;
  ++statistics_.pmis_raised;
  switch (sink_.raise_pmi(intel ? LvtpcAfterPmi::kMask : LvtpcAfterPmi::kKeep)) {
    case PmiOutcome::kDelivered: ++statistics_.pmis_delivered; break;
    case PmiOutcome::kMasked: ++statistics_.pmis_masked; break;
    case PmiOutcome::kRejected: ++statistics_.pmis_rejected; break;
  }
}

}  // namespace vpmu::virt::x86
