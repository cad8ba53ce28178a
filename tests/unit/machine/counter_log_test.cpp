// SPDX-License-Identifier: MIT
#include "machine/pc/counter_log.hpp"

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

using machine::CounterLog;
using virt::x86::CounterStatus;
using virt::x86::fixed_counter;
using virt::x86::gp_counter;

class CounterLogTest : public testing::Test {
 protected:
  machine::Clock clock{1'000'000'000};
  CounterLog log{clock};
};

TEST_F(CounterLogTest, RemembersSinceWhenEachCounterIsWhatItIs) {
  clock.set_now(100);
  log.counter_changed(gp_counter(7), CounterStatus::kCounting, 0xc0);
  clock.set_now(200);
  log.counter_changed(fixed_counter(3), CounterStatus::kCounting, 0x0400);
  clock.set_now(300);
  log.counter_changed(gp_counter(7), CounterStatus::kOff, 0xc0);
  EXPECT_EQ(log.of(gp_counter(7)).status, CounterStatus::kOff);
  EXPECT_EQ(log.of(gp_counter(7)).since, 300u);
  EXPECT_EQ(log.of(gp_counter(7)).config, 0xc0u);
  EXPECT_TRUE(log.of(gp_counter(7)).used);
  EXPECT_EQ(log.of(fixed_counter(3)).since, 200u);
  EXPECT_FALSE(log.of(gp_counter(0)).used);
  EXPECT_TRUE(log.troubles().empty());
}

TEST_F(CounterLogTest, EachEventThatStoodStillIsThereOnceForEachReason) {
  clock.set_now(5);
  log.counter_changed(gp_counter(1), CounterStatus::kStarved, 0xc0);
  clock.set_now(6);
  log.counter_changed(gp_counter(1), CounterStatus::kCounting, 0xc0);
  log.counter_changed(gp_counter(2), CounterStatus::kStarved, 0xc0);
  log.counter_changed(gp_counter(2), CounterStatus::kDenied, 0xc0);
  log.counter_changed(gp_counter(3), CounterStatus::kUnsupportedEvent, 0xff);
  ASSERT_EQ(log.troubles().size(), 3u);
  EXPECT_EQ(log.troubles()[0].counter, gp_counter(1));
  EXPECT_EQ(log.troubles()[0].status, CounterStatus::kStarved);
  EXPECT_EQ(log.troubles()[0].first, 5u);
  EXPECT_EQ(log.troubles()[1].status, CounterStatus::kDenied);
  EXPECT_EQ(log.troubles()[2].config, 0xffu);
}

TEST_F(CounterLogTest, TroublesAreBounded) {
  for (std::uint64_t event = 0; event < 1000; ++event) {
    log.counter_changed(gp_counter(0), CounterStatus::kUnsupportedEvent, event);
  }
  EXPECT_EQ(log.troubles().size(), CounterLog::kMaxTroubles);
  EXPECT_EQ(log.troubles().back().config, CounterLog::kMaxTroubles - 1);
  EXPECT_EQ(log.of(gp_counter(0)).config, 999u);
}

TEST_F(CounterLogTest, MovesWithItsGuest) {
  log.counter_changed(gp_counter(0), CounterStatus::kUnsupportedEvent, 0xff);
  CounterLog other{clock};
  ASSERT_TRUE(other.restore(log.save()).has_value());
  EXPECT_EQ(other.of(gp_counter(0)).status, CounterStatus::kUnsupportedEvent);
  ASSERT_EQ(other.troubles().size(), 1u);
}

TEST_F(CounterLogTest, DamagedStateIsRefused) {
  CounterLog::State state = log.save();
  state.trouble_count = CounterLog::kMaxTroubles + 1;
  EXPECT_FALSE(log.restore(state).has_value());
  state = log.save();
  state.gp[0].status = static_cast<CounterStatus>(200);
  EXPECT_FALSE(log.restore(state).has_value());
}

}  // namespace
}  // namespace vpmu::test
