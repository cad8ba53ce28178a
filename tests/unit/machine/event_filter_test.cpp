// SPDX-License-Identifier: MIT
//
// The event filter of a machine: when it takes effect, what becomes of counters, what is noted.
// Guest-level vectors are in tests/guest/event_filter_test.cpp.
#include <gtest/gtest.h>

#include "machine/machine.hpp"
#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

using machine::RunLimits;
using virt::x86::CounterStatus;
using virt::x86::EventFilter;
using virt::x86::FilterImage;
using virt::x86::fixed_counter;
using virt::x86::gp_counter;

constexpr std::uint32_t kEventSelect0 = 0x186;
constexpr std::uint32_t kAmdEventSelect0 = 0xc0010200;
constexpr std::uint32_t kFixedControl = 0x38d;
constexpr std::uint32_t kGlobalControl = 0x38f;
constexpr std::uint64_t kCountInstructions = 0x4300c0;

class MachineFilterTest : public MachineTest {
 protected:
  /// Of events by their codes, and fixed counters by their bits.
  [[nodiscard]] std::unique_ptr<const EventFilter> make_filter(
      virt::x86::FilterAction action, const std::vector<std::uint64_t>& events,
      std::uint32_t fixed = 0) const {
    FilterImage image;
    image.action = static_cast<std::uint32_t>(action);
    image.fixed_bitmap = fixed;
    for (const std::uint64_t event : events) image.entries[image.count++] = event;
    auto made = EventFilter::create(image, config.model->vendor);
    EXPECT_TRUE(made.has_value());
    return std::move(*made);
  }
  [[nodiscard]] std::unique_ptr<const EventFilter> denying_instructions() const {
    return make_filter(virt::x86::FilterAction::kDeny, {0x00c0}, 1);
  }

  void run_to(std::uint64_t instructions) {
    const auto outcome = machine->run({.pause_at = instructions});
    ASSERT_EQ(outcome.reason, machine::Outcome::Reason::kPaused);
    ASSERT_EQ(machine->instructions(), instructions);
  }
  [[nodiscard]] std::uint64_t value(virt::x86::CounterIndex counter) const {
    return machine->vcpus()[0]->pmu().value(counter);
  }
  [[nodiscard]] CounterStatus status(virt::x86::CounterIndex counter) const {
    return machine->vcpus()[0]->pmu().status(counter);
  }
};

/// Counter 0, which GLOBAL_CTRL enables after reset, counts instructions: the WRMSR is the first.
Code counting_instructions() {
  return wrmsr(kEventSelect0, kCountInstructions);
}
/// What wrmsr() does before the WRMSR.
constexpr std::uint64_t kInstructionsBefore = 3;

