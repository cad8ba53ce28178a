// SPDX-License-Identifier: MIT
#include "machine/pc/filter_log.hpp"

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

using machine::FilterLog;
using silicon::x86::EventSelector;
using silicon::x86::Vendor;
using virt::x86::EventFilter;
using virt::x86::fixed_counter;
using virt::x86::gp_counter;
using Reason = virt::x86::FilterVerdict::Reason;

/// Denies all of 0xd0 but unit mask 0x81, and fixed counter 1.
std::unique_ptr<const EventFilter> make_filter(Vendor vendor = Vendor::kIntel) {
  virt::x86::FilterImage image;
  image.action = static_cast<std::uint32_t>(virt::x86::FilterAction::kDeny);
  image.flags = virt::x86::FilterImage::kMaskedEvents;
  image.fixed_bitmap = 1 << 1;
  image.count = 2;
  image.entries[0] = 0xff800000000081d0;
  image.entries[1] = 0x00000000000000d0;
  auto made = EventFilter::create(image, vendor);
  EXPECT_TRUE(made.has_value());
  return std::move(*made);
}

class FilterLogTest : public testing::Test {
 protected:
  std::unique_ptr<const EventFilter> filter = make_filter();
  FilterLog log;

  [[nodiscard]] const FilterLog::Filter& last() const { return log.filters().back(); }
  /// Of an Intel machine with two vCPUs.
  bool takes(const FilterLog::State& state) const {
    FilterLog other;
    return other.restore(state, filter.get(), Vendor::kIntel, 2).has_value();
  }
};

TEST_F(FilterLogTest, DenialsAreCountedByWhatDecided) {
  log.begin(filter.get(), "first", 100);
  log.denied(0, gp_counter(0), 0x82d0);
  log.denied(0, gp_counter(0), 0x82d0);
  log.denied(1, gp_counter(0), 0x82d0);
  log.denied(1, gp_counter(3), 0x83d0);
  log.denied(1, fixed_counter(1), 0x003c);
  EXPECT_EQ(last().name, "first");
  EXPECT_EQ(last().since, 100u);
  EXPECT_EQ(last().by_entry, (std::vector<std::uint64_t>{0, 4}));
  EXPECT_EQ(last().not_included, 0u);
  EXPECT_EQ(last().by_fixed_bitmap[1], 1u);
  EXPECT_EQ(last().denied(), 5u);
}

TEST_F(FilterLogTest, EachCounterAndEventIsOneDenialWithItsVerdict) {
  log.begin(filter.get(), "", 0);
  log.denied(0, gp_counter(0), 0x82d0);
  log.denied(0, gp_counter(0), 0x82d0 | 1 << 18);  // the same event, edges of it
  log.denied(0, fixed_counter(1), 0x003c);
  ASSERT_EQ(last().denials.size(), 2u);
  const FilterLog::Denial& denial = last().denials[0];
  EXPECT_EQ(denial.event, (EventSelector{0xd0, 0x82}));
  EXPECT_EQ(denial.count, 2u);
  EXPECT_EQ(denial.verdict.reason, Reason::kIncluded);
  EXPECT_EQ(denial.verdict.entry, 1u);
  EXPECT_EQ(last().denials[1].verdict.reason, Reason::kFixedBitmap);
}

TEST_F(FilterLogTest, WhatTheFilterAdmitsIsNoDenialOfIts) {
  log.begin(filter.get(), "", 0);
  log.denied(0, gp_counter(0), 0x81d0);
  log.denied(0, fixed_counter(0), 0x00c0);
  EXPECT_EQ(last().denied(), 0u);
  log.begin(nullptr, "none", 1);
  log.denied(0, gp_counter(0), 0x82d0);
  EXPECT_EQ(last().denied(), 0u);
  EXPECT_FALSE(last().image.has_value());
}

TEST_F(FilterLogTest, AmdEventsHaveTwelveBits) {
  const auto amd = make_filter(Vendor::kAmd);
  log.begin(amd.get(), "", 0);
  log.denied(0, gp_counter(0), 0x1'0000'00d0);
  EXPECT_EQ(last().denied(), 0u) << "0x1d0 is another event than 0xd0";
  log.denied(0, gp_counter(0), 0x00d0);
  EXPECT_EQ(last().by_entry[1], 1u);
}

TEST_F(FilterLogTest, RowsAreBoundedAndTotalsAreExact) {
  log.begin(filter.get(), "", 0);
  std::uint64_t denied = 0;
  for (std::uint64_t mask = 0; mask < 0x100; ++mask) {
    for (unsigned counter = 0; counter < 4; ++counter) {
      log.denied(0, gp_counter(counter), mask << 8 | 0xd0);
      denied += mask == 0x81 ? 0 : 1;
    }
  }
  EXPECT_EQ(last().denials.size(), FilterLog::kMaxDenials);
  EXPECT_EQ(last().denied(), denied);
}

TEST_F(FilterLogTest, OldestFiltersAreForgotten) {
  for (std::uint64_t n = 0; n <= FilterLog::kMaxFilters; ++n) log.begin(filter.get(), "", n);
  EXPECT_EQ(log.filters().size(), FilterLog::kMaxFilters);
  EXPECT_EQ(log.filters().front().since, 1u);
}

TEST_F(FilterLogTest, MovesWithItsGuest) {
  log.begin(filter.get(), "first", 0);
  log.denied(1, gp_counter(0), 0x82d0);
  FilterLog other;
  ASSERT_TRUE(other.restore(log.save(), filter.get(), Vendor::kIntel, 2).has_value());
  EXPECT_EQ(other.filters(), log.filters());
  other.denied(1, gp_counter(0), 0x82d0);
  EXPECT_EQ(other.filters().back().denials[0].count, 2u);
}

TEST_F(FilterLogTest, DamagedStateIsRefused) {
  log.begin(filter.get(), "", 0);
  log.denied(1, gp_counter(0), 0x82d0);
  const FilterLog::State good = log.save();
  ASSERT_TRUE(takes(good));
  FilterLog::State bad = good;
  bad[0].denials[0].vcpu = 2;
  EXPECT_FALSE(takes(bad));
  bad = good;
  bad[0].denials[0].counter = gp_counter(31);
  EXPECT_FALSE(takes(bad));
  bad = good;
  bad[0].by_entry.push_back(1);
  EXPECT_FALSE(takes(bad));
  bad = good;
  bad[0].image->action = 2;
  EXPECT_FALSE(takes(bad));
  bad = good;
  bad[0].image.reset();
  EXPECT_FALSE(takes(bad)) << "no filter, but denials";
}

}  // namespace
}  // namespace vpmu::test
