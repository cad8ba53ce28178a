// SPDX-License-Identifier: MIT
#include "machine/devices/event_stream.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

constexpr std::uint64_t kHz = 3'000'000'000, kCounterHz = 62'500'000, kCycles = 48;

class EventStreamTest : public testing::Test {
 protected:
  EventStreamTest() { stream.connect(listener); }

  Clock clock{kHz};
  FakeEvents listener;
  EventStream stream{clock, kCounterHz};
};

TEST_F(EventStreamTest, TheNextEventIsTheNextTransitionOfTheBit) {
  for (unsigned bit = 0; bit < 6; ++bit) {
    for (const bool falling : {false, true}) {
      for (std::uint64_t count = 0; count < 200; ++count) {
        std::uint64_t expected = count + 1;
        const auto at = [bit](std::uint64_t value) { return (value >> bit & 1) != 0; };
        while (at(expected - 1) != falling || at(expected) == falling) ++expected;
        EXPECT_EQ(EventStream::next_event({bit, falling}, count), expected)
            << bit << " " << falling << " " << count;
      }
    }
  }
}

TEST_F(EventStreamTest, WhoWaitsGetsOneEvent) {
  clock.set_now(100 * kCycles);
  stream.start({.bit = 6, .falling = false}, 0);
  EXPECT_EQ(clock.next_due(), 192 * kCycles);
  run_until(clock, 192 * kCycles - 1);
  EXPECT_EQ(listener.events, 0U);
  run_until(clock, 1000 * kCycles);
  EXPECT_EQ(listener.events, 1U);
  EXPECT_EQ(clock.next_due(), Timer::kNever);
}

TEST_F(EventStreamTest, TheCounterMayBeBehind) {
  clock.set_now(100 * kCycles);
  stream.start({.bit = 6, .falling = true}, 90);
  EXPECT_EQ(clock.next_due(), (90 + 128) * kCycles);
}

TEST_F(EventStreamTest, StoppedItSendsNone) {
  stream.start({}, 0);
  stream.stop();
  run_until(clock, 1000 * kCycles);
  EXPECT_EQ(listener.events, 0U);
}

TEST_F(EventStreamTest, WithoutAListenerThereAreNoEvents) {
  EventStream alone{clock, kCounterHz};
  alone.start({}, 0);
  EXPECT_EQ(clock.next_due(), Timer::kNever);
}

}  // namespace
}  // namespace vpmu::machine
