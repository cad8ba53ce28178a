// SPDX-License-Identifier: MIT
#include "machine/arm64_board/counter_log.hpp"

#include <algorithm>

#include "vpmu/virt/arm64/pmu_state.hpp"

namespace vpmu::machine::arm64 {

void CounterLog::counter_changed(virt::CounterIndex counter, virt::CounterStatus status,
                                 std::uint64_t config) {
  if (status == virt::CounterStatus::kOff || status == virt::CounterStatus::kCounting) return;
  const auto event = static_cast<std::uint16_t>(config);
  const auto end = state_.troubles.begin() + std::ptrdiff_t{state_.trouble_count};
  const auto known = std::find_if(state_.troubles.begin(), end, [&](const Trouble& each) {
    return each.counter == counter && each.status == status && each.event == event &&
           each.filter == filter_;
  });
  if (known != end) {
    ++known->count;
  } else if (state_.trouble_count != kMaxTroubles) {
    state_.troubles[state_.trouble_count++] = {
        .counter = counter, .status = status, .event = event, .count = 1, .filter = filter_};
  }
}

Result<void> CounterLog::restore(const State& state) {
  const bool possible =
      state.trouble_count <= kMaxTroubles &&
      std::ranges::all_of(state.troubles, [](const Trouble& each) {
        return each.status <= virt::CounterStatus::kDenied &&
               static_cast<std::size_t>(each.counter) < virt::arm64::PmuState::kCounters;
      });
  if (!possible) return fail("its record of the counters is not one");
  state_ = state;
  return {};
}

}  // namespace vpmu::machine::arm64
