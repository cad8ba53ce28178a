// SPDX-License-Identifier: MIT
#include "machine/arm64_board/counter_log.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine::arm64 {
namespace {

using virt::CounterIndex;
using virt::CounterStatus;

TEST(Arm64CounterLog, CountingAndBeingOffAreNoTrouble) {
  CounterLog log;
  log.counter_changed(CounterIndex{0}, CounterStatus::kCounting, 8);
  log.counter_changed(CounterIndex{0}, CounterStatus::kOff, 8);
  EXPECT_TRUE(log.troubles().empty());
}

TEST(Arm64CounterLog, TheSameTroubleIsCountedAndAnotherIsAnother) {
  CounterLog log;
  for (unsigned times = 0; times < 3; ++times) {
    log.counter_changed(CounterIndex{1}, CounterStatus::kDenied, 0x12);
    log.counter_changed(CounterIndex{1}, CounterStatus::kOff, 0x12);
  }
  log.counter_changed(CounterIndex{1}, CounterStatus::kStarved, 0x12);
  log.counter_changed(CounterIndex{2}, CounterStatus::kDenied, 0x12);
  log.counter_changed(CounterIndex{1}, CounterStatus::kDenied, 0x13);
  using Trouble = CounterLog::Trouble;
  const Trouble expected[] = {
      {CounterIndex{1}, CounterStatus::kDenied, 0x12, 3},
      {CounterIndex{1}, CounterStatus::kStarved, 0x12, 1},
      {CounterIndex{2}, CounterStatus::kDenied, 0x12, 1},
      {CounterIndex{1}, CounterStatus::kDenied, 0x13, 1},
  };
  ASSERT_EQ(log.troubles().size(), std::size(expected));
  for (std::size_t n = 0; n < std::size(expected); ++n) EXPECT_EQ(log.troubles()[n], expected[n]);
}

TEST(Arm64CounterLog, ThereIsAnEndToNewOnesButNotToTheirCounts) {
  CounterLog log;
  for (unsigned event = 0; event < CounterLog::kMaxTroubles + 1; ++event) {
    log.counter_changed(CounterIndex{0}, CounterStatus::kDenied, event);
  }
  log.counter_changed(CounterIndex{0}, CounterStatus::kDenied, 0);
  ASSERT_EQ(log.troubles().size(), CounterLog::kMaxTroubles);
  EXPECT_EQ(log.troubles().front().count, 2u);
  EXPECT_EQ(log.troubles().back().event, CounterLog::kMaxTroubles - 1);
}

TEST(Arm64CounterLog, GoesOnWhereItWasSaved) {
  CounterLog log;
  log.counter_changed(CounterIndex{1}, CounterStatus::kDenied, 0x12);
  CounterLog moved;
  ASSERT_TRUE(moved.restore(log.save()).has_value());
  moved.counter_changed(CounterIndex{1}, CounterStatus::kDenied, 0x12);
  moved.counter_changed(CounterIndex{2}, CounterStatus::kDenied, 0x12);
  ASSERT_EQ(moved.troubles().size(), 2u);
  EXPECT_EQ(moved.troubles().front().count, 2u);
}

TEST(Arm64CounterLog, RefusesWhatIsNoRecord) {
  CounterLog log;
  CounterLog::State state;
  state.trouble_count = CounterLog::kMaxTroubles + 1;
  EXPECT_FALSE(log.restore(state).has_value());
  state.trouble_count = 1;
  state.troubles[0].counter = CounterIndex{32};
  EXPECT_FALSE(log.restore(state).has_value());
  state.troubles[0].counter = CounterIndex{31};
  EXPECT_TRUE(log.restore(state).has_value());
  state.troubles[0].status = static_cast<CounterStatus>(200);
  EXPECT_FALSE(log.restore(state).has_value());
}

}  // namespace
}  // namespace vpmu::machine::arm64
