// SPDX-License-Identifier: MIT
#include "vpmu/silicon/deadlines.hpp"

#include <algorithm>
#include <bit>

#include "vpmu/base/ensure.hpp"

namespace vpmu::silicon {

void Deadlines::arm(std::uint8_t slot, RawEvent event, PrivilegeSet privileges, std::uint64_t due,
                    DeadlineListener& listener) {
  ensure(slot < kSlots);
  slots_[slot] = {due, &listener, event, privileges};
  armed_ |= std::uint64_t{1} << slot;
}

void Deadlines::disarm(std::uint8_t slot) {
  armed_ &= ~(std::uint64_t{1} << slot);
}

std::uint64_t Deadlines::nearest(RawEvent event, Privilege privilege) const {
  return nearest(privilege)[static_cast<std::size_t>(event)];
}

std::array<std::uint64_t, kRawEventCount> Deadlines::nearest(Privilege privilege) const {
  std::array<std::uint64_t, kRawEventCount> nearest;
  nearest.fill(kNever);
  for (std::uint64_t left = armed_; left != 0; left &= left - 1) {
    const Slot& slot = slots_[std::countr_zero(left)];
    std::uint64_t& best = nearest[static_cast<std::size_t>(slot.event)];
    const std::uint64_t total = totals_.held(slot.event, slot.privileges);
    if (total >= slot.due)
      best = 0;
    else if (slot.privileges.contains(privilege))
      best = std::min(best, slot.due - total);
  }
  return nearest;
}

unsigned Deadlines::fire_due() {
  unsigned fired = 0;
  for (std::uint64_t left = armed_; left != 0; left &= left - 1) {
    const auto number = static_cast<std::uint8_t>(std::countr_zero(left));
    // A listener called before may have disarmed or re-armed this slot.
    if (!armed(number)) continue;
    const Slot slot = slots_[number];
    if (totals_.held(slot.event, slot.privileges) < slot.due) continue;
    disarm(number);
    slot.listener->on_deadline(number);
    ++fired;
  }
  return fired;
}

}  // namespace vpmu::silicon
