// SPDX-License-Identifier: MIT
#include "machine/host_activity.hpp"

#include <cstring>
#include <optional>

#include <gtest/gtest.h>

#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

using hostperf::EventState;
using machine::HostActivity;
using machine::HostEvent;
using virt::x86::CounterStatus;
using virt::x86::gp_counter;

constexpr std::uint64_t kBranches = 0x00c4;
constexpr std::uint64_t kInstructions = 0x00c0;

HostEvent pinned(std::uint64_t event) {
  return {"pinned", {.config = event, .pinned = true}};
}
HostEvent flexible(std::uint64_t event, std::uint64_t period = 0) {
  return {"flexible", {.config = event, .period = period}};
}

/// Starts PMC0 on branches, user and kernel.
Code count_branches() {
  return wrmsr(0x186, 0x4300c4) + wrmsr(0x38f, 1);
}

/// All vCPUs run forever(): an IPI to all others, INIT and then SIPI to a page of code below 1 MiB.
Code start_the_others() {
  const Code to_page = {0xbf, 0x00, 0x10, 0x00, 0x00,         // mov edi, 0x1000
                        0x66, 0xc7, 0x07, 0xeb, 0xfe};        // mov word [rdi], jmp $
  return to_page + wrmsr(0x1b, 0xfee00d00) +                  // x2APIC
         wrmsr(0x80f, 0x1ff) +                                // software enable
         wrmsr(0x830, 0x000c4500) + wrmsr(0x830, 0x000c4601)  // INIT, SIPI to page 1
         + forever();
}

class HostActivityTest : public MachineTest {
 protected:
  [[nodiscard]] HostActivity::Reading read(std::size_t event, unsigned cpu = 0) const {
    return machine->host_activity().read(event, cpu);
  }
  std::vector<HostActivity::Reading> readings() {
    std::vector<HostActivity::Reading> all;
    for (std::size_t event = 0; event < config.host_events.size(); ++event) {
      for (unsigned cpu = 0; cpu < machine->host_activity().cpus(); ++cpu) {
        all.push_back(read(event, cpu));
      }
    }
    return all;
  }
};

bool same(const HostActivity::Reading& left, const HostActivity::Reading& right) {
  return left.count.value == right.count.value && left.overflows == right.overflows &&
         left.count.time_enabled_ns == right.count.time_enabled_ns &&
         left.count.time_running_ns == right.count.time_running_ns && left.state == right.state;
}

