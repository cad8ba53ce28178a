// SPDX-License-Identifier: MIT
//
// PV perf: what moves with the guest.
#include "vpmu/virt/x86/pv_perf_state.hpp"

#include <charconv>
#include <string>

#include "virt/x86/counter_sets.hpp"
#include "virt/x86/event_sets.hpp"
#include "virt/x86/pv_perf_events.hpp"
#include "virt/x86/pv_perf_page.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {

using pv::Code;
using pv::ErrorRegister;
using pv::Evtsel;
using pv::State;
using silicon::x86::CpuModel;

namespace {

// What a VMM that copies registers has to move.
constexpr unsigned kGlobalRegisters = 4;  // AREA, GLOBAL_CTRL, GLOBAL_STATUS, ERROR
constexpr unsigned kEventRegisters = 5;   // EVTSEL, COUNT, PERIOD, TIME_EN, TIME_RUN
static_assert((kGlobalRegisters + kEventRegisters * pv::kMaxEvents) * sizeof(std::uint64_t) ==
              1312);

std::string hex(std::uint64_t value) {
  char text[16];
  const auto end = std::to_chars(text, text + sizeof text, value, 16).ptr;
  return "0x" + std::string(text, end);
}

tl::unexpected<Error> refuse(const std::string& what) {
  return fail("PV perf state: " + what);
}

tl::unexpected<Error> refuse(unsigned event, const std::string& what) {
  return refuse("event " + std::to_string(event) + ": " + what);
}

Result<void> only(std::uint64_t possible, std::uint64_t value, const char* what) {
  if ((value & ~possible) == 0) return {};
  return refuse(std::string{what} + " is " + hex(value) + ", of which bits " +
                hex(value & ~possible) + " cannot be set");
}

Result<void> same_abi(std::uint32_t saved) {
  constexpr unsigned kMajorShift = 16;
  const std::uint32_t major = saved >> kMajorShift, minor = saved & 0xffff;
  if (major == pv::kAbiMajor && minor <= pv::kAbiMinor) return {};
  return refuse("saved with version " + std::to_string(major) + "." + std::to_string(minor) +
                " of the interface, this is " + std::to_string(pv::kAbiMajor) + "." +
                std::to_string(pv::kAbiMinor) + "; move it to a host that has that version");
}

bool is_code(std::uint64_t code) {
  return code < pv::kCodes;
}

bool is_state(State state) {
  constexpr std::uint64_t kBits = mask_of(State::kRunning, State::kNotStarted, State::kRefused,
                                          State::kThrottled, State::kCode);
  return (state.raw & ~kBits) == 0 && is_code(state.get(State::kCode));
}

bool is_error(ErrorRegister error) {
  return (error.raw & ~mask_of(ErrorRegister::kCode, ErrorRegister::kId)) == 0 &&
         is_code(error.get(ErrorRegister::kCode));
}

bool is_call_event(std::uint64_t address) {
  if (address == PvPerfState::kGone) return true;
  return address % alignof(pv::CallEvent) == 0 &&
         address % pv::kAreaBytes <= pv::kAreaBytes - sizeof(pv::CallEvent);
}

/// What an event that does not count was said to be; off if it is none of that.
CounterStatus trouble_of(State state) {
  if (state.get(State::kRefused) != 0) return CounterStatus::kDenied;
  if (state.get(State::kNotStarted) == 0) return CounterStatus::kOff;
  return static_cast<Code>(state.get(State::kCode)) == Code::kCode
             ? CounterStatus::kUnsupportedEvent
             : CounterStatus::kStarved;
}

bool is_raw(Evtsel evtsel) {
  return static_cast<pv::Type>(evtsel.get(Evtsel::kType)) == pv::Type::kRaw;
}

}  // namespace

// ---- Saving -------------------------------------------------------------------------------------

