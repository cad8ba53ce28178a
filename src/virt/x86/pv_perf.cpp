// SPDX-License-Identifier: MIT
//
// PV perf: set-up and reset, entry into the guest, time, GLOBAL_STATUS and the interrupt.
#include "vpmu/virt/x86/pv_perf.hpp"

#include <algorithm>
#include <utility>

#include "virt/x86/event_sets.hpp"
#include "virt/x86/pv_perf_events.hpp"
#include "virt/x86/pv_perf_page.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::virt::x86 {

using hostperf::kNoEvent;
using pv::Code;
using pv::ErrorRegister;
using pv::Evtsel;
using silicon::x86::Vendor;

namespace {

constexpr std::uint64_t kTickNs = 1'000'000;

/// Clears a flag that others may set meanwhile. Cheap while it is not set.
bool take(std::atomic<bool>& flag) {
  return flag.load(std::memory_order_relaxed) && flag.exchange(false);
}

}  // namespace

PvPerf::PvPerf(const PvPerfConfig& config, const Around& around)
    : config_{config},
      around_{around},
      meanings_{std::make_unique<const PvPerfEvents>(config_, *around.model)},
      page_{std::make_unique<PvPerfPage>(config_, around.vcpu, *around.host, *around.areas)} {
  ensure(possible(config) && config.offered());
}

PvPerf::~PvPerf() {
  for_each_event(all_events(), [this](unsigned i) { close_host_event(i); });
}

void PvPerf::reset() {
  for_each_event(all_events(), [this](unsigned i) {
    close_host_event(i);
    set_status(i, CounterStatus::kOff, Code::kOk);
    const Evtsel said_of = events_[i].status_evtsel;
    events_[i] = {};
    events_[i].status_evtsel = said_of;
  });
  page_->disable();
  global_ctrl_ = 0;
  global_status_ = 0;
  error_ = {};
  batch_seq_ = 0;
  batch_code_ = Code::kOk;
  batch_id_ = pv::kNoId;
  software_running_ = 0;
  ran_elsewhere_ = 0;
  reprogram_ = 0;
  touched_ = 0;
  tell_calls_ = 0;
  publish_requested_ = false;
  interrupt_pending_ = false;
  host_schedule_changed_ = false;
  publish_due_ = kNever;
  retry_due_ = kNever;
  close_due_ = kNever;
  tick_ = 0;
  interrupts_in_tick_ = 0;
  interrupt_held_back_ = false;
  overflowed_ = 0;
  gate_changed_ = false;
  work_requested_ = false;
}

// ---- What changes from outside ------------------------------------------------------------------

void PvPerf::set_event_gate(const EventGate* gate) {
  gate_ = gate;
  gate_changed();
}

/// Until the vCPU comes by its events count by the answers before.
void PvPerf::gate_changed() {
  gate_changed_ = true;
  work_requested_ = true;
  around_.host->request_entry_work();
}

/// Only a hint to look: what has wrapped is worked out from counts.
void PvPerf::on_overflow(hostperf::EventId, std::uint64_t cookie) {
  overflowed_ |= event_bit(static_cast<unsigned>(cookie) & (pv::kMaxEvents - 1));
  work_requested_ = true;
  around_.host->request_entry_work();
}

void PvPerf::scheduled_in() {
  if (!std::exchange(scheduled_, true)) {
    const std::uint64_t now = around_.host->now_ns();
    for_each_event(global_ctrl_, [&](unsigned i) { events_[i].passed_at = now; });
  }
  look_for_lost_events();
}

void PvPerf::scheduled_out() {
  if (!scheduled_) return;
  for_each_event(global_ctrl_, [this](unsigned i) { fold(i); });
  if (any_enabled()) publish();
  scheduled_ = false;
}

// ---- Time ---------------------------------------------------------------------------------------

std::uint64_t PvPerf::due_ns(bool halted) const {
  const std::uint64_t tick_end = interrupt_held_back_ ? tick_ + kTickNs : kNever;
  if (halted) return tick_end;
  return std::min({tick_end, publish_due_, retry_due_, close_due_});
}

void PvPerf::time_passed() {
  const std::uint64_t now = around_.host->now_ns();
  end_tick(now);
  if (now >= retry_due_) {
    retry_due_ = kNever;
    touch(starved_);
  }
  if (now >= publish_due_) {
    publish_requested_ = true;
    request_work();
  }
  if (now >= close_due_) request_work();
}

/// A millisecond of the rate limit is over: who was held back is no more.
void PvPerf::end_tick(std::uint64_t now) {
  if (now - tick_ < kTickNs) return;
  tick_ = now - now % kTickNs;
  interrupts_in_tick_ = 0;
  if (!std::exchange(interrupt_held_back_, false)) return;
  for_each_event(all_events(), [this](unsigned i) { events_[i].throttled = false; });
  interrupt_pending_ = true;
  request_work();
}

// ---- Entry --------------------------------------------------------------------------------------

void PvPerf::request_work() {
  work_requested_.store(true, std::memory_order_relaxed);
}

/// Twice, since an event may wrap while the page is written, on a host that overflows late.
void PvPerf::before_entry() {
  for (int round = 0; round < 2 && take(work_requested_); ++round) enter();
}