TEST_F(HostActivityTest, CountsWhatRunsOnEachHostCpu) {
  config.vcpus = 3;
  config.host_cpus = 2;
  config.host_events = {pinned(kInstructions)};
  run(start_the_others(), {.instructions = 500'000});
  std::vector<std::uint64_t> instructions;
  for (const auto& vcpu : machine->vcpus()) instructions.push_back(vcpu->instructions());
  EXPECT_GT(instructions[1], 0u);
  EXPECT_GT(instructions[2], 0u);
  EXPECT_EQ(read(0, 0).count.value, instructions[0] + instructions[2]);
  EXPECT_EQ(read(0, 1).count.value, instructions[1]);
}

TEST_F(HostActivityTest, ItsTimeIsMachineTime) {
  config.vcpus = 2;
  config.host_events = {pinned(kInstructions)};
  run(forever(), {.instructions = 100'000});
  const std::uint64_t ns = machine->now() * 1'000'000'000 / config.model->hz;
  for (const unsigned cpu : {0u, 1u}) {
    EXPECT_EQ(read(0, cpu).count.time_enabled_ns, ns);
    EXPECT_EQ(read(0, cpu).count.time_running_ns, ns);
  }
}

TEST_F(HostActivityTest, FlexibleEventsShareWhatIsThere) {
  for (int n = 0; n < 12; ++n) config.host_events.push_back(flexible(kBranches));
  run(forever(), {.instructions = 100'000'000});
  for (const HostActivity::Reading& reading : readings()) {
    EXPECT_GT(reading.count.time_running_ns, 0u);
    EXPECT_LT(reading.count.time_running_ns, reading.count.time_enabled_ns);
  }
}

TEST_F(HostActivityTest, OverflowsAreCounted) {
  config.host_events = {{"sampled", {.config = kInstructions, .period = 1'000, .pinned = true}}};
  run(forever(), {.instructions = 10'500});
  EXPECT_EQ(read(0).overflows, 10u);
}

TEST_F(HostActivityTest, PinnedEventsStarveTheGuest) {
  for (int n = 0; n < config.model->pmu.gp_counters; ++n) {
    config.host_events.push_back(pinned(kBranches));
  }
  run(count_branches() + forever(), {.instructions = 50'000});
  for (const HostActivity::Reading& reading : readings()) {
    EXPECT_EQ(reading.state, EventState::kActive);
  }
  EXPECT_EQ(machine->vcpus()[0]->pmu().status(gp_counter(0)), CounterStatus::kStarved);
}

TEST_F(HostActivityTest, FlexibleEventsDoNotStarveTheGuest) {
  for (int n = 0; n < config.model->pmu.gp_counters; ++n) {
    config.host_events.push_back(flexible(kBranches));
  }
  run(count_branches() + forever(), {.instructions = 50'000});
  EXPECT_EQ(machine->vcpus()[0]->pmu().status(gp_counter(0)), CounterStatus::kCounting);
}

TEST_F(HostActivityTest, StarvedGuestCounterComesBackWhenTheHostLetsGo) {
  load(count_branches() + forever());
  std::optional<HostActivity> profiler{std::in_place, machine->host_perf()};
  const std::vector<HostEvent> all(config.model->pmu.gp_counters, pinned(kBranches));
  machine->run({.instructions = 20'000});
  const auto status = [this] { return machine->vcpus()[0]->pmu().status(gp_counter(0)); };
  EXPECT_EQ(status(), CounterStatus::kCounting);
  ASSERT_TRUE(profiler->open(all).has_value());
  machine->run({.instructions = 60'000});
  EXPECT_EQ(status(), CounterStatus::kStarved);
  profiler.reset();
  machine->run({.instructions = 100'000});
  EXPECT_EQ(status(), CounterStatus::kCounting);
}

TEST_F(HostActivityTest, WhatCannotBeOpenedIsAnErrorWithTheEventsName) {
  config.host_events = {{"no such thing", {.config = 0xff}}};
  const auto created = machine::Machine::create(config, console);
  ASSERT_FALSE(created.has_value());
  EXPECT_NE(created.error().message.find("'no such thing'"), std::string::npos);
  config.host_events.assign(17, flexible(kBranches));
  EXPECT_FALSE(machine::Machine::create(config, console).has_value());
  config.host_events.clear();
  config.host_cpus = 65;
  EXPECT_FALSE(machine::Machine::create(config, console).has_value());
}

TEST_F(HostActivityTest, GuestRunsTheSameWhateverTheHostCounts) {
  config.vcpus = 3;
  run(start_the_others(), {.instructions = 1'000'000});
  const std::uint64_t cycles = machine->now();
  config.host_cpus = 1;
  config.host_events.assign(12, flexible(kBranches, 777));
  run(start_the_others(), {.instructions = 1'000'000});
  EXPECT_EQ(machine->now(), cycles);
}

TEST_F(HostActivityTest, TheSameRunTwiceIsTheSameAlsoFromASnapshot) {
  config.vcpus = 3;
  config.host_cpus = 2;
  config.host_events.assign(11, flexible(kBranches, 3'333));
  config.host_events.push_back(pinned(kInstructions));
  constexpr machine::RunLimits kEnd{.instructions = 30'000'000};
  run(start_the_others(), kEnd);
  const auto expected = readings();
  run(start_the_others(), kEnd);
  const auto again = readings();

  load(start_the_others());
  machine->run({.instructions = kEnd.instructions, .pause_at = 12'345'678});
  const machine::MachineState state = machine->save();
  const auto from = std::move(machine);
  auto created = machine::Machine::create(config, console);
  ASSERT_TRUE(created.has_value());
  machine = std::move(*created);
  std::memcpy(machine->board().memory.host(0, config.memory_bytes),
              from->board().memory.host(0, config.memory_bytes), config.memory_bytes);
  ASSERT_TRUE(machine->restore(state).has_value());
  machine->run(kEnd);
  const auto restored = readings();
  ASSERT_EQ(again.size(), expected.size());
  for (std::size_t n = 0; n < expected.size(); ++n) {
    EXPECT_TRUE(same(again[n], expected[n])) << n;
    EXPECT_TRUE(same(restored[n], expected[n])) << n;
  }
}

}  // namespace
}  // namespace vpmu::test
