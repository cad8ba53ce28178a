// SPDX-License-Identifier: MIT
#include "machine/devices/generic_timer.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"
#include "refusals.hpp"

namespace vpmu::machine {
namespace {

using silicon::arm64::system_register;
using silicon::arm64::SystemRegister;

constexpr SystemRegister kCntkctl = system_register(3, 0, 14, 1, 0);
constexpr SystemRegister kCntfrq = system_register(3, 3, 14, 0, 0);
constexpr SystemRegister kCntpct = system_register(3, 3, 14, 0, 1);
constexpr SystemRegister kCntvct = system_register(3, 3, 14, 0, 2);

constexpr std::uint64_t kHz = 3'000'000'000, kCounterHz = 62'500'000;  // 48 cycles a count
constexpr std::uint64_t kEnable = 1, kImask = 2, kIstatus = 4;

/// The registers of one of the two timers.
struct TimerRegisters {
  const char* name;
  SystemRegister tval, ctl, cval;
  unsigned intid;
  std::uint64_t el0_bit;
};
constexpr TimerRegisters kTimers[] = {
    {"physical", system_register(3, 3, 14, 2, 0), system_register(3, 3, 14, 2, 1),
     system_register(3, 3, 14, 2, 2), 30, 1 << 9},
    {"virtual", system_register(3, 3, 14, 3, 0), system_register(3, 3, 14, 3, 1),
     system_register(3, 3, 14, 3, 2), 27, 1 << 8},
};

class GenericTimerTest : public testing::Test {
 protected:
  GenericTimerTest() { timer.connect(events); }

  std::uint64_t in(SystemRegister which) {
    const Access access = timer.read(which, false);
    EXPECT_TRUE(access.is_done());
    return access.value();
  }
  void out(SystemRegister which, std::uint64_t value) {
    EXPECT_TRUE(timer.write(which, value, false).is_done());
  }

  Clock clock{kHz};
  FakeLines lines;
  FakeEvents events;
  GenericTimer timer{clock, kCounterHz, lines};
};

/// Everything that holds of either timer.
class EitherTimer : public GenericTimerTest, public testing::WithParamInterface<TimerRegisters> {
 protected:
  bool line() const { return lines.high[r.intid]; }

