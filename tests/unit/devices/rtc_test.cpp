// SPDX-License-Identifier: MIT
#include "machine/devices/rtc.hpp"

#include <gtest/gtest.h>

#include <array>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

constexpr std::uint64_t kHz = 32768ULL * 1000;
constexpr std::uint64_t kGiB = 1ULL << 30;

/// Century, year, month, day, weekday, hours, minutes, seconds as the registers show them.
using Time = std::array<std::uint8_t, 8>;

class RtcTest : public testing::Test {
 protected:
  RtcTest() { rtc.add_to(bus); }

  std::uint8_t read(std::uint8_t reg) {
    bus.write_port(0x70, 1, reg);
    return static_cast<std::uint8_t>(bus.read_port(0x71, 1));
  }
  void write(std::uint8_t reg, std::uint8_t value) {
    bus.write_port(0x70, 1, reg);
    bus.write_port(0x71, 1, value);
  }
  Time time() {
    return {read(0x32), read(0x09), read(0x08), read(0x07),
            read(0x06), read(0x04), read(0x02), read(0x00)};
  }
  void set_time(std::uint8_t hours, std::uint8_t minutes, std::uint8_t seconds) {
    write(0x0b, read(0x0b) | 0x80);
    write(0x04, hours);
    write(0x02, minutes);
    write(0x00, seconds);
    write(0x0b, read(0x0b) & 0x7f);
  }
  void seconds_later(std::uint64_t seconds) { run_until(clock, clock.now() + seconds * kHz); }

  Clock clock{kHz};
  FakeLines lines;
  Bus bus;
  Rtc rtc{{3 * kGiB, 5 * kGiB, 4}, clock, lines};
};

TEST_F(RtcTest, StartsAtTheDocumentedDate) {
  EXPECT_EQ(time(), (Time{0x20, 0x26, 0x01, 0x01, 0x05, 0x00, 0x00, 0x00}));  // a Thursday
  EXPECT_EQ(read(0x0d), 0x80);
  EXPECT_EQ(read(0x0b), 0x02);
}

TEST_F(RtcTest, TimeGoesOnThroughTheCalendar) {
  // 31 + 27 days, 23:59:59: the last second of 27 February.
  jump_to(clock, (58 * 86400ULL - 1) * kHz);
  EXPECT_EQ(time(), (Time{0x20, 0x26, 0x02, 0x27, 0x06, 0x23, 0x59, 0x59}));
  seconds_later(1);
  EXPECT_EQ(time(), (Time{0x20, 0x26, 0x02, 0x28, 0x07, 0x00, 0x00, 0x00}));
  seconds_later(86400);
  EXPECT_EQ(time(), (Time{0x20, 0x26, 0x03, 0x01, 0x01, 0x00, 0x00, 0x00}));
}

TEST_F(RtcTest, FormatsAreBinaryOrBcdAnd12Or24Hours) {
  set_time(0x13, 0x45, 0x59);
  EXPECT_EQ(read(0x04), 0x13);
  write(0x0b, 0x06);  // binary, 24 h
  EXPECT_EQ(read(0x04), 13);
  EXPECT_EQ(read(0x02), 45);
  EXPECT_EQ(read(0x09), 26);
  write(0x0b, 0x04);  // binary, 12 h
  EXPECT_EQ(read(0x04), 0x80 | 1);
  write(0x0b, 0x00);  // BCD, 12 h
  EXPECT_EQ(read(0x04), 0x81);
  set_time(0x12, 0, 0);
  EXPECT_EQ(read(0x04), 0x12);
  write(0x0b, 0x02);
  EXPECT_EQ(read(0x04), 0x00) << "12 AM";
}

TEST_F(RtcTest, SetTimeRunsOnFromThere) {
  write(0x0b, 0x82);
  const Time wanted{0x19, 0x99, 0x12, 0x31, 0x06, 0x23, 0x59, 0x58};
  const std::uint8_t registers[] = {0x32, 0x09, 0x08, 0x07, 0x06, 0x04, 0x02, 0x00};
  for (unsigned i = 0; i < 8; ++i) write(registers[i], wanted[i]);
  seconds_later(100);
  EXPECT_EQ(time(), wanted) << "it stands while SET is on";
  write(0x0b, 0x02);
  EXPECT_EQ(time(), wanted);
  seconds_later(2);
  EXPECT_EQ(time(), (Time{0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00}));
}

TEST_F(RtcTest, ARegisterCanBeWrittenWhileTheClockRuns) {
  seconds_later(10);
  write(0x04, 0x20);
  EXPECT_EQ(time(), (Time{0x20, 0x26, 0x01, 0x01, 0x05, 0x20, 0x00, 0x10}));
}

TEST_F(RtcTest, UpdateInProgressShowsForTheLastTicksOfASecond) {
  EXPECT_EQ(read(0x0a), 0x26);
  run_until(clock, kHz - 9 * 1000);
  EXPECT_EQ(read(0x0a), 0x26);
  run_until(clock, kHz - 8 * 1000);
  EXPECT_EQ(read(0x0a), 0xa6);
  run_until(clock, kHz);
  EXPECT_EQ(read(0x0a), 0x26);
}

TEST_F(RtcTest, FlagsAreSetWithoutInterruptsAndClearedByReading) {
  seconds_later(1);
  EXPECT_EQ(read(0x0c), 0x50) << "periodic and update";
  EXPECT_EQ(read(0x0c), 0x00);
  EXPECT_EQ(lines.edges[8], 0U);
  EXPECT_EQ(clock.next_due(), Timer::kNever);
}

