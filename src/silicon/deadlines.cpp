// SPDX-License-Identifier: MIT
#include "vpmu/silicon/deadlines.hpp"

#include <algorithm>

#include "vpmu/base/ensure.hpp"

namespace vpmu::silicon {

void Deadlines::arm(std::uint8_t slot, RawEvent event, PrivilegeSet privileges, std::uint64_t due,
                    DeadlineListener& listener) {
  ensure(slot < kSlots);
  const auto part = [&](bool counts, Privilege privilege) {
    return counts ? &totals_.of(privilege)[static_cast<std::size_t>(event)] : &kNothing;
  };
  slots_[slot] = {.due = due,
                  .user = part(privileges.user, Privilege::kUser),
                  .kernel = part(privileges.kernel, Privilege::kKernel),
                  .listener = &listener,
                  .event = event,
                  .privileges = privileges};
  armed_ |= std::uint64_t{1} << slot;
}

void Deadlines::disarm(std::uint8_t slot) {
  armed_ &= ~(std::uint64_t{1} << slot);
}

std::uint64_t Deadlines::nearest(RawEvent event, Privilege privilege) const {
  std::uint64_t nearest = kNever;
  for_each_left(privilege, [&](RawEvent of, std::uint64_t left) {
    if (of == event) nearest = std::min(nearest, left);
  });
  return nearest;
}

unsigned Deadlines::fire_due() {
  unsigned fired = 0;
  for (std::uint64_t left = armed_; left != 0; left &= left - 1) {
    const auto number = static_cast<std::uint8_t>(std::countr_zero(left));
    // A listener called before may have disarmed or re-armed this slot.
    if (!armed(number)) continue;
    const Slot& slot = slots_[number];
    if (slot.total() < slot.due) continue;
    disarm(number);
    slot.listener->on_deadline(number);
    ++fired;
  }
  return fired;
}

}  // namespace vpmu::silicon