  TimerRegisters r = GetParam();
};

TEST_F(GenericTimerTest, TheCountersCountMachineTimeAtTheirOwnRate) {
  EXPECT_EQ(in(kCntfrq), kCounterHz);
  for (const std::uint64_t cycle : {0U, 47U, 48U, 4'799U, 4'800U}) {
    clock.set_now(cycle);
    EXPECT_EQ(in(kCntpct), cycle / 48) << cycle;
    EXPECT_EQ(in(kCntvct), cycle / 48) << cycle;
  }
}

TEST_F(GenericTimerTest, CountersCannotBeWritten) {
  for (const SystemRegister counter : {kCntpct, kCntvct}) {
    for (const bool el0 : {false, true}) EXPECT_TRUE(timer.write(counter, 1, el0).is_fault());
  }
}

TEST_F(GenericTimerTest, TheFrequencyIsWhatEl1SaysAndChangesNoRate) {
  out(kCntfrq, 0x1'0000'1234);
  EXPECT_EQ(in(kCntfrq), 0x1234U);
  clock.set_now(480);
  EXPECT_EQ(in(kCntpct), 10U);
  out(kCntkctl, 3);
  EXPECT_TRUE(timer.write(kCntfrq, 1, true).is_fault());
}

TEST_F(GenericTimerTest, KernelControlKeepsItsBitsAndIsEl1s) {
  out(kCntkctl, ~std::uint64_t{0});
  EXPECT_EQ(in(kCntkctl), 0x3ffU);
  EXPECT_TRUE(timer.read(kCntkctl, true).is_fault());
  EXPECT_TRUE(timer.write(kCntkctl, 0, true).is_fault());
  EXPECT_EQ(in(kCntkctl), 0x3ffU);
}

TEST_F(GenericTimerTest, El0ReadsWhatKernelControlLetsItRead) {
  const struct {
    SystemRegister which;
    std::uint64_t allowed_by;  // any of these bits
  } table[] = {{kCntfrq, 3},
               {kCntpct, 1},
               {kCntvct, 2},
               {kTimers[0].tval, 1 << 9},
               {kTimers[0].ctl, 1 << 9},
               {kTimers[0].cval, 1 << 9},
               {kTimers[1].tval, 1 << 8},
               {kTimers[1].ctl, 1 << 8},
               {kTimers[1].cval, 1 << 8}};
  for (const auto& row : table) {
    for (std::uint64_t bit = 1; bit <= 1 << 9; bit <<= 1) {
      out(kCntkctl, bit);
      const Access access = timer.read(row.which, true);
      EXPECT_EQ(access.is_done(), (bit & row.allowed_by) != 0) << raw(row.which) << " " << bit;
      EXPECT_EQ(access.is_trap(), (bit & row.allowed_by) == 0) << raw(row.which) << " " << bit;
    }
  }
}

TEST_F(GenericTimerTest, OtherRegistersAreNotItsOwn) {
  for (const SystemRegister other :
       {system_register(3, 3, 14, 0, 5), system_register(3, 3, 14, 0, 6),
        system_register(3, 3, 14, 3, 3), system_register(3, 4, 14, 0, 3),
        system_register(3, 7, 14, 2, 1), system_register(3, 0, 14, 2, 1)}) {
    EXPECT_TRUE(timer.read(other, false).is_not_mine());
    EXPECT_TRUE(timer.write(other, 0, false).is_not_mine());
  }
}

TEST_P(EitherTimer, ItsOutputIsHighFromTheFirstCycleOfItsCount) {
  clock.set_now(100);
  out(r.cval, 1000);
  out(r.ctl, kEnable);
  EXPECT_EQ(clock.next_due(), 48'000U);
  run_until(clock, 47'999);
  EXPECT_FALSE(line());
  EXPECT_EQ(in(r.ctl), kEnable);
  run_until(clock, 48'000);
  EXPECT_TRUE(line());
  EXPECT_EQ(in(r.ctl), kEnable | kIstatus);
  run_until(clock, 1'000'000);
  EXPECT_TRUE(line()) << "a level";
  EXPECT_EQ(lines.edges[r.intid], 1U);
}

TEST_P(EitherTimer, RatesThatDivideNothingMeetTheConditionInTheFirstCycleOfTheCount) {
  Clock odd_clock{1'000'000'007};
  GenericTimer odd{odd_clock, 24'000'000, lines};
  for (const std::uint64_t count : {1U, 2U, 3U, 999U, 1'234'567U}) {
    ASSERT_TRUE(odd.write(r.ctl, kEnable, false).is_done());
    ASSERT_TRUE(odd.write(r.cval, count, false).is_done());
    const std::uint64_t due = odd_clock.next_due();
    odd_clock.set_now(due - 1);
    EXPECT_EQ(odd.read(kCntpct, false).value(), count - 1);
    odd_clock.set_now(due);
    EXPECT_EQ(odd.read(kCntpct, false).value(), count);
    odd_clock.run_due();
    EXPECT_TRUE(line());
  }
}

TEST_P(EitherTimer, AConditionThatIsMetAlreadyIsSeenAtOnce) {
  clock.set_now(48'000);
  out(r.cval, 1000);
  EXPECT_FALSE(line());
  out(r.ctl, kEnable);
  EXPECT_TRUE(line());
  out(r.cval, 1001);
  EXPECT_FALSE(line());
  out(r.tval, 0);
  EXPECT_TRUE(line());
}

TEST_P(EitherTimer, CompareValuesAreUnsigned) {
  clock.set_now(48'000);
  out(r.ctl, kEnable);
  out(r.cval, ~std::uint64_t{0});
  EXPECT_EQ(in(r.ctl), kEnable);
  EXPECT_FALSE(line());
}

TEST_P(EitherTimer, TheTimerValueIsADistanceOf32SignedBits) {
  clock.set_now(48'000);
  out(r.tval, 500);
  EXPECT_EQ(in(r.cval), 1500U);
  clock.set_now(48'000 + 48 * 600);
  EXPECT_EQ(in(r.tval), 0xffff'ff9cU) << "-100";
  out(r.tval, 0xffff'ffff'ffff'fff6);  // -10
  EXPECT_EQ(in(r.cval), 1590U);
  out(r.tval, 0x8000'0000);
  EXPECT_EQ(in(r.cval), 1600U - 0x8000'0000U + (std::uint64_t{0xffff'ffff} << 32));
}

TEST_P(EitherTimer, MaskedOrDisabledItHasNoOutputAndTakesNoPlaceInTheClock) {
  out(r.cval, 1000);
  for (const std::uint64_t control : {kEnable | kImask, kImask, std::uint64_t{0}}) {
    out(r.ctl, control);
    EXPECT_EQ(clock.next_due(), Timer::kNever);
  }
  run_until(clock, 48'000);
  EXPECT_EQ(in(r.ctl), 0U) << "no status while it is disabled";
  out(r.ctl, kEnable | kImask);
  EXPECT_EQ(in(r.ctl), kEnable | kImask | kIstatus);
  EXPECT_FALSE(line());
  out(r.ctl, kEnable);
  EXPECT_TRUE(line());
  out(r.ctl, kEnable | kImask);
  EXPECT_FALSE(line());
}

TEST_P(EitherTimer, ControlKeepsTwoBits) {
  out(r.cval, 1000);
  out(r.ctl, ~std::uint64_t{0});
  EXPECT_EQ(in(r.ctl), kEnable | kImask);
}

TEST_P(EitherTimer, BeyondTheEndOfMachineTimeItNeverFires) {
  out(r.ctl, kEnable);
  constexpr std::uint64_t kFirstNever = (std::uint64_t{1} << 63) / 48 + 1;
  for (const std::uint64_t never : {~std::uint64_t{0}, std::uint64_t{1} << 63, kFirstNever}) {
    out(r.cval, never);
    EXPECT_EQ(clock.next_due(), Timer::kNever) << never;
  }
  out(r.cval, kFirstNever - 1);
  EXPECT_EQ(clock.next_due(), (kFirstNever - 1) * 48);
}

TEST_P(EitherTimer, WhatWasReachedStaysReachedWhenTimeIsALittleEarlier) {
  out(r.cval, 1000);
  out(r.ctl, kEnable);
  run_until(clock, 48'000);
  clock.set_now(47'000);
  EXPECT_EQ(in(r.ctl), kEnable | kIstatus);
  out(r.ctl, kEnable);
  EXPECT_TRUE(line());
  out(r.cval, 1000);
  EXPECT_FALSE(line());
}

TEST_P(EitherTimer, El0WritesItWhenItMay) {
  EXPECT_TRUE(timer.write(r.cval, 7, true).is_trap());
  EXPECT_TRUE(timer.write(r.ctl, 1, true).is_trap());
  EXPECT_TRUE(timer.write(r.tval, 7, true).is_trap());
  EXPECT_EQ(in(r.cval), 0U);
  EXPECT_EQ(in(r.ctl), 0U);
  out(kCntkctl, r.el0_bit);
  EXPECT_TRUE(timer.write(r.cval, 7, true).is_done());
  EXPECT_TRUE(timer.write(r.ctl, kImask, true).is_done());
  EXPECT_EQ(in(r.cval), 7U);
  EXPECT_EQ(in(r.ctl), kImask);
}

TEST_P(EitherTimer, ResetLowersTheOutputAndDisarms) {
  out(kCntkctl, 3);
  out(r.ctl, kEnable);
  EXPECT_TRUE(line());
  timer.reset();
  EXPECT_FALSE(line());
  EXPECT_EQ(in(r.ctl), 0U);
  EXPECT_EQ(in(kCntkctl), 0U);
  EXPECT_EQ(clock.next_due(), Timer::kNever);
}

TEST_P(EitherTimer, AnotherOneGoesOnFromItsState) {
  clock.set_now(48'000);
  out(kCntkctl, r.el0_bit);
  out(r.cval, 2000);
  for (const std::uint64_t control : {kEnable, kEnable | kImask, std::uint64_t{0}}) {
    out(r.ctl, control);
    Clock other_clock{kHz};
    FakeLines other_lines;
    GenericTimer other{other_clock, kCounterHz, other_lines};
    other_clock.set_now(clock.now());
    ASSERT_TRUE(other.restore(timer.save()));
    EXPECT_EQ(other.save(), timer.save());
    EXPECT_EQ(other_clock.next_due(), clock.next_due());
    run_until(other_clock, 96'000);
    EXPECT_EQ(other_lines.high[r.intid], control == kEnable);
  }
}

TEST_P(EitherTimer, WhatIsDueWhenItIsSavedFiresInTheOther) {
  out(r.cval, 1000);
  out(r.ctl, kEnable);
  clock.set_now(50'000);  // the clock was not served yet
  Clock other_clock{kHz};
  FakeLines other_lines;
  GenericTimer other{other_clock, kCounterHz, other_lines};
  other_clock.set_now(50'000);
  ASSERT_TRUE(other.restore(timer.save()));
  EXPECT_FALSE(other_lines.high[r.intid]);
  other_clock.run_due();
  EXPECT_TRUE(other_lines.high[r.intid]);
}

TEST_F(GenericTimerTest, TheVirtualCounterIsBehindByItsOffset) {
  clock.set_now(48'000);
  GenericTimer::State state = timer.save();
  state.virtual_offset = 400;
  ASSERT_TRUE(timer.restore(state));
  EXPECT_EQ(in(kCntpct), 1000U);
  EXPECT_EQ(in(kCntvct), 600U);
  out(kTimers[1].ctl, kEnable);
  out(kTimers[1].tval, 100);
  EXPECT_EQ(in(kTimers[1].cval), 700U);
  EXPECT_EQ(clock.next_due(), 1100U * 48);
  out(kTimers[1].cval, ~std::uint64_t{0} - 399);
  EXPECT_EQ(clock.next_due(), Timer::kNever) << "the sum does not wrap around";
}

TEST_F(GenericTimerTest, TheEventStreamIsWhatKernelControlSays) {
  const struct {
    std::uint64_t control, expected;  // from count 1000 on
  } table[] = {{0x04, 1001}, {0x0c, 1002},  {0x54, 1056},
               {0x5c, 1024}, {0xf4, 32768}, {0xfc, 65536}};
  clock.set_now(48 * 1000);
  for (const auto& row : table) {
    out(kCntkctl, row.control);
    timer.wait_for_event();
    EXPECT_EQ(clock.next_due(), 48 * row.expected) << std::hex << row.control;
  }
  run_until(clock, 48 * 70'000);
  EXPECT_EQ(events.events, 1U);
  for (const std::uint64_t disabled : {0xf8U, 0xf0U}) {
    out(kCntkctl, disabled);
    timer.wait_for_event();
    EXPECT_EQ(clock.next_due(), Timer::kNever);
  }
}

TEST_F(GenericTimerTest, AResetEndsTheEventStream) {
  out(kCntkctl, 4);
  timer.wait_for_event();
  timer.reset();
  EXPECT_EQ(clock.next_due(), Timer::kNever);
}

TEST_F(GenericTimerTest, StatesThatNoGuestCanBringAboutAreRefused) {
  clock.set_now(48'000);
  const Refusal<GenericTimer::State> table[] = {
      {[](GenericTimer::State& s) { s.frequency = 1ULL << 32; }, "CNTFRQ cannot be 4294967296"},
      {[](GenericTimer::State& s) { s.kernel_control.raw = 1 << 10; }, "CNTKCTL cannot be 1024"},
      {[](GenericTimer::State& s) { s.virtual_offset = 1001; }, "CNTVOFF cannot be 1001"},
      {[](GenericTimer::State& s) { s.physical.control.raw = 4; }, "CNTP_CTL cannot be 4"},
      {[](GenericTimer::State& s) { s.virtual_.control.raw = 8; }, "CNTV_CTL cannot be 8"},
  };
  expect_refused(timer, table);
}

INSTANTIATE_TEST_SUITE_P(Both, EitherTimer, testing::ValuesIn(kTimers),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace vpmu::machine
