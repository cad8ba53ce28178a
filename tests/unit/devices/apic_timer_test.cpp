// SPDX-License-Identifier: MIT
#include "machine/devices/apic_timer.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

using Mode = ApicTimer::Mode;

class Listener final : public ApicTimerListener {
 public:
  void on_apic_timer() override { ++fired; }
  unsigned fired = 0;
};

constexpr std::uint32_t kDivideBy1 = 0xb;

class ApicTimerTest : public testing::Test {
 protected:
  ApicTimerTest() {
    timer.set_masked(false);
    timer.set_divide(kDivideBy1);
  }

  Clock clock{1'000'000'000};
  Listener listener;
  ApicTimer timer{clock, 0, listener};
};

TEST_F(ApicTimerTest, OneShotCountsDownAndFiresOnce) {
  clock.set_now(500);
  timer.set_initial_count(1000);
  EXPECT_EQ(timer.current_count(), 1000U);
  EXPECT_EQ(clock.next_due(), 1500U);
  run_until(clock, 1499);
  EXPECT_EQ(timer.current_count(), 1U);
  EXPECT_EQ(listener.fired, 0U);
  run_until(clock, 1500);
  EXPECT_EQ(listener.fired, 1U);
  run_until(clock, 100'000);
  EXPECT_EQ(timer.current_count(), 0U);
  EXPECT_EQ(timer.initial_count(), 1000U);
  EXPECT_EQ(listener.fired, 1U);
}

TEST_F(ApicTimerTest, EveryDivideCodeDividesAsTheManualSays) {
  const struct {
    std::uint32_t code, divider;
  } table[] = {{0x0, 2}, {0x1, 4}, {0x2, 8}, {0x3, 16}, {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1}};
  for (const auto& row : table) {
    timer.set_divide(row.code);
    EXPECT_EQ(timer.divide(), row.code);
    timer.set_initial_count(100);
    EXPECT_EQ(clock.next_due() - clock.now(), 100U * row.divider) << row.code;
  }
}

TEST_F(ApicTimerTest, ChangingTheDividerGoesOnFromTheCount) {
  timer.set_initial_count(1000);
  clock.set_now(400);
  timer.set_divide(0x0);  // by 2
  EXPECT_EQ(timer.current_count(), 600U);
  clock.set_now(410);
  EXPECT_EQ(timer.current_count(), 595U);
  EXPECT_EQ(clock.next_due(), 400U + 1200U);
}

TEST_F(ApicTimerTest, PeriodicFiresEveryPeriodWithoutDrift) {
  timer.set_mode(Mode::kPeriodic);
  timer.set_initial_count(1000);
  run_until(clock, 10'999);
  EXPECT_EQ(listener.fired, 10U);
  EXPECT_EQ(timer.current_count(), 1U);
  EXPECT_EQ(clock.next_due(), 11'000U);
}

TEST_F(ApicTimerTest, PeriodicFarBehindCatchesUpInOneStep) {
  timer.set_mode(Mode::kPeriodic);
  timer.set_initial_count(1);
  const std::uint64_t later = std::uint64_t{1} << 60;
  jump_to(clock, later);
  EXPECT_EQ(listener.fired, 1U);
  EXPECT_EQ(clock.next_due(), later + 1);
}

TEST_F(ApicTimerTest, RunsAtItsOwnRateWithoutDrift) {
  ApicTimer slow{clock, 3'000'000, listener};  // 333.3 cycles a tick
  slow.set_divide(kDivideBy1);
  slow.set_mode(Mode::kPeriodic);
  slow.set_masked(false);
  slow.set_initial_count(1);
  run_until(clock, 1'000'000'000);
  EXPECT_EQ(listener.fired, 3'000'000U);
}

TEST_F(ApicTimerTest, SwitchingBetweenOneShotAndPeriodicKeepsTheCount) {
  timer.set_initial_count(1000);
  clock.set_now(700);
  timer.set_mode(Mode::kPeriodic);
  EXPECT_EQ(timer.current_count(), 300U);
  EXPECT_EQ(timer.initial_count(), 1000U);
  run_until(clock, 1100);
  EXPECT_EQ(timer.current_count(), 900U);
  timer.set_mode(Mode::kOneShot);
  EXPECT_EQ(timer.current_count(), 900U);
  run_until(clock, 5000);
  EXPECT_EQ(listener.fired, 2U);
}

TEST_F(ApicTimerTest, AnExpiredOneShotStaysAtZeroInPeriodicMode) {
  timer.set_initial_count(1000);
  run_until(clock, 1000);
  timer.set_mode(Mode::kPeriodic);
  run_until(clock, 10'000);
  EXPECT_EQ(timer.current_count(), 0U);
  EXPECT_EQ(listener.fired, 1U);
}

TEST_F(ApicTimerTest, MaskedItCountsButNeitherFiresNorOccupiesTheClock) {
  timer.set_mode(Mode::kPeriodic);
  timer.set_initial_count(1000);
  timer.set_masked(true);
  EXPECT_EQ(clock.next_due(), Timer::kNever);
  clock.set_now(2500);
  EXPECT_EQ(timer.current_count(), 500U);
  timer.set_masked(false);
  EXPECT_EQ(listener.fired, 0U);
  EXPECT_EQ(clock.next_due(), 3000U);
}

TEST_F(ApicTimerTest, WhatExpiredBeforeAMaskIsStillDelivered) {
  timer.set_initial_count(1000);
  clock.set_now(1001);  // the clock was not served yet
  timer.set_masked(true);
  EXPECT_EQ(listener.fired, 1U);
}

TEST_F(ApicTimerTest, ZeroStopsTheTimer) {
  timer.set_mode(Mode::kPeriodic);
  timer.set_initial_count(1000);
  timer.set_initial_count(0);
  EXPECT_EQ(clock.next_due(), Timer::kNever);
  EXPECT_EQ(timer.current_count(), 0U);
}

TEST_F(ApicTimerTest, DeadlineFiresAtItsTscAndClearsItself) {
  timer.set_mode(Mode::kTscDeadline);
  timer.set_tsc_offset(10'000);
  timer.set_deadline(12'000);
  EXPECT_EQ(timer.deadline(), 12'000U);
  EXPECT_EQ(clock.next_due(), 2000U);
  run_until(clock, 1999);
  EXPECT_EQ(listener.fired, 0U);
  run_until(clock, 2000);
  EXPECT_EQ(listener.fired, 1U);
  EXPECT_EQ(timer.deadline(), 0U);
}

TEST_F(ApicTimerTest, DeadlineInThePastFiresAtOnce) {
  timer.set_mode(Mode::kTscDeadline);
  clock.set_now(5000);
  timer.set_deadline(5000);
  EXPECT_EQ(listener.fired, 1U);
  EXPECT_EQ(timer.deadline(), 0U);
  EXPECT_EQ(clock.next_due(), Timer::kNever);
}

TEST_F(ApicTimerTest, WritingTheTscMovesTheDeadline) {
  timer.set_mode(Mode::kTscDeadline);
  clock.set_now(1000);
  timer.set_deadline(9000);
  timer.set_tsc_offset(4000);
  EXPECT_EQ(clock.next_due(), 5000U);
  timer.set_tsc_offset(std::uint64_t{0} - 500);
  EXPECT_EQ(clock.next_due(), 9500U);
  EXPECT_EQ(listener.fired, 0U);
  timer.set_tsc_offset(8000);
  EXPECT_EQ(listener.fired, 1U);
}

TEST_F(ApicTimerTest, DeadlineZeroDisarms) {
  timer.set_mode(Mode::kTscDeadline);
  timer.set_deadline(5000);
  timer.set_deadline(0);
  run_until(clock, 10'000);
  EXPECT_EQ(listener.fired, 0U);
}

TEST_F(ApicTimerTest, DeadlineBeyondTheEndOfTimeNeverFires) {
  timer.set_mode(Mode::kTscDeadline);
  clock.set_now(1000);
  timer.set_deadline(~std::uint64_t{0});
  EXPECT_EQ(timer.deadline(), ~std::uint64_t{0});
  jump_to(clock, std::uint64_t{1} << 62);
  EXPECT_EQ(listener.fired, 0U);
}

TEST_F(ApicTimerTest, CountAndDeadlineIgnoreEachOthersMode) {
  timer.set_deadline(5000);
  EXPECT_EQ(timer.deadline(), 0U);
  timer.set_mode(Mode::kTscDeadline);
  timer.set_initial_count(1000);
  EXPECT_EQ(timer.initial_count(), 0U);
  EXPECT_EQ(timer.current_count(), 0U);
  EXPECT_EQ(clock.next_due(), Timer::kNever);
}

TEST_F(ApicTimerTest, LeavingOrEnteringDeadlineModeDisarms) {
  timer.set_initial_count(1000);
  timer.set_mode(Mode::kTscDeadline);
  EXPECT_EQ(clock.next_due(), Timer::kNever);
  timer.set_deadline(5000);
  timer.set_mode(Mode::kOneShot);
  EXPECT_EQ(timer.deadline(), 0U);
  run_until(clock, 10'000);
  EXPECT_EQ(listener.fired, 0U);
}

TEST_F(ApicTimerTest, TheReservedModeDoesNothing) {
  timer.set_mode(Mode::kReserved);
  timer.set_initial_count(10);
  timer.set_deadline(10);
  run_until(clock, 1000);
  EXPECT_EQ(listener.fired, 0U);
  EXPECT_EQ(timer.current_count(), 0U);
}

TEST_F(ApicTimerTest, TimeThatIsALittleEarlierIsNoElapsedTime) {
  clock.set_now(5000);
  timer.set_initial_count(1000);
  clock.set_now(4000);
  EXPECT_EQ(timer.current_count(), 1000U);
}

TEST_F(ApicTimerTest, ResetKeepsOnlyTheTscOffset) {
  timer.set_mode(Mode::kTscDeadline);
  timer.set_tsc_offset(100);
  timer.set_deadline(1000);
  timer.reset();
  EXPECT_EQ(clock.next_due(), Timer::kNever);
  timer.set_masked(false);
  timer.set_mode(Mode::kTscDeadline);
  timer.set_deadline(1000);
  EXPECT_EQ(clock.next_due(), 900U);
}

}  // namespace
}  // namespace vpmu::machine
