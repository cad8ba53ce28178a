// SPDX-License-Identifier: MIT
#include "machine/devices/pit8254.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

constexpr std::uint64_t kCyclesPerTick = 1000;

class Pit8254Test : public testing::Test {
 protected:
  Pit8254Test() { pit.add_to(bus); }

  void out(std::uint16_t port, std::uint8_t value) { bus.write_port(port, 1, value); }
  std::uint8_t in(std::uint16_t port) { return static_cast<std::uint8_t>(bus.read_port(port, 1)); }
  void start(unsigned channel, unsigned mode, std::uint16_t count, unsigned bcd = 0) {
    out(0x43, static_cast<std::uint8_t>(channel << 6 | 3 << 4 | mode << 1 | bcd));
    out(static_cast<std::uint16_t>(0x40 + channel), static_cast<std::uint8_t>(count));
    out(static_cast<std::uint16_t>(0x40 + channel), static_cast<std::uint8_t>(count >> 8));
  }
  std::uint16_t count(unsigned channel) {
    out(0x43, static_cast<std::uint8_t>(channel << 6));
    const auto port = static_cast<std::uint16_t>(0x40 + channel);
    const unsigned low = in(port);
    return static_cast<std::uint16_t>(low | in(port) << 8);
  }
  bool output(unsigned channel) {
    out(0x43, static_cast<std::uint8_t>(0xe0 | 2 << channel));
    return (in(static_cast<std::uint16_t>(0x40 + channel)) & 0x80) != 0;
  }
  void at(std::uint64_t tick) { run_until(clock, tick * kCyclesPerTick); }

  Clock clock{Pit8254::kHz * kCyclesPerTick};
  FakeLines lines;
  Bus bus;
  Pit8254 pit{clock, lines};
};

TEST_F(Pit8254Test, IsSilentAtPowerOn) {
  EXPECT_EQ(clock.next_due(), Timer::kNever);
  EXPECT_FALSE(lines.high[0]);
}

TEST_F(Pit8254Test, Mode0InterruptsOnceAtTerminalCount) {
  start(0, 0, 100);
  EXPECT_FALSE(lines.high[0]);
  at(40);
  EXPECT_EQ(count(0), 60);
  at(99);
  EXPECT_FALSE(lines.high[0]);
  EXPECT_FALSE(output(0));
  at(100);
  EXPECT_TRUE(lines.high[0]);
  EXPECT_TRUE(output(0));
  at(110);
  EXPECT_EQ(count(0), 0xfff6) << "goes on from 0xffff";
  at(1'000'000);
  EXPECT_EQ(lines.edges[0], 1U);
  start(0, 0, 10);
  EXPECT_FALSE(lines.high[0]) << "a new count takes the output down";
}

