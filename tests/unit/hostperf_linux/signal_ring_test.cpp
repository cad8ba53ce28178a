// SPDX-License-Identifier: MIT
#include "hostperf/linux/signal_ring.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace vpmu::hostperf {
namespace {

std::vector<int> drained(SignalRing<int>& ring) {
  std::vector<int> all;
  const std::size_t count = ring.drain([&](int one) { all.push_back(one); });
  EXPECT_EQ(count, all.size());
  return all;
}

TEST(SignalRing, GivesWhatWasPutInThatOrder) {
  SignalRing<int> ring{4};
  for (int round = 0; round < 10; ++round) {
    for (int n = 0; n < 3; ++n) ring.put(10 * round + n);
    EXPECT_EQ(drained(ring), (std::vector{10 * round, 10 * round + 1, 10 * round + 2}));
  }
  EXPECT_EQ(drained(ring), std::vector<int>{});
  EXPECT_EQ(ring.lost(), 0u);
}

TEST(SignalRing, WhatDoesNotFitIsLostAndCounted) {
  SignalRing<int> ring{4};
  for (int n = 0; n < 7; ++n) ring.put(n);
  EXPECT_EQ(ring.lost(), 3u);
  EXPECT_EQ(drained(ring), (std::vector{0, 1, 2, 3}));
  ring.put(7);
  EXPECT_EQ(drained(ring), std::vector{7});
  EXPECT_EQ(ring.lost(), 3u);
}

TEST(SignalRing, ThereIsRoomAsSoonAsAnEntryIsTaken) {
  SignalRing<int> ring{2};
  ring.put(0);
  ring.put(1);
  std::vector<int> all;
  ring.drain([&](int one) {
    all.push_back(one);
    if (one < 2) ring.put(one + 2);
  });
  EXPECT_EQ(all, (std::vector{0, 1}));
  EXPECT_EQ(drained(ring), (std::vector{2, 3}));
  EXPECT_EQ(ring.lost(), 0u);
}

TEST(SignalRing, AnotherThreadGetsAllThatIsNotLost) {
  constexpr int kPut = 200'000;
  SignalRing<int> ring{64};
  std::vector<int> all;
  std::thread writer{[&] {
    for (int n = 0; n < kPut; ++n) ring.put(n);
    ring.put(-1);
  }};
  const auto take = [&](int one) {
    if (one >= 0) all.push_back(one);
  };
  while (all.size() + ring.lost() < kPut) ring.drain(take);
  writer.join();
  ring.drain(take);
  for (std::size_t n = 1; n < all.size(); ++n) ASSERT_LT(all[n - 1], all[n]);
}

}  // namespace
}  // namespace vpmu::hostperf
