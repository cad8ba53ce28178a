// SPDX-License-Identifier: MIT
#include "machine/pc/counter_log.hpp"

#include <algorithm>

namespace vpmu::machine {

using virt::x86::CounterIndex;
using virt::x86::CounterStatus;

namespace {
constexpr unsigned kFixed0 = static_cast<unsigned>(virt::x86::fixed_counter(0));
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
  if (status == CounterStatus::kCounting || state_.trouble_count == kMaxTroubles) return;
  const auto known = troubles();
  const bool is_known = std::ranges::any_of(known, [&](const Trouble& trouble) {
    return trouble.status == status && trouble.config == config;
  });
  if (!is_known) state_.troubles[state_.trouble_count++] = {counter, status, config, clock_.now()};
}

}  // namespace vpmu::machine
