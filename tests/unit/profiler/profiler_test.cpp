// SPDX-License-Identifier: MIT
#include "machine/profiler/profiler.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/profiler/collected_samples.hpp"
#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::test {
namespace {

using hostperf::SampledMode;
using machine::ProfilerConfig;
using machine::SamplingTotals;

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

class ProfilerTest : public ProfiledMachineTest {
 protected:
  [[nodiscard]] std::uint64_t ns(std::uint64_t cycles) const {
    return machine->board().clock.from_cycles(cycles, kNsPerSecond);
  }
};

/// 1,000 NOPs and a jump back to the first: 1,001 instructions, and as many addresses from kEntry.
Code lap() {
  Code code(1'000, 0x90);
  return code + Code{0xe9} + little_endian(static_cast<std::uint32_t>(-1'005), 4);
}

TEST_F(ProfilerTest, SamplesExactlyEveryPeriod) {
  profile(lap(), {.events = {every(100)}}, {.instructions = 5'000});
  ASSERT_EQ(sink.samples.size(), 50u);
  for (std::size_t n = 0; n < sink.samples.size(); ++n) {
    const auto& sample = sink.samples[n];
    EXPECT_EQ(sample.ip, kEntry + 100 * (n + 1) % 1'001);
    EXPECT_EQ(sample.period, 100u);
    EXPECT_EQ(sample.mode, SampledMode::kGuestKernel);
    EXPECT_EQ(sample.vcpu, 0u);
    EXPECT_EQ(sample.host_cpu, hostperf::HostCpu{0});
    EXPECT_EQ(sample.event, 0u);
    EXPECT_FALSE(sample.exact);
    EXPECT_TRUE(sample.chain.empty());
    EXPECT_TRUE(sample.stack.empty());
  }
}

TEST_F(ProfilerTest, PreciseSamplesAreOneInstructionEarlier) {
  profile(lap(), {.events = {precise(every(100))}}, {.instructions = 5'000});
  ASSERT_EQ(sink.samples.size(), 50u);
  for (std::size_t n = 0; n < sink.samples.size(); ++n) {
    EXPECT_EQ(sink.samples[n].ip, kEntry + (100 * (n + 1) - 1) % 1'001);
    EXPECT_TRUE(sink.samples[n].exact);
  }
}

TEST_F(ProfilerTest, TimeIsMachineTime) {
  profile(forever(), {.events = {every(10'000)}}, {.instructions = 10'000});
  ASSERT_EQ(sink.samples.size(), 1u);
  EXPECT_EQ(sink.samples[0].time_ns, ns(machine->now()));
}

TEST_F(ProfilerTest, TotalsAreOfTheEvent) {
  profile(forever(), {.events = {every(1'000), every(3'000, kBranches)}}, {.instructions = 10'500});
  const auto totals = profiler->totals();
  ASSERT_EQ(totals.size(), 2u);
  EXPECT_EQ(totals[0].samples, 10u);
  EXPECT_EQ(totals[0].count, 10'500u);
  EXPECT_EQ(totals[0].time_enabled_ns, ns(machine->now()));
  EXPECT_EQ(totals[0].time_running_ns, totals[0].time_enabled_ns);
  EXPECT_EQ(totals[0].in_error, 0u);
  EXPECT_EQ(totals[1].samples, 3u);
  EXPECT_EQ(totals[1].count, 10'500u);
}

}  // namespace
}  // namespace vpmu::test
