// SPDX-License-Identifier: MIT
#include "machine/pc/pv_perf_log.hpp"

#include <algorithm>

namespace vpmu::machine {

using silicon::x86::EventSelector;
using silicon::x86::Vendor;
using virt::x86::CounterStatus;
using virt::x86::pv::Evtsel;
using virt::x86::pv::Type;

namespace {
std::uint64_t counted(Evtsel evtsel) {
  return evtsel.raw & Evtsel::kCounted;
}
}  // namespace

FilterQuestion filter_question(Vendor host, Evtsel evtsel, EventSelector selector) {
  // What only fixed counter k counts is event select 0 with unit mask k+1. As a raw event that is
  // an event like any other.
  const bool fixed = host == Vendor::kIntel &&
                     evtsel.get(Evtsel::kType) != static_cast<std::uint64_t>(Type::kRaw) &&
                     selector.event == 0 && selector.unit_mask != 0;
  if (fixed) return {virt::x86::fixed_counter(selector.unit_mask - 1U), selector};
  return {virt::x86::gp_counter(0), selector};
}

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
  const auto selector = pv_perf_.selector(evtsel);
  if (filters_ == nullptr || !selector) return;
  const FilterQuestion question = filter_question(host_, evtsel, *selector);
  filters_->denied_pv_event(vcpu_, event, question.counter, question.selector);
}

}  // namespace vpmu::machine