void PvPerf::enter() {
  if (take(gate_changed_)) judge_anew();
  mark(overflowed_.exchange(0));
  follow_registers();
  close_idle_host_events();
  schedule_publication();
  const bool interrupts = interrupt_pending_ && may_interrupt();
  // An interrupt that comes once more finds the page without what was acknowledged meanwhile.
  if (publish_requested_ || interrupts) publish();
  tell_calls();
  touched_ = 0;
  if (interrupts) raise_interrupt();
}

void PvPerf::tell_calls() {
  for_each_event(std::exchange(tell_calls_, 0), [this](unsigned i) { write_call_event(i); });
}

// ---- GLOBAL_STATUS, ERROR and the interrupt -----------------------------------------------------

void PvPerf::set_error(Code code, std::uint8_t id) {
  error_ = {};
  error_.set(ErrorRegister::kCode, static_cast<std::uint64_t>(code));
  error_.set(ErrorRegister::kId, id);
}

/// What is reset is what there is at this moment, wraps included that nobody has noticed yet.
void PvPerf::reset_status(std::uint64_t bits) {
  for_each_event(static_cast<EventSet>(bits & global_status_) & all_events(), [this](unsigned i) {
    fold(i);
    if (!std::exchange(events_[i].unheeded, false)) return;
    touch(event_bit(i));
  });
  global_status_ &= ~bits;
  if (interrupting() == 0) return;
  interrupt_pending_ = true;
  request_work();
}

/// Events that overflowed, and are to interrupt at that.
PvPerf::EventSet PvPerf::interrupting() const {
  EventSet events = 0;
  for_each_event(static_cast<EventSet>(global_status_) & all_events(), [&](unsigned i) {
    if (events_[i].evtsel.get(Evtsel::kInt) != 0) events |= event_bit(i);
  });
  return events;
}

/// There is an interrupt to deliver, and the rate limit lets it through now.
bool PvPerf::may_interrupt() {
  const EventSet events = interrupting();
  if (events != 0) end_tick(around_.host->now_ns());
  interrupt_pending_ = false;
  if (events == 0) return false;
  if (interrupts_in_tick_ < config_.interrupts_per_ms) return true;
  if (!std::exchange(interrupt_held_back_, true)) ++statistics_.pmis_throttled;
  for_each_event(events, [this](unsigned i) {
    events_[i].throttled = events_[i].evtsel.get(Evtsel::kEn) != 0;
  });
  return false;
}

void PvPerf::raise_interrupt() {
  const bool masks = around_.guest_vendor == Vendor::kIntel;
  ++statistics_.pmis_raised;
  switch (around_.host->raise_pmi(masks ? LvtpcAfterPmi::kMask : LvtpcAfterPmi::kKeep)) {
    case PmiOutcome::kDelivered:
      ++statistics_.pmis_delivered;
      ++interrupts_in_tick_;
      break;
    case PmiOutcome::kMasked: ++statistics_.pmis_masked; break;
    case PmiOutcome::kRejected:
      ++statistics_.pmis_rejected;
      set_error(Code::kLvt, pv::kNoErrorId);
      break;
  }
}

// ---- What reports want to know ------------------------------------------------------------------

CounterStatus PvPerf::status(unsigned event) const {
  const bool lost = is_hosted(event) && is_lost(events_[event]);
  return lost ? CounterStatus::kStarved : events_[event].status;
}

std::uint64_t PvPerf::value(unsigned event) const {
  const Event& asked = events_[event];
  if (!is_hosted(event)) return asked.count;
  const auto count = around_.perf->read(asked.host);
  return count ? later_count(asked, count->value - asked.folded) : asked.count;
}

PvPerf::Times PvPerf::times(unsigned event) const {
  const std::uint64_t now = around_.host->now_ns();
  if (!is_hosted(event)) return times_at(event, now, false, std::nullopt);
  const Event& asked = events_[event];
  return times_at(event, now, is_lost(asked), around_.perf->read(asked.host));
}

pv::State PvPerf::state(unsigned event) const {
  const CounterStatus now = status(event);
  const Event& asked = events_[event];
  return state_of(asked, now, now == asked.status ? asked.code : Code::kBusy);
}

pv::State PvPerf::state_of(const Event& event, CounterStatus status, Code code) {
  pv::State state;
  state.set(pv::State::kRunning, status == CounterStatus::kCounting ? 1 : 0);
  const bool failed =
      status == CounterStatus::kStarved || status == CounterStatus::kUnsupportedEvent;
  state.set(pv::State::kNotStarted, failed ? 1 : 0);
  state.set(pv::State::kRefused, status == CounterStatus::kDenied ? 1 : 0);
  state.set(pv::State::kThrottled, event.throttled ? 1 : 0);
  state.set(pv::State::kCode, static_cast<std::uint64_t>(code));
  return state;
}

std::optional<PvPerf::HostEvent> PvPerf::host_event(Evtsel evtsel) const {
  if (meanings_->check(evtsel) != Code::kOk) return std::nullopt;
  const PvPerfMeaning meaning = meanings_->meaning(evtsel);
  if (meaning.kind != PvPerfMeaning::Kind::kHostEvent) return std::nullopt;
  return HostEvent{meaning.selector,
                   meaning.fixed_only ? fixed_counter(*meaning.fixed_only) : gp_counter(0)};
}

unsigned PvPerf::open_host_events() const {
  return static_cast<unsigned>(std::count_if(
      events_.begin(), events_.end(), [](const Event& event) { return event.host != kNoEvent; }));
}

}  // namespace vpmu::virt::x86
