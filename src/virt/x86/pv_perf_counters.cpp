// SPDX-License-Identifier: MIT
//
// PV perf: what an event has counted and how long, and the host event behind it.
#include <algorithm>
#include <utility>

#include "virt/x86/counter_sets.hpp"
#include "virt/x86/event_sets.hpp"
#include "virt/x86/pv_perf_events.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {

using hostperf::EventCount;
using hostperf::EventState;
using hostperf::kNoEvent;
using hostperf::OpenError;
using pv::Code;
using pv::Evtsel;
using pv::Features;

namespace {

/// At whole multiples of it, so that a guest that was moved meanwhile cannot tell.
constexpr std::uint64_t kRetryNs = 1'000'000;
constexpr std::uint64_t kIdleNs = 1'000'000'000;
/// Host perf need not do sums with longer periods. An overflow that comes early does no harm: what
/// has wrapped is worked out from counts.
constexpr std::uint64_t kLongestPeriod = std::uint64_t{1} << 62;

struct Trouble {
  CounterStatus status;
  Code code;
};
Trouble trouble_of(OpenError error) {
  switch (error) {
    case OpenError::kNoSuchEvent: return {CounterStatus::kUnsupportedEvent, Code::kCode};
    case OpenError::kNoSpace:
    case OpenError::kBusy: return {CounterStatus::kStarved, Code::kBusy};
    case OpenError::kNoSuchTarget:
    case OpenError::kNotSupported: break;
  }
  return {CounterStatus::kStarved, Code::kHost};
}

/// Whose code is the guest's or the operator's doing, not the host's moment.
bool is_judged(CounterStatus status) {
  return status == CounterStatus::kUnsupportedEvent || status == CounterStatus::kDenied;
}

}  // namespace

// ---- What the guest wrote -----------------------------------------------------------------------

bool PvPerf::enabled(unsigned i) const {
  return (global_ctrl_ & event_bit(i)) != 0 && events_[i].evtsel.get(Evtsel::kEn) != 0;
}

bool PvPerf::any_enabled() const {
  bool any = false;
  for_each_event(global_ctrl_, [&](unsigned i) { any |= enabled(i); });
  return any;
}

bool PvPerf::reloads(const Event& event) const {
  return event.period != 0 && config_.has(Features::kAutoReload);
}

void PvPerf::touch(EventSet events) {
  mark(events);
  request_work();
}

/// Between its first change and the entry an event counts nothing, so once is enough.
void PvPerf::mark(EventSet events) {
  reprogram_ |= events;
  if ((events & ~touched_) == 0) return;
  const std::uint64_t now = around_.host->now_ns();
  for_each_event(events & ~touched_, [&](unsigned i) {
    fold(i, now);
    events_[i].passed_at = now;
  });
  touched_ |= events;
}

void PvPerf::set_event_select(unsigned i, Evtsel value) {
  touch(event_bit(i));
  Event& event = events_[i];
  event.evtsel = value;
  event.code = Code::kOk;  // what is wrong with it is said again
  if (value.get(Evtsel::kEn) == 0) event.throttled = false;
  event.unheeded = false;
}

void PvPerf::set_count(unsigned i, std::uint64_t value) {
  touch(event_bit(i));
  events_[i].count = value;
  events_[i].unheeded = false;
}

void PvPerf::set_period(unsigned i, std::uint64_t value) {
  touch(event_bit(i));
  events_[i].period = value;
  events_[i].unheeded = false;
}

void PvPerf::set_times(unsigned i, Times value) {
  touch(event_bit(i));
  events_[i].time_enabled = value.enabled_ns;
  events_[i].time_running = value.running_ns;
}

void PvPerf::set_global_control(EventSet value) {
  if (global_ctrl_ == value) return;
  touch(global_ctrl_ ^ value);
  if ((global_ctrl_ & ~value) != 0) {
    publish_requested_ = true;
    request_work();
  }
  global_ctrl_ = value;
}

// ---- What has been counted ----------------------------------------------------------------------

/// Where a count is after some more, and whether it has wrapped on the way.
struct PvPerf::Turn {
  std::uint64_t count;
  bool wrapped;
};

