// SPDX-License-Identifier: MIT
//
// The order of records against the rule it follows, said plainly: at a round's end everything goes
// on, by time and then by place, whose time is at most the highest before the last round's end.
#include "profile/perf_data/record_queue.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace vpmu::profile::perf_data {
namespace {

using Offsets = std::vector<std::uint64_t>;
/// A record's time, or nothing: a round ends.
using Steps = std::vector<std::optional<std::uint64_t>>;

Offsets queued(const Steps& steps) {
  RecordQueue queue;
  Offsets order;
  const auto deliver = [&order](std::uint64_t offset) {
    order.push_back(offset);
    return true;
  };
  for (std::size_t n = 0; n < steps.size(); ++n) {
    if (steps[n]) {
      queue.add(*steps[n], n);
    } else {
      queue.end_round(deliver);
    }
  }
  queue.end(deliver);
  return order;
}

Offsets by_the_rule(const Steps& steps) {
  std::vector<RecordQueue::Entry> waiting;
  Offsets order;
  std::uint64_t highest = 0, limit = 0;
  const auto hand_out = [&](std::uint64_t most) {
    std::stable_sort(waiting.begin(), waiting.end(),
                     [](const auto& a, const auto& b) { return a.time < b.time; });
    while (!waiting.empty() && waiting.front().time <= most) {
      order.push_back(waiting.front().offset);
      waiting.erase(waiting.begin());
    }
  };
  for (std::size_t n = 0; n < steps.size(); ++n) {
    if (steps[n]) {
      waiting.push_back({*steps[n], n});
      highest = std::max(highest, *steps[n]);
    } else {
      hand_out(limit);
      limit = highest;
    }
  }
  hand_out(~std::uint64_t{0});
  return order;
}

TEST(RecordQueue, FollowsTheRule) {
  EXPECT_TRUE(rc::check([] {
    const auto steps =
        *rc::gen::container<Steps>(rc::gen::weightedOneOf<std::optional<std::uint64_t>>(
            {{5, rc::gen::map(rc::gen::inRange<std::uint64_t>(1, 30),
                              [](std::uint64_t time) { return std::optional{time}; })},
             {1, rc::gen::just(std::optional<std::uint64_t>{})}}));
    RC_ASSERT(queued(steps) == by_the_rule(steps));
  }));
}

TEST(RecordQueue, HasABoundAndHandsOutTheOlderHalfThere) {
  RecordQueue queue;
  for (std::uint64_t n = 0; n < RecordQueue::kMost; ++n) {
    EXPECT_FALSE(queue.full());
    queue.add(RecordQueue::kMost - n, n);
  }
  ASSERT_TRUE(queue.full());
  Offsets order;
  queue.make_room([&order](std::uint64_t offset) {
    order.push_back(offset);
    return true;
  });
  ASSERT_EQ(order.size(), RecordQueue::kMost / 2);
  EXPECT_EQ(order.front(), RecordQueue::kMost - 1);
  EXPECT_EQ(order.back(), RecordQueue::kMost / 2);
  EXPECT_FALSE(queue.full());
}

TEST(RecordQueue, StopsWhereItIsTold) {
  RecordQueue queue;
  for (std::uint64_t n = 1; n < 5; ++n) queue.add(n, n);
  Offsets order;
  EXPECT_FALSE(queue.end([&order](std::uint64_t offset) {
    order.push_back(offset);
    return offset < 2;
  }));
  EXPECT_EQ(order, (Offsets{1, 2}));
}

}  // namespace
}  // namespace vpmu::profile::perf_data
