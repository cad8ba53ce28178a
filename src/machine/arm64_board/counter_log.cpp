// SPDX-License-Identifier: MIT
#include "machine/arm64_board/counter_log.hpp"

#include <algorithm>

namespace vpmu::machine::arm64 {

void CounterLog::counter_changed(virt::CounterIndex counter, virt::CounterStatus status,
                                 std::uint64_t config) {
  if (status == virt::CounterStatus::kOff || status == virt::CounterStatus::kCounting) return;
  const auto event = static_cast<std::uint16_t>(config);
  const auto end = troubles_.begin() + static_cast<std::ptrdiff_t>(used_);
  const auto known = std::find_if(troubles_.begin(), end, [&](const Trouble& each) {
    return each.counter == counter && each.status == status && each.event == event;
  });
  if (known != end) {
    ++known->count;
  } else if (used_ != kMaxTroubles) {
    troubles_[used_++] = {.counter = counter, .status = status, .event = event, .count = 1};
  }
}

}  // namespace vpmu::machine::arm64
