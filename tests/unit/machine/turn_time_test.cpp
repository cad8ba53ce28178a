// SPDX-License-Identifier: MIT
#include "machine/turn_time.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine {
namespace {

struct FakeCpu {
  std::uint64_t ran = 0;
  bool asked_to_exit = false;
  [[nodiscard]] std::uint64_t cycles() const { return ran; }
  void request_exit() { asked_to_exit = true; }
};

struct SilentTimer final : Timer {
  using Timer::Timer;
  void on_timer() override {}
};

class TurnTimeTest : public testing::Test {
 protected:
  TurnTimeTest() { clock.set_now(5000); }

  Clock clock{1'000'000'000};
  FakeCpu cpu{.ran = 700};
  TurnTime<FakeCpu> time{clock, cpu};
  SilentTimer timer{clock};
};

TEST_F(TurnTimeTest, GoesOnFromTheClockByTheCpusCycles) {
  time.begin(6000);
  cpu.ran += 30;
  EXPECT_TRUE(time.running());
  EXPECT_EQ(time.now(), 5030u);
  EXPECT_EQ(clock.now(), 5030u);
}

TEST_F(TurnTimeTest, LeavesTheClockWhereTheRunEnded) {
  time.begin(6000);
  cpu.ran += 30;
  time.end();
  cpu.ran += 100;  // not by this run
  EXPECT_FALSE(time.running());
  EXPECT_EQ(time.now(), 5030u);
  EXPECT_EQ(clock.now(), 5030u);
}

TEST_F(TurnTimeTest, IsRightWhereTheCpuHasRunForLongerThanTheClock) {
  cpu.ran = 1'000'000;
  time.begin(6000);
  cpu.ran += 1;
  EXPECT_EQ(time.now(), 5001u);
}

TEST_F(TurnTimeTest, TimerThatIsDueWithinTheRunEndsIt) {
  time.begin(6000);
  timer.arm(6000);
  time.look_at_timers();
  EXPECT_FALSE(cpu.asked_to_exit) << "it is due when the run ends anyway";
  timer.arm(5999);
  time.look_at_timers();
  EXPECT_TRUE(cpu.asked_to_exit);
}

TEST_F(TurnTimeTest, TimersBetweenRunsEndNothing) {
  timer.arm(5001);
  time.look_at_timers();
  EXPECT_FALSE(cpu.asked_to_exit);
}

}  // namespace
}  // namespace vpmu::machine
