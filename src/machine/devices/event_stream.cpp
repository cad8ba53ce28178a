// SPDX-License-Identifier: MIT
#include "machine/devices/event_stream.hpp"

#include "machine/devices/ticks.hpp"

namespace vpmu::machine {

std::uint64_t EventStream::next_event(const Trigger& trigger, std::uint64_t count) {
  const std::uint64_t half = std::uint64_t{1} << trigger.bit, period = 2 * half;
  const std::uint64_t phase = trigger.falling ? 0 : half;
  const std::uint64_t since = (count - phase) & (period - 1);
  return count + period - since;
}

void EventStream::start(const Trigger& trigger, std::uint64_t offset) {
  if (listener_ == nullptr) return;
  const std::uint64_t count = ticks_now(clock_, counter_hz_) - offset;
  arm(first_cycle_of(clock_, next_event(trigger, count) + offset, counter_hz_));
}

}  // namespace vpmu::machine
