// SPDX-License-Identifier: MIT
#include "vpmu/silicon/cycle_conditions.hpp"

#include <bit>

#include "vpmu/base/ensure.hpp"

namespace vpmu::silicon {

namespace {

constexpr std::uint32_t bit(std::size_t number) {
  return std::uint32_t{1} << number;
}

constexpr bool watchable(const CycleCondition& condition) {
  return condition.threshold != 0 && condition.event < RawEvent::kCondition0;
}

/// Calls `what` with the number of every slot in `taken`.
template <class What>
void for_each_slot(std::uint32_t taken, What what) {
  for (; taken != 0; taken &= taken - 1) what(static_cast<std::size_t>(std::countr_zero(taken)));
}

}  // namespace

CycleConditions::Totals CycleConditions::held(RawEvent event) const {
  return {totals_.held(event, {true, false}), totals_.held(event, {false, true})};
}

std::optional<RawEvent> CycleConditions::watch(const CycleCondition& condition) {
  ensure(watchable(condition));
  const auto free = static_cast<std::size_t>(std::countr_one(state_.taken));
  if (free >= kConditionSlots) return std::nullopt;
  totals_.demand(condition.event);
  totals_.demand(condition_event(free));
  // Brings the totals up to date. If others are watched already, this is what they last saw.
  totals_.hand_over();
  state_.cycles_seen = held(RawEvent::kCycles);
  state_.slots[free] = {condition, false, held(condition.event)};
  state_.taken |= bit(free);
  return condition_event(free);
}

void CycleConditions::unwatch(RawEvent event) {
  const std::size_t number = static_cast<std::size_t>(event) - kNamedRawEventCount;
  ensure(number < kConditionSlots && (state_.taken & bit(number)) != 0);
  totals_.release(state_.slots[number].condition.event);
  totals_.release(event);
  state_.taken &= ~bit(number);
}

void CycleConditions::passed(Privilege privilege) {
  const auto mine = static_cast<std::size_t>(privilege);
  totals_.hand_over();
  const Totals cycles_now = held(RawEvent::kCycles);
  const std::uint64_t cycles = cycles_now[mine] - state_.cycles_seen[mine];
  state_.cycles_seen = cycles_now;
  for_each_slot(state_.taken, [&](std::size_t number) {
    Slot& slot = state_.slots[number];
    const Totals now = held(slot.condition.event);
    const std::uint64_t occurrences = now[mine] - slot.seen[mine];
    slot.seen = now;
    if (cycles != 0) count(number, privilege, cycles, occurrences);
  });
}

/// Counts in `cycles` cycles at `privilege` in which the event occurred that often.
void CycleConditions::count(std::size_t number, Privilege privilege, std::uint64_t cycles,
                            std::uint64_t occurrences) {
  Slot& slot = state_.slots[number];
  const CycleCondition& condition = slot.condition;
  const bool mine = condition.privileges.contains(privilege);
  const std::uint64_t each = occurrences / cycles, more = occurrences % cycles;
  struct Stretch {
    std::uint64_t cycles, occurrences_each;
  };
  for (const Stretch stretch : {Stretch{cycles - more, each}, Stretch{more, each + 1}}) {
    if (stretch.cycles == 0) continue;
    const bool enough = stretch.occurrences_each >= condition.threshold;
    const bool is_true = mine && enough != condition.inverted;
    if (is_true && !(condition.edge && slot.was_true))
      totals_.add(condition_event(number), privilege, condition.edge ? 1 : stretch.cycles);
    slot.was_true = is_true;
  }
}

void CycleConditions::halted() {
  for_each_slot(state_.taken, [&](std::size_t number) { state_.slots[number].was_true = false; });
}

Result<void> CycleConditions::restore(const State& state) {
  if (state.taken >= bit(kConditionSlots)) return fail("there are fewer conditions on cycles");
  bool possible = true;
  for_each_slot(state.taken, [&](std::size_t number) {
    possible = possible && watchable(state.slots[number].condition);
  });
  if (!possible) return fail("a condition on cycles that nobody can have watched");
  for_each_slot(state_.taken, [&](std::size_t number) {
    totals_.release(state_.slots[number].condition.event);
    totals_.release(condition_event(number));
  });
  state_ = state;
  for_each_slot(state_.taken, [&](std::size_t number) {
    totals_.demand(state_.slots[number].condition.event);
    totals_.demand(condition_event(number));
  });
  return {};
}

}  // namespace vpmu::silicon