PvPerfState PvPerf::save() {
  // What the next entry would do anyway: so ERROR is said where the guest will be.
  if (gate_changed_) judge_anew();
  PvPerfState state;
  state.config = config_;
  state.host_vendor = around_.model->vendor;
  state.host_family = around_.model->family;
  // All first: what wraps changes GLOBAL_STATUS, and what is lost ERROR.
  for_each_event(all_events(), [this](unsigned i) { fold(i); });
  for_each_event(all_events(), [&](unsigned i) {
    const Event& event = events_[i];
    state.events[i] = {
        .evtsel = event.evtsel.raw,
        .count = event.count,
        .period = event.period,
        .time_enabled_ns = event.time_enabled,
        .time_running_ns = event.time_running,
        .state = this->state(i).raw,
        .countable = countable(event.evtsel),
        .unheeded = event.unheeded,
        .called = event.called,
        .call_event = event.call_event,
        .call_read_format = event.call_read_format,
        .call_event_due = (tell_calls_ & event_bit(i)) != 0,
    };
  });
  state.global_ctrl = global_ctrl_;
  state.global_status = global_status_;
  state.error = error_.raw;
  state.area = page_->area().raw;
  state.seq = page_->seq();
  state.batch_seq = batch_seq_;
  state.batch_code = static_cast<std::uint16_t>(batch_code_);
  state.batch_id = batch_id_;
  state.publish_requested = publish_requested_;
  state.publish_due_ns = publish_due_ == kNever ? 0 : publish_due_;
  state.tick_ns = tick_;
  state.interrupts_in_tick = interrupts_in_tick_;
  state.interrupt_pending = interrupt_pending_;
  state.interrupt_held_back = interrupt_held_back_;
  state.statistics = statistics_;
  return state;
}

/// Whether this host can count it, and the guest may name it.
bool PvPerf::countable(Evtsel evtsel) const {
  const PvPerfMeaning meaning = meanings_->meaning(evtsel);
  return meaning.kind != PvPerfMeaning::Kind::kAbsent &&
         meanings_->admits(evtsel, meaning, nullptr, around_.raw_events);
}

// ---- What can be restored here ------------------------------------------------------------------

Result<void> PvPerf::check(const PvPerfState& state) const {
  if (auto ok = same_abi(state.version); !ok) return ok;
  if (!possible(state.config)) return refuse("nobody can have offered what it was saved with");
  if (auto ok = fits(state.config, config_); !ok) return ok;
  if (auto ok = check_globals(state); !ok) return ok;
  for (unsigned i = 0; i < pv::kMaxEvents; ++i) {
    const PvPerfState::Event& event = state.events[i];
    if (i >= config_.events) {
      if (event != PvPerfState::Event{}) return refuse(i, "there is none");
      continue;
    }
    if (auto ok = check_event(i, event); !ok) return ok;
    if (auto ok = check_meaning(i, state); !ok) return ok;
  }
  return {};
}

Result<void> PvPerf::check_globals(const PvPerfState& state) const {
  if (auto ok = only(all_events(), state.global_ctrl, "GLOBAL_CTRL"); !ok) return ok;
  if (auto ok = only(status_bits(), state.global_status, "GLOBAL_STATUS"); !ok) return ok;
  if (!is_error({{state.error}})) return refuse("ERROR is " + hex(state.error));
  if (!is_code(state.batch_code) ||
      (state.batch_id >= config_.events && state.batch_id != pv::kNoId)) {
    return refuse("the last BATCH has no valid result");
  }
  if (state.seq % 2 != 0) return refuse("the page was being written");
  return {};
}

Result<void> PvPerf::check_event(unsigned i, const PvPerfState::Event& event) const {
  if (meanings_->check({{event.evtsel}}) != Code::kOk) {
    return refuse(i, "EVTSEL is " + hex(event.evtsel) + ", which nobody can have written");
  }
  if (check_count(event.count) != Code::kOk) return refuse(i, "COUNT is " + hex(event.count));
  if (check_period(event.period) != Code::kOk) return refuse(i, "PERIOD is " + hex(event.period));
  if (!is_state({{event.state}})) return refuse(i, "STATE is " + hex(event.state));
  if (!event.called) {
    const bool nothing =
        event.call_event == 0 && event.call_read_format == 0 && !event.call_event_due;
    return nothing ? Result<void>{} : refuse(i, "not open by a call, and has a record");
  }
  if (!config_.has(pv::Features::kHypercalls)) return refuse(i, "open by a call, without calls");
  constexpr std::uint64_t kReadFormat =
      mask_of(pv::CallReadFormat::kTimeEnabled, pv::CallReadFormat::kTimeRunning);
  if (!is_call_event(event.call_event) || (event.call_read_format & ~kReadFormat) != 0) {
    return refuse(i, "its record is at " + hex(event.call_event) + ", where none can be");
  }
  return {};
}

