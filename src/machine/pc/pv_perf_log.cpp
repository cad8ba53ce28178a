// SPDX-License-Identifier: MIT
#include "machine/pc/pv_perf_log.hpp"

#include <algorithm>

namespace vpmu::machine {

using virt::x86::CounterStatus;
using virt::x86::pv::Evtsel;

namespace {
std::uint64_t counted(Evtsel evtsel) {
  return evtsel.raw & Evtsel::kCounted;
}
}  // namespace

Result<void> PvPerfLog::restore(const State& state) {
  const auto is_status = [](const auto& each) { return each.status <= CounterStatus::kDenied; };
  if (state.trouble_count > kMaxTroubles || !std::ranges::all_of(state.events, is_status) ||
      !std::ranges::all_of(state.troubles, is_status)) {
    return fail("its record of the PV perf events is not one");
  }
  state_ = state;
  return {};
}

void PvPerfLog::pv_event_changed(unsigned event, CounterStatus status, Evtsel evtsel) {
  Entry& entry = state_.events.at(event);
  // What counted where the guest came from is said to count again.
  if (status == CounterStatus::kCounting && entry.status == status && entry.evtsel == evtsel) {
    return;
  }
  entry = {status, clock_.now(), evtsel, entry.used || status != CounterStatus::kOff};
  if (status == CounterStatus::kOff) return;
  if (status == CounterStatus::kDenied) tell_filters(event, evtsel);
  if (status == CounterStatus::kCounting || state_.trouble_count == kMaxTroubles) return;
  const bool is_known = std::ranges::any_of(troubles(), [&](const Trouble& known) {
    return known.status == status && counted(known.evtsel) == counted(evtsel);
  });
  if (!is_known) state_.troubles[state_.trouble_count++] = {event, status, evtsel, clock_.now()};
}

void PvPerfLog::note_denied() const {
  for (unsigned event = 0; event < state_.events.size(); ++event) {
    const Entry& entry = state_.events[event];
    if (entry.status == CounterStatus::kDenied) tell_filters(event, entry.evtsel);
  }
}

void PvPerfLog::tell_filters(unsigned event, Evtsel evtsel) const {
  const auto on_host = pv_perf_.host_event(evtsel);
  if (filters_ == nullptr || !on_host) return;
  filters_->denied_pv_event(vcpu_, event, on_host->asked, on_host->selector);
}

}  // namespace vpmu::machine