TEST_F(MachineFilterTest, TakesEffectAtExactlyTheInstructionOfThePause) {
  for (const std::uint64_t at : {100, 101, 9'999, 10'000, 10'001, 12'345}) {
    load(counting_instructions() + forever());
    run_to(at);
    machine->set_event_filter(denying_instructions());
    run_to(at + 50'000);
    EXPECT_EQ(value(gp_counter(0)), at - kInstructionsBefore);
    EXPECT_EQ(status(gp_counter(0)), CounterStatus::kDenied);
  }
}

TEST_F(MachineFilterTest, DeniedCounterKeepsItsCountAndGoesOnWhenItMay) {
  load(counting_instructions() + forever());
  run_to(1'000);
  machine->set_event_filter(denying_instructions());
  run_to(3'000);
  machine->set_event_filter(make_filter(virt::x86::FilterAction::kAllow, {0x00c0}));
  run_to(3'500);
  EXPECT_EQ(value(gp_counter(0)), 1'500 - kInstructionsBefore);
  machine->set_event_filter(denying_instructions());
  run_to(4'000);
  machine->set_event_filter(nullptr);
  run_to(4'001);
  EXPECT_EQ(value(gp_counter(0)), 1'501 - kInstructionsBefore);
}

TEST_F(MachineFilterTest, BeforeTheFirstRunItIsThereFromTheFirstInstruction) {
  load(counting_instructions() + forever());
  machine->set_event_filter(denying_instructions());
  run_to(1'000);
  EXPECT_EQ(value(gp_counter(0)), 0u);
}

TEST_F(MachineFilterTest, DoesNotChangeTheRun) {
  const Code code = counting_instructions() + print('a') + forever();
  const auto end = [&](bool filtered) {
    load(code);
    for (std::uint64_t at = 500; filtered && at < 100'000; at += 1'111) {
      run_to(at);
      machine->set_event_filter(at % 2 == 0 ? nullptr : denying_instructions());
    }
    run_to(100'000);
    return machine->now();
  };
  EXPECT_EQ(end(true), end(false));
}

TEST_F(MachineFilterTest, DoesNotReachFixedCountersByTheirEvents) {
  load(wrmsr(kFixedControl, 0x33) + wrmsr(kGlobalControl, std::uint64_t{3} << 32) + forever());
  machine->set_event_filter(make_filter(virt::x86::FilterAction::kDeny, {0x00c0, 0x003c}, 2));
  run_to(1'000);
  EXPECT_EQ(value(fixed_counter(0)), 1'000 - 4 - kInstructionsBefore);
  EXPECT_EQ(value(fixed_counter(1)), 0u);
}

TEST_F(MachineFilterTest, ReachesEveryVcpu) {
  // Nobody starts the second one: its counters are off. The first is denied.
  config.vcpus = 2;
  load(counting_instructions() + forever());
  machine->set_event_filter(denying_instructions());
  run_to(1'000);
  EXPECT_EQ(status(gp_counter(0)), CounterStatus::kDenied);
  EXPECT_EQ(machine->vcpus()[1]->pmu().status(gp_counter(0)), CounterStatus::kOff);
  EXPECT_EQ(machine->filter_log().filters().back().denials.size(), 1u);
}

TEST_F(MachineFilterTest, EveryFilterThatDeniesACounterHasADenial) {
  load(counting_instructions() + forever());
  run_to(100);
  machine->set_event_filter(denying_instructions(), "one");
  run_to(200);
  machine->set_event_filter(make_filter(virt::x86::FilterAction::kAllow, {0x003c}), "two");
  run_to(300);
  machine->set_event_filter(nullptr, "none");
  run_to(400);
  const auto& filters = machine->filter_log().filters();
  ASSERT_EQ(filters.size(), 3u);
  EXPECT_EQ(filters[0].since, 100u);
  EXPECT_EQ(filters[0].by_entry, std::vector<std::uint64_t>{1});
  EXPECT_EQ(filters[1].since, 200u);
  EXPECT_EQ(filters[1].by_entry, std::vector<std::uint64_t>{0});
  EXPECT_EQ(filters[1].not_included, 1u);
  EXPECT_EQ(filters[2].denied(), 0u);
}

TEST_F(MachineFilterTest, EachTimeTheGuestEnablesADeniedCounterIsADenial) {
  load(counting_instructions() + wrmsr(kGlobalControl, 0) + wrmsr(kGlobalControl, 1) +
       wrmsr(kEventSelect0, 0) + wrmsr(kEventSelect0, kCountInstructions) + forever());
  machine->set_event_filter(denying_instructions());
  run_to(1'000);
  const auto& filter = machine->filter_log().filters().back();
  ASSERT_EQ(filter.denials.size(), 1u);
  EXPECT_EQ(filter.denials[0].count, 3u);
  EXPECT_EQ(filter.denied(), 3u);
}

TEST_F(MachineFilterTest, OverflowOfADeniedCounterNeverComes) {
  // -100: 100 more and it overflows.
  load(wrmsr(0xc1, 0xffff'ff9c) + counting_instructions() + forever());
  run_to(50);
  machine->set_event_filter(denying_instructions());
  run_to(10'000);
  EXPECT_EQ(machine->vcpus()[0]->pmu().statistics().overflows, 0u);
  machine->set_event_filter(nullptr);
  run_to(10'100);
  EXPECT_EQ(machine->vcpus()[0]->pmu().statistics().overflows, 1u);
}

TEST_F(MachineFilterTest, AmdMachinesHaveOneToo) {
  config.model = silicon::x86::find_cpu_model("zen4");
  load(wrmsr(kAmdEventSelect0, kCountInstructions) + forever());
  run_to(1'000);
  machine->set_event_filter(make_filter(virt::x86::FilterAction::kDeny, {0x1'0000'00c0}));
  run_to(2'000);
  EXPECT_EQ(value(gp_counter(0)), 2'000 - kInstructionsBefore);
  machine->set_event_filter(denying_instructions());
  run_to(3'000);
  EXPECT_EQ(value(gp_counter(0)), 2'000 - kInstructionsBefore);
}

}  // namespace
}  // namespace vpmu::test