/// An event that is on, and could be counted, must be the same here. CPUID says it of generic
/// events only, and these have been looked at.
Result<void> PvPerf::check_meaning(unsigned i, const PvPerfState& state) const {
  const Evtsel evtsel{{state.events[i].evtsel}};
  if (evtsel.get(Evtsel::kEn) == 0 || !state.events[i].countable) return {};
  const CpuModel& model = *around_.model;
  const bool same_family = model.vendor == state.host_vendor && model.family == state.host_family;
  if (countable(evtsel) && (same_family || !is_raw(evtsel))) return {};
  return refuse(i, "counts " + hex(evtsel.get(Evtsel::kCode)) + " of type " +
                       std::to_string(evtsel.get(Evtsel::kType)) + ", which " +
                       std::string{model.name} +
                       " cannot; move the guest to a host that can, or have it stop the event");
}

// ---- Restoring ----------------------------------------------------------------------------------

Result<void> PvPerf::restore(const PvPerfState& state) {
  if (auto ok = check(state); !ok) return ok;
  reset();
  pv::PageHeader found;  // the state knows better
  if (!page_->adopt({{state.area}}, found)) {
    return refuse("AREA is " + hex(state.area) +
                  ", where this guest has no RAM of its own; give it the memory it had");
  }
  if (!page_->enabled()) page_->set_seq(state.seq);
  global_ctrl_ = static_cast<EventSet>(state.global_ctrl);
  for_each_event(all_events(), [&](unsigned i) { restore_event(i, state.events[i]); });
  global_status_ = state.global_status;
  error_ = ErrorRegister{{state.error}};
  batch_seq_ = state.batch_seq;
  batch_code_ = static_cast<Code>(state.batch_code);
  batch_id_ = state.batch_id;
  publish_requested_ = state.publish_requested;
  publish_due_ = state.publish_due_ns == 0 ? kNever : state.publish_due_ns;
  tick_ = state.tick_ns;
  interrupts_in_tick_ = state.interrupts_in_tick;
  interrupt_pending_ = state.interrupt_pending;
  interrupt_held_back_ = state.interrupt_held_back;
  statistics_ = state.statistics;
  request_work();
  return {};
}

/// Whoever waited for the host goes on waiting, behind those who ran: they have a claim.
void PvPerf::restore_event(unsigned i, const PvPerfState::Event& saved) {
  Event& event = events_[i];
  event.evtsel = Evtsel{{saved.evtsel}};
  event.count = saved.count;
  event.period = saved.period;
  event.time_enabled = saved.time_enabled_ns;
  event.time_running = saved.time_running_ns;
  event.passed_at = around_.host->now_ns();
  event.unheeded = saved.unheeded;
  event.called = saved.called;
  event.call_event = saved.call_event;
  event.call_read_format = saved.call_read_format;
  if (saved.call_event_due) tell_calls_ |= event_bit(i);
  const State state{{saved.state}};
  event.throttled = state.get(State::kThrottled) != 0;
  reprogram_ |= event_bit(i);
  if (state.get(State::kRunning) != 0) ran_elsewhere_ |= event_bit(i);
  if (event.evtsel.get(Evtsel::kEn) == 0) return;
  // What was said of it is not said again, in ERROR.
  event.code = static_cast<Code>(state.get(State::kCode));
  const CounterStatus status = trouble_of(state);
  // What an event is to the operator may be something else here.
  const bool admitted =
      meanings_->admits(event.evtsel, meanings_->meaning(event.evtsel), gate_, around_.raw_events);
  if (status == CounterStatus::kDenied || status == CounterStatus::kUnsupportedEvent) {
    set_status(i, status, event.code);
  } else if (status == CounterStatus::kStarved && event.code != Code::kOk && enabled(i) &&
             admitted) {
    reprogram_ &= ~event_bit(i);
    starve(i, event.code);
  }
}

}  // namespace vpmu::virt::x86