PvPerf::Turn PvPerf::turn(const Event& event, std::uint64_t n) const {
  const std::uint64_t to_wrap = mask() - event.count;  // and one more
  if (n <= to_wrap) return {event.count + n, false};
  const std::uint64_t excess = n - to_wrap - 1;
  if (!reloads(event)) return {excess & mask(), true};
  return {(mask() - event.period + 1) + excess % event.period, true};
}

void PvPerf::advance(unsigned i, std::uint64_t n) {
  const Turn after = turn(events_[i], n);
  events_[i].count = after.count;
  if (after.wrapped) overflowed(i);
}

std::uint64_t PvPerf::later_count(const Event& event, std::uint64_t n) const {
  return turn(event, n).count;
}

bool PvPerf::is_hosted(unsigned i) const {
  return (running_ & ~software_ & event_bit(i)) != 0;
}

/// Of an event that is hosted. A pinned event that is inactive waits for its vCPU to run, not for a
/// counter.
bool PvPerf::is_lost(const Event& event) const {
  const EventState state = around_.perf->state(event.host);
  return state == EventState::kError || state == EventState::kOff;
}

/// An event that has its counter ran all the time; only how long one ran that has lost it is the
/// host's to say. One that ran before the guest was moved goes on until it has been seen whether it
/// can: before that the guest does not run, but time may pass since others do.
PvPerf::Times PvPerf::times_at(unsigned i, std::uint64_t now, bool lost,
                               const std::optional<EventCount>& count) const {
  const Event& event = events_[i];
  Times times{event.time_enabled, event.time_running};
  if (!scheduled_ || !enabled(i)) return times;
  const std::uint64_t passed = now - event.passed_at;
  times.enabled_ns += passed;
  if (((running_ | ran_elsewhere_) & event_bit(i)) == 0) return times;
  if (!lost) {
    times.running_ns += passed;
  } else if (count) {
    times.running_ns += std::min(passed, count->time_running_ns - event.folded_running);
  }
  return times;
}

void PvPerf::fold(unsigned i) {
  fold(i, around_.host->now_ns());
}

void PvPerf::fold(unsigned i, std::uint64_t now) {
  if (is_hosted(i)) return fold_host_event(i, now);
  if (enabled(i)) pass(i, now, false, std::nullopt);
}

void PvPerf::pass(unsigned i, std::uint64_t now, bool lost,
                  const std::optional<EventCount>& count) {
  const Times times = times_at(i, now, lost, count);
  Event& event = events_[i];
  event.time_enabled = times.enabled_ns;
  event.time_running = times.running_ns;
  event.passed_at = now;
}

void PvPerf::fold_host_event(unsigned i, std::uint64_t now) {
  Event& event = events_[i];
  const bool lost = is_lost(event);
  auto count = around_.perf->read(event.host);
  if (!count) {
    // In error. What it counted before that can be read once it is off.
    around_.perf->disable(event.host);
    count = around_.perf->read(event.host);
  }
  pass(i, now, lost, count);
  if (count) {
    const std::uint64_t more = count->value - event.folded;
    event.folded = count->value;
    event.folded_running = count->time_running_ns;
    if (more != 0) advance(i, more);
  }
  if (lost) starve(i, Code::kBusy);
}

/// Of one that nobody heeds no overflow is noted: it would depend on who looks at it, and when.
void PvPerf::overflowed(unsigned i) {
  Event& event = events_[i];
  if (event.unheeded) return;
  ++statistics_.overflows;
  publish_requested_ = true;
  reprogram_ |= event_bit(i);  // for the next one
  if (event.called) tell_calls_ |= event_bit(i);
  if ((global_status_ & event_bit(i)) != 0) {
    event.unheeded = reloads(event);
  } else {
    global_status_ |= event_bit(i);
    if (event.evtsel.get(Evtsel::kInt) != 0) interrupt_pending_ = true;
  }
  request_work();
}

void PvPerf::count(pv::Software what, std::uint64_t n, silicon::Privilege privilege) {
  if (!counts(what) || n == 0) return;
  const std::uint64_t there =
      privilege == silicon::Privilege::kUser ? mask_of(Evtsel::kUsr) : mask_of(Evtsel::kOs);
  for_each_event(software_, [&](unsigned i) {
    const Evtsel evtsel = events_[i].evtsel;
    if (static_cast<pv::Software>(evtsel.get(Evtsel::kCode)) != what) return;
    if ((evtsel.raw & there) != 0) advance(i, n);
  });
  if (has_entry_work()) around_.host->request_entry_work();
}

