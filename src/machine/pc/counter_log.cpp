// SPDX-License-Identifier: MIT
#include "machine/pc/counter_log.hpp"

#include <algorithm>

namespace vpmu::machine {

using virt::x86::CounterIndex;
using virt::x86::CounterStatus;

namespace {
constexpr unsigned kFixed0 = static_cast<unsigned>(virt::x86::fixed_counter(0));

/// A filter asks another question of a fixed counter than of the others that count the same event.
bool is_same(const CounterLog::Trouble& one, const CounterLog::Trouble& other) {
  const auto is_fixed = [](CounterIndex counter) {
    return static_cast<unsigned>(counter) >= kFixed0;
  };
  return one.status == other.status && one.config == other.config &&
         (one.status != CounterStatus::kDenied || is_fixed(one.counter) == is_fixed(other.counter));
}
}  // namespace

CounterLog::Entry& CounterLog::entry(CounterIndex counter) {
  const auto bit = static_cast<unsigned>(counter);
  return bit < kFixed0 ? state_.gp.at(bit) : state_.fixed.at(bit - kFixed0);
}

const CounterLog::Entry& CounterLog::of(CounterIndex counter) const {
  return const_cast<CounterLog*>(this)->entry(counter);
}

Result<void> CounterLog::restore(const State& state) {
  const auto is_status = [](const auto& each) { return each.status <= CounterStatus::kDenied; };
  if (state.trouble_count > kMaxTroubles || !std::ranges::all_of(state.gp, is_status) ||
      !std::ranges::all_of(state.fixed, is_status) ||
      !std::ranges::all_of(state.troubles, is_status)) {
    return fail("its record of the counters is not one");
  }
  state_ = state;
  return {};
}

void CounterLog::counter_changed(CounterIndex counter, CounterStatus status, std::uint64_t config) {
  Entry& changed = entry(counter);
  changed.status = status;
  changed.since = clock_.now();
  changed.config = config;
  if (status == CounterStatus::kOff) return;
  changed.used = true;
  if (status == CounterStatus::kDenied && filters_ != nullptr) {
    filters_->denied(vcpu_, counter, config);
  }
  if (status == CounterStatus::kCounting || state_.trouble_count == kMaxTroubles) return;
  const Trouble trouble{counter, status, config, clock_.now()};
  const bool is_known = std::ranges::any_of(
      troubles(), [&trouble](const Trouble& known) { return is_same(known, trouble); });
  if (!is_known) state_.troubles[state_.trouble_count++] = trouble;
}

void CounterLog::note_denied() const {
  if (filters_ == nullptr) return;
  const auto note = [this](CounterIndex counter) {
    const Entry& entry = of(counter);
    if (entry.status == CounterStatus::kDenied) filters_->denied(vcpu_, counter, entry.config);
  };
  for (unsigned i = 0; i < state_.gp.size(); ++i) note(virt::x86::gp_counter(i));
  for (unsigned k = 0; k < state_.fixed.size(); ++k) note(virt::x86::fixed_counter(k));
}

}  // namespace vpmu::machine