TEST_F(Pit8254Test, Mode2IsAPeriodicRate) {
  start(0, 2, 1000);
  lines.edges[0] = 0;
  at(10'500);
  EXPECT_EQ(lines.edges[0], 10U);
  EXPECT_EQ(count(0), 500);
  EXPECT_TRUE(output(0));
  at(10'999);
  EXPECT_FALSE(output(0)) << "low for the last tick";
  EXPECT_EQ(count(0), 1);
}

TEST_F(Pit8254Test, Mode3IsASquareWave) {
  start(0, 3, 1000);
  lines.edges[0] = 0;
  EXPECT_EQ(count(0), 1000);
  at(250);
  EXPECT_EQ(count(0), 500) << "counts by two";
  EXPECT_TRUE(output(0));
  at(500);
  EXPECT_FALSE(output(0));
  EXPECT_EQ(count(0), 1000);
  at(10'500);
  EXPECT_EQ(lines.edges[0], 10U);
}

TEST_F(Pit8254Test, Mode4StrobesOnceForOneTick) {
  start(0, 4, 50);
  lines.edges[0] = 0;
  at(50);
  EXPECT_FALSE(output(0));
  EXPECT_EQ(lines.edges[0], 0U);
  at(51);
  EXPECT_TRUE(output(0));
  at(100'000);
  EXPECT_EQ(lines.edges[0], 1U);
}

TEST_F(Pit8254Test, CountZeroIsTheLongestPeriod) {
  start(0, 2, 0);
  lines.edges[0] = 0;
  at(0x10000 * 3);
  EXPECT_EQ(lines.edges[0], 3U);
}

TEST_F(Pit8254Test, FarBehindItCatchesUpInOneStep) {
  start(0, 2, 1);
  lines.edges[0] = 0;
  jump_to(clock, std::uint64_t{1} << 60);
  EXPECT_EQ(lines.edges[0], 1U);
  EXPECT_GT(clock.next_due(), clock.now());
  EXPECT_LE(clock.next_due(), clock.now() + kCyclesPerTick);
}

TEST_F(Pit8254Test, BcdCountsInDecimal) {
  start(1, 2, 0x1234, 1);
  EXPECT_EQ(count(1), 0x1234);
  at(35);
  EXPECT_EQ(count(1), 0x1199);
  start(1, 2, 0, 1);
  at(36);
  EXPECT_EQ(count(1), 0x9999);
}

TEST_F(Pit8254Test, SingleByteAccessesUseTheirByte) {
  out(0x43, 0x54);  // channel 1, low byte, mode 2
  out(0x41, 0x80);
  EXPECT_EQ(in(0x41), 0x80);
  out(0x43, 0x64);  // high byte
  out(0x41, 0x80);
  at(0x100);
  EXPECT_EQ(in(0x41), 0x7f);
}

TEST_F(Pit8254Test, ALatchedCountStaysUntilReadAndIsNotLatchedAgain) {
  start(1, 2, 1000);
  at(100);
  out(0x43, 0x40);
  at(200);
  out(0x43, 0x40);
  EXPECT_EQ(in(0x41) | in(0x41) << 8, 900);
  EXPECT_EQ(count(1), 800);
}

TEST_F(Pit8254Test, ReadBackGivesStatusBeforeCount) {
  start(1, 2, 1000);
  at(100);
  out(0x43, 0xc0 | 1 << 2);  // count and status of channel 1
  at(300);
  EXPECT_EQ(in(0x41), 0x80 | 0x30 | 2 << 1);
  EXPECT_EQ(in(0x41) | in(0x41) << 8, 900);
  out(0x43, 0x70);  // mode 0, no count yet
  out(0x43, 0xe0 | 1 << 2);
  EXPECT_EQ(in(0x41), 0x40 | 0x30) << "null count";
}

TEST_F(Pit8254Test, GateOfChannel2PausesMode0) {
  out(0x61, 1);
  start(2, 0, 1000);
  at(300);
  out(0x61, 0);
  at(900);
  EXPECT_EQ(count(2), 700);
  out(0x61, 1);
  at(1599);
  EXPECT_EQ(in(0x61) & 0x20, 0);
  at(1600);
  EXPECT_EQ(in(0x61) & 0x20, 0x20);
}

TEST_F(Pit8254Test, GateOfChannel2RestartsModes2And3) {
  out(0x61, 1);
  start(2, 2, 1000);
  at(300);
  out(0x61, 0);
  EXPECT_TRUE(output(2));
  at(350);
  out(0x61, 1);
  EXPECT_EQ(count(2), 1000);
  at(400);
  EXPECT_EQ(count(2), 950);
}

TEST_F(Pit8254Test, GateOfChannel2TriggersModes1And5) {
  start(2, 1, 100);
  EXPECT_TRUE(output(2));
  at(50);
  EXPECT_TRUE(output(2)) << "waits for the gate";
  out(0x61, 1);
  EXPECT_FALSE(output(2));
  at(149);
  EXPECT_FALSE(output(2));
  at(150);
  EXPECT_TRUE(output(2));

  out(0x61, 0);
  start(2, 5, 10);
  out(0x61, 1);
  EXPECT_TRUE(output(2));
  at(160);
  EXPECT_FALSE(output(2));
  at(161);
  EXPECT_TRUE(output(2));
}

TEST_F(Pit8254Test, Port61KeepsItsBitsAndTogglesRefresh) {
  out(0x61, 0xff);
  EXPECT_EQ(in(0x61) & 0x0f, 0x0f);
  unsigned toggles = 0;
  std::uint8_t last = in(0x61) & 0x10;
  for (std::uint64_t tick = 1; tick <= 1193; ++tick) {  // one millisecond
    at(tick);
    const std::uint8_t now = in(0x61) & 0x10;
    toggles += now != last ? 1U : 0U;
    last = now;
  }
  EXPECT_NEAR(toggles, 66, 1);
}

TEST_F(Pit8254Test, EveryAccessAGuestCanMakeIsSafe) {
  std::uint64_t seed = 88172645463325252;
  for (unsigned i = 0; i < 100'000; ++i) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    static constexpr std::uint16_t kPorts[] = {0x40, 0x41, 0x42, 0x43, 0x43, 0x61};
    const std::uint16_t port = kPorts[seed % 6];
    if ((seed & 0x100) != 0) {
      out(port, static_cast<std::uint8_t>(seed >> 16));
    } else {
      in(port);
    }
    jump_to(clock, clock.now() + (seed >> 32 & 0xfffff));
  }
}

}  // namespace
}  // namespace vpmu::machine