// ---- Following the registers --------------------------------------------------------------------

/// The operator has changed what may be counted.
void PvPerf::judge_anew() {
  mark(all_events());
  for_each_event(all_events(), [this](unsigned i) {
    if (is_judged(events_[i].status)) events_[i].code = Code::kOk;
  });
}

void PvPerf::follow_registers() {
  if (reprogram_ == 0) return;
  mark(reprogram_);  // some have overflowed in an instruction that has retired since
  const EventSet changed = std::exchange(reprogram_, 0);
  const EventSet ran = running_;
  EventSet to_start = 0;
  for_each_event(changed, [&](unsigned i) {
    if (may_start(i)) to_start |= event_bit(i);
  });
  const EventSet ran_elsewhere = std::exchange(ran_elsewhere_, 0);
  // Somebody else's counter may be what they wait for.
  if ((ran & ~running_) != 0 || (ran_elsewhere & ~to_start) != 0) {
    mark(starved_);
    to_start |= std::exchange(reprogram_, 0);
  }
  // What runs comes first: it has a claim to the counter it has.
  const EventSet first = to_start & (running_ | ran_elsewhere);
  for_each_event(first, [this](unsigned i) { start(i); });
  for_each_event(to_start & ~first, [this](unsigned i) { start(i); });
  if (std::exchange(host_schedule_changed_, false)) look_for_lost_events();
  note_software_events();
}

/// If not it is stopped.
bool PvPerf::may_start(unsigned i) {
  const Evtsel evtsel = events_[i].evtsel;
  if (evtsel.get(Evtsel::kEn) == 0) {
    stop(i, CounterStatus::kOff, Code::kOk);
    return false;
  }
  const PvPerfMeaning meaning = meanings_->meaning(evtsel);
  if (meaning.kind == PvPerfMeaning::Kind::kAbsent) {
    stop(i, CounterStatus::kUnsupportedEvent, Code::kCode);
  } else if (!meanings_->admits(evtsel, meaning, gate_, around_.raw_events)) {
    stop(i, CounterStatus::kDenied, Code::kFiltered);
  } else if (!enabled(i)) {
    stop(i, CounterStatus::kOff, Code::kOk);
  } else {
    return true;
  }
  return false;
}

/// The host event is kept: guests stop events for moments.
void PvPerf::stop(unsigned i, CounterStatus why, Code code) {
  park_host_event(i);
  set_status(i, why, code);
}

void PvPerf::start(unsigned i) {
  const PvPerfMeaning meaning = meanings_->meaning(events_[i].evtsel);
  if (meaning.kind == PvPerfMeaning::Kind::kHostEvent) return start_host_event(i, meaning);
  park_host_event(i);
  set_status(i, CounterStatus::kCounting, Code::kOk);
  software_ |= event_bit(i);
}

void PvPerf::start_host_event(unsigned i, const PvPerfMeaning& meaning) {
  Event& event = events_[i];
  const bool user = event.evtsel.get(Evtsel::kUsr) != 0;
  const bool kernel = event.evtsel.get(Evtsel::kOs) != 0;
  if (event.host != kNoEvent && event.host_config == meaning.config && event.host_user == user &&
      event.host_kernel == kernel) {
    arm(i);
  } else {
    close_host_event(i);
    event.host_user = user;
    event.host_kernel = kernel;
    if (!open_host_event(i, meaning.config)) return;
  }
  if (!is_hosted(i) || is_lost(event)) {
    around_.perf->enable(event.host);
    host_schedule_changed_ = true;
  }
  if (around_.perf->state(event.host) == EventState::kError) return starve(i, Code::kBusy);
  software_ &= ~event_bit(i);
  set_status(i, CounterStatus::kCounting, Code::kOk);
}

