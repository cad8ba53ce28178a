// SPDX-License-Identifier: MIT
//
// Event filters that come and go while a guest runs.
#include <vector>

#include "unit/arm64_board/machine_fixture.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::machine::arm64 {
namespace {

using virt::CounterStatus;
using virt::arm64::FilterRange;

constexpr virt::CounterIndex kCounter0 = virt::arm64::event_counter(0);

class EventFilterTest : public MachineFixture {
 protected:
  /// Counts its instructions on event counter 0 for ever.
  static Code counting() {
    using namespace silicon::arm64::reg;
    Code code;
    set(code, 1, 1);
    set(code, 2, 0x08);
    code.push_back(msr(PMEVTYPER_EL0(0), 2));
    code.push_back(msr(PMCR_EL0, 1));
    code.push_back(msr(PMCNTENSET_EL0, 1));
    code.push_back(code::b(0));
    return code;
  }
  static GuestFilter denying(std::uint16_t event, std::string name = "deny") {
    virt::arm64::EventFilter filter{config().model->pmu.version};
    EXPECT_TRUE(filter.set({event, 1, FilterRange::kDeny}).has_value());
    return {.name = std::move(name), .filter = std::move(filter)};
  }
  static const virt::arm64::Pmu& pmu(const Machine& machine) { return machine.vcpus()[0]->pmu(); }
};

TEST_F(EventFilterTest, ChangesAtExactlyTheInstructionOfThePause) {
  const auto machine = loaded(counting());
  machine->run({.pause_at = 1'000});
  const std::uint64_t before = pmu(*machine).value(kCounter0);
  EXPECT_GT(before, 900u);
  machine->set_event_filter(denying(0x08));
  machine->run({.pause_at = 1'777});
  EXPECT_EQ(pmu(*machine).value(kCounter0), before);
  EXPECT_EQ(pmu(*machine).status(kCounter0), CounterStatus::kDenied);
  machine->set_event_filter({.name = "none", .filter = {}});
  machine->run({.pause_at = 2'779});
  EXPECT_EQ(pmu(*machine).value(kCounter0), before + 1'002);
  ASSERT_EQ(machine->past_filters().size(), 1u);
  EXPECT_EQ(machine->past_filters()[0].since, 1'000u);
  EXPECT_EQ(machine->event_filter()->since, 1'777u);
}

TEST_F(EventFilterTest, EachFilterHasItsDenialsAlsoOfWhatWasDeniedBefore) {
  const auto machine = loaded(counting());
  machine->set_event_filter(denying(0x08, "first"));
  machine->run({.pause_at = 500});
  machine->set_event_filter(denying(0x08, "second"));
  machine->run({.pause_at = 600});
  machine->set_event_filter(denying(0x11, "third"));
  machine->run({.pause_at = 700});
  const auto troubles = machine->vcpus()[0]->counter_log().troubles();
  ASSERT_EQ(troubles.size(), 2u);
  for (const unsigned n : {0U, 1U}) {
    EXPECT_EQ(troubles[n].filter, n);
    EXPECT_EQ(troubles[n].status, CounterStatus::kDenied);
    EXPECT_EQ(troubles[n].count, 1u);
  }
  EXPECT_EQ(pmu(*machine).status(kCounter0), CounterStatus::kCounting);
}

TEST_F(EventFilterTest, OneThatDecidesNothingChangesNothing) {
  const auto whole = loaded(counting());
  whole->run({.pause_at = 3'000});
  const auto changed = loaded(counting());
  for (const std::uint64_t at : {1U, 7U, 1'000U, 2'001U}) {
    changed->run({.pause_at = at});
    changed->set_event_filter(denying(0x12));
  }
  changed->run({.pause_at = 3'000});
  EXPECT_EQ(pmu(*changed).value(kCounter0), pmu(*whole).value(kCounter0));
  EXPECT_EQ(changed->now(), whole->now());
  MachineState state = changed->save();
  state.filter.reset();
  state.past_filters.clear();
  EXPECT_EQ(state.vcpus, whole->save().vcpus);
}

TEST_F(EventFilterTest, EveryFilterMovesWithTheGuest) {
  const auto first = loaded(counting());
  first->set_event_filter(denying(0x08, "first"));
  first->run({.pause_at = 500});
  first->set_event_filter({.name = "none", .filter = {}});
  const auto second = create(config());
  const auto restored = second->restore(first->save());
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  EXPECT_EQ(second->save(), first->save());
  ASSERT_EQ(second->past_filters().size(), 1u);
  EXPECT_EQ(second->past_filters()[0].name, "first");
  second->set_event_filter(denying(0x08, "third"));
  EXPECT_EQ(second->event_filter()->number, 2u);
  EXPECT_EQ(second->event_filter()->since, 500u);
}

TEST_F(EventFilterTest, OnlyTheLatestAreKept) {
  const auto machine = loaded(counting());
  for (std::size_t n = 0; n < Machine::kMostPastFilters + 3; ++n) {
    machine->set_event_filter({.name = std::to_string(n), .filter = {}});
  }
  ASSERT_EQ(machine->past_filters().size(), Machine::kMostPastFilters);
  EXPECT_EQ(machine->past_filters().front().name, "2");
  EXPECT_EQ(machine->past_filters().front().number, 2u);
}

}  // namespace
}  // namespace vpmu::machine::arm64