TEST_F(RtcTest, PeriodicInterruptsComeAtTheSelectedRate) {
  const struct {
    std::uint8_t rate;
    unsigned per_second;
  } table[] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {10, 64}, {15, 2}, {0, 0}};
  write(0x0b, 0x42);
  for (const auto& row : table) {
    write(0x0a, static_cast<std::uint8_t>(0x20 | row.rate));
    (void)read(0x0c);
    unsigned interrupts = 0;
    const std::uint64_t end = clock.now() + kHz;
    while (clock.next_due() <= end) {
      clock.set_now(clock.next_due());
      clock.run_due();
      EXPECT_TRUE(lines.high[8]);
      EXPECT_EQ(read(0x0c) & 0xc0, 0xc0);
      EXPECT_FALSE(lines.high[8]);
      ++interrupts;
    }
    clock.set_now(end);
    EXPECT_EQ(interrupts, row.per_second) << int{row.rate};
  }
}

TEST_F(RtcTest, TheLineStaysHighUntilRegisterCIsRead) {
  write(0x0b, 0x12);
  seconds_later(5);
  EXPECT_TRUE(lines.high[8]);
  EXPECT_EQ(lines.edges[8], 1U);
  EXPECT_EQ(read(0x0c), 0xd0);
  EXPECT_FALSE(lines.high[8]);
  seconds_later(1);
  EXPECT_EQ(lines.edges[8], 2U);
}

TEST_F(RtcTest, AlarmsMatchTheirFields) {
  const struct {
    std::uint8_t hours, minutes, seconds;
    std::uint64_t after;  ///< seconds from 10:20:30; 0: never
  } table[] = {
      {0x10, 0x20, 0x31, 1},
      {0x10, 0x20, 0x30, 86400},
      {0x10, 0x21, 0x00, 30},
      {0x11, 0x00, 0x00, 39 * 60 + 30},
      {0x09, 0x59, 0x59, 86400 - 20 * 60 - 31},
      {0xff, 0xff, 0xff, 1},
      {0xff, 0xff, 0x30, 60},
      {0xff, 0x20, 0x29, 3599},
      {0xff, 0x10, 0xc0, 49 * 60 + 30},
      {0x10, 0xff, 0x00, 30},
      {0x23, 0xff, 0xff, 12 * 3600 + 39 * 60 + 30},
      {0x24, 0x00, 0x00, 0},
      {0x00, 0x75, 0x00, 0},
      {0x00, 0x00, 0x6a, 0},
  };
  for (const auto& row : table) {
    set_time(0x10, 0x20, 0x30);
    write(0x05, row.hours);
    write(0x03, row.minutes);
    write(0x01, row.seconds);
    (void)read(0x0c);
    write(0x0b, 0x22);
    if (row.after == 0) {
      EXPECT_EQ(clock.next_due(), Timer::kNever);
      jump_to(clock, clock.now() + 3 * 86400 * kHz);
      EXPECT_EQ(read(0x0c) & 0x20, 0);
    } else {
      EXPECT_EQ(clock.next_due() - clock.now(), row.after * kHz) << std::hex << int{row.seconds};
      seconds_later(row.after);
      EXPECT_TRUE(lines.high[8]);
      EXPECT_EQ(read(0x0c) & 0xa0, 0xa0);
    }
    write(0x0b, 0x02);
  }
}

TEST_F(RtcTest, MemorySizeCellsDescribeTheMachine) {
  EXPECT_EQ(read(0x15) | read(0x16) << 8, 640);
  EXPECT_EQ(read(0x17) | read(0x18) << 8, 0xffff);
  EXPECT_EQ(read(0x30) | read(0x31) << 8, 0xffff);
  EXPECT_EQ(read(0x34) | read(0x35) << 8, (3 * 1024 - 16) * 16);
  EXPECT_EQ(read(0x5b) | read(0x5c) << 8 | read(0x5d) << 16, 5 * 1024 * 16);
  EXPECT_EQ(read(0x5f), 3);
}

TEST_F(RtcTest, CellsKeepWhatIsWrittenAndStatusRegistersDoNot) {
  write(0x40, 0xa5);
  EXPECT_EQ(read(0x40), 0xa5);
  EXPECT_EQ(read(0xc0), 0xa5) << "bit 7 of the index is the NMI mask";
  write(0x0d, 0);
  EXPECT_EQ(read(0x0d), 0x80);
  write(0x0c, 0xff);
  EXPECT_EQ(read(0x0c), 0);
}

TEST_F(RtcTest, ResetDisablesInterruptsAndKeepsTheTime) {
  seconds_later(10);
  write(0x0b, 0x72);
  rtc.reset();
  EXPECT_EQ(clock.next_due(), Timer::kNever);
  EXPECT_EQ(read(0x00), 0x10);
  EXPECT_EQ(read(0x0b), 0x02);
}

TEST_F(RtcTest, EveryAccessAGuestCanMakeIsSafe) {
  std::uint64_t seed = 88172645463325252;
  for (unsigned i = 0; i < 100'000; ++i) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    const auto reg = static_cast<std::uint8_t>((seed & 0x80) != 0 ? seed & 0xf : seed >> 8 & 0x7f);
    if ((seed & 0x10000) != 0) {
      write(reg, static_cast<std::uint8_t>(seed >> 24));
    } else {
      (void)read(reg);
    }
    jump_to(clock, clock.now() + (seed >> 32 & 0xffffff));
  }
}

}  // namespace
}  // namespace vpmu::machine