bool PvPerf::open_host_event(unsigned i, std::uint64_t config) {
  Event& event = events_[i];
  const hostperf::EventAttr attr{
      .config = config,
      .period = host_period(event),
      .pinned = true,
      .exclude_user = !event.host_user,
      .exclude_kernel = !event.host_kernel,
      .exclude_host = true,
      .exclude_idle = true,
      .cookie = i,
  };
  const auto opened = around_.perf->open(attr, hostperf::Target::of(around_.vcpu), *this);
  if (!opened) {
    const Trouble trouble = trouble_of(opened.error());
    if (trouble.status == CounterStatus::kStarved) {
      starve(i, trouble.code);
    } else {
      set_status(i, trouble.status, trouble.code);
    }
    return false;
  }
  ++statistics_.host_events_opened;
  event.host = *opened;
  event.host_config = config;
  event.folded = 0;
  event.folded_running = 0;
  event.overflows_at.reset();
  if (attr.period != 0) event.overflows_at = attr.period;
  return true;
}

/// To the overflow; 0 if nobody waits for it.
std::uint64_t PvPerf::host_period(const Event& event) const {
  return event.unheeded ? 0 : std::min(mask() - event.count, kLongestPeriod - 1) + 1;
}

/// Folded. Nothing is asked of the host if it overflows there already.
void PvPerf::arm(unsigned i) {
  Event& event = events_[i];
  const std::uint64_t period = host_period(event);
  std::optional<std::uint64_t> wanted;
  if (period != 0) wanted = event.folded + period;
  if (wanted == event.overflows_at) return;
  event.overflows_at = wanted;
  around_.perf->set_period(event.host, period);
}

/// Off, if it is not, and from now on idle.
void PvPerf::park_host_event(unsigned i) {
  if (!is_hosted(i) && (starved_ & event_bit(i)) == 0) return;
  Event& event = events_[i];
  if (event.host == kNoEvent) return;
  around_.perf->disable(event.host);
  event.off_since = around_.host->now_ns();
  close_due_ = std::min(close_due_, event.off_since + kIdleNs);
}

void PvPerf::close_host_event(unsigned i) {
  Event& event = events_[i];
  if (event.host == kNoEvent) return;
  around_.perf->close(event.host);
  event.host = kNoEvent;
}

void PvPerf::close_idle_host_events() {
  if (close_due_ == kNever) return;
  const std::uint64_t now = around_.host->now_ns();
  if (now < close_due_) return;
  close_due_ = kNever;
  for_each_event(all_events() & ~(running_ & ~software_) & ~starved_, [&](unsigned i) {
    const Event& event = events_[i];
    if (event.host == kNoEvent) return;
    if (now - event.off_since >= kIdleNs) {
      close_host_event(i);
    } else {
      close_due_ = std::min(close_due_, event.off_since + kIdleNs);
    }
  });
}

void PvPerf::look_for_lost_events() {
  for_each_event(running_ & ~software_, [this](unsigned i) {
    if (is_lost(events_[i])) fold(i);
  });
}

// ---- How an event is doing ----------------------------------------------------------------------

void PvPerf::starve(unsigned i, Code code) {
  set_status(i, CounterStatus::kStarved, code);
  if (retry_due_ != kNever) return;
  const std::uint64_t now = around_.host->now_ns();
  retry_due_ = now - now % kRetryNs + kRetryNs;
}

void PvPerf::set_status(unsigned i, CounterStatus status, Code code) {
  Event& event = events_[i];
  const EventSet bit = event_bit(i);
  const bool counting = status == CounterStatus::kCounting;
  const bool starved = status == CounterStatus::kStarved;
  if (starved && event.status != status) ++statistics_.starvations;
  running_ = counting ? running_ | bit : running_ & ~bit;
  if (!counting) software_ &= ~bit;
  starved_ = starved ? starved_ | bit : starved_ & ~bit;
  if (code != Code::kOk && code != event.code) {
    set_error(code, static_cast<std::uint8_t>(i));
    if (status != CounterStatus::kDenied) global_status_ |= pv::kStatusHostTrouble;
  }
  event.code = code;
  // Off is said of what was on before.
  const Evtsel said_of = status == CounterStatus::kOff ? event.status_evtsel : event.evtsel;
  if (event.status == status && event.status_evtsel == said_of) return;
  event.status = status;
  event.status_evtsel = said_of;
  if (observer_ != nullptr) observer_->pv_event_changed(i, status, said_of);
}

void PvPerf::note_software_events() {
  software_running_ = 0;
  for_each_event(software_, [this](unsigned i) {
    software_running_ |= std::uint32_t{1} << events_[i].evtsel.get(Evtsel::kCode);
  });
}

}  // namespace vpmu::virt::x86
