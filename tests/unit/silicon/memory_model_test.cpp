// SPDX-License-Identifier: MIT
#include "vpmu/silicon/memory_model.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::silicon {
namespace {

// ---- Sets ---------------------------------------------------------------------------------------

TEST(LruSets, DropTheKeyUsedLeastRecently) {
  LruSets sets{1, 2};
  EXPECT_FALSE(sets.touch(1));
  EXPECT_FALSE(sets.touch(2));
  EXPECT_TRUE(sets.touch(1));
  EXPECT_FALSE(sets.touch(3));  // instead of 2
  EXPECT_TRUE(sets.touch(1));
  EXPECT_FALSE(sets.touch(2));  // instead of 3
  EXPECT_FALSE(sets.touch(3));
}

TEST(LruSets, AKeyCompetesOnlyWithKeysOfItsSet) {
  LruSets sets{4, 1};
  for (std::uint64_t key = 0; key < 4; ++key) EXPECT_FALSE(sets.touch(key));
  EXPECT_FALSE(sets.touch(5));  // the place of 1
  EXPECT_FALSE(sets.touch(1));
  for (const std::uint64_t key : {0, 2, 3}) EXPECT_TRUE(sets.touch(key));
}

TEST(LruSets, KeyZeroIsAKeyLikeAnyOther) {
  LruSets sets{2, 2};
  EXPECT_FALSE(sets.touch(0));
  EXPECT_TRUE(sets.touch(0));
}

TEST(LruSets, WithoutWaysEverythingMisses) {
  LruSets sets{0, 0};
  for (unsigned n = 0; n < 3; ++n) EXPECT_FALSE(sets.touch(0));
  sets.forget(0);
  EXPECT_TRUE(sets.save().empty());
}

TEST(LruSets, AForgottenKeyLeavesTheOthersInOrder) {
  LruSets sets{1, 3};
  for (const std::uint64_t key : {1, 2, 3}) sets.touch(key);
  sets.forget(2);
  sets.forget(7);
  EXPECT_EQ(sets.save(), (std::vector<std::uint64_t>{1, 3}));
  EXPECT_FALSE(sets.touch(4));  // in the free place
  EXPECT_FALSE(sets.touch(5));  // instead of 1
  EXPECT_EQ(sets.save(), (std::vector<std::uint64_t>{3, 4, 5}));
}

TEST(LruSets, ARestoredStateGoesOnAlike) {
  std::mt19937 random{1};
  LruSets one{8, 3};
  for (unsigned n = 0; n < 200; ++n) one.touch(random() % 50);
  LruSets other{8, 3};
  other.touch(1000);
  ASSERT_TRUE(other.restore(one.save()).has_value());
  for (unsigned n = 0; n < 1000; ++n) {
    const std::uint64_t key = random() % 50;
    ASSERT_EQ(other.touch(key), one.touch(key)) << n;
  }
  EXPECT_EQ(other.save(), one.save());
}

TEST(LruSets, AKeyThatCannotBeIsRefusedAndChangesNothing) {
  LruSets sets{2, 2};
  sets.touch(5);
  EXPECT_FALSE(sets.restore(std::vector<std::uint64_t>{1, ~std::uint64_t{0}}).has_value());
  EXPECT_EQ(sets.save(), (std::vector<std::uint64_t>{5}));
}

// ---- The hierarchy, by hand ---------------------------------------------------------------------

constexpr MemoryHierarchy kSmall{
    .l1d = {2, 1}, .l2 = {2, 2}, .llc = {4, 2}, .dtlb = {1, 1}, .stlb = {1, 2}};
constexpr std::uint64_t kLine = 64, kPage = 4096;

struct MemoryModelTest : testing::Test {
  void load(std::uint64_t address, unsigned bytes = 8, Privilege privilege = Privilege::kUser) {
    model.see({address, address, bytes, false, privilege});
  }
  void store(std::uint64_t address, unsigned bytes = 8, Privilege privilege = Privilege::kUser) {
    model.see({address, address, bytes, true, privilege});
  }
  std::uint64_t count(RawEvent event, PrivilegeSet privileges = kAllPrivileges) {
    return totals.read(event, privileges);
  }
  /// What was counted since the last call: L1 misses, those of loads, LLC references, LLC misses.
  std::vector<std::uint64_t> caches() {
    return since({RawEvent::kL1dMisses, RawEvent::kL1dLoadMisses, RawEvent::kLlcReferences,
                  RawEvent::kLlcMisses});
  }
  /// The same of TLB misses, load walks, store walks, all walks.
  std::vector<std::uint64_t> tlbs() {
    return since({RawEvent::kDtlbMisses, RawEvent::kDtlbLoadWalks, RawEvent::kDtlbStoreWalks,
                  RawEvent::kDtlbWalks});
  }
  std::vector<std::uint64_t> since(const std::vector<RawEvent>& events) {
    std::vector<std::uint64_t> counted;
    for (const RawEvent event : events) {
      counted.push_back(count(event) - seen[event]);
      seen[event] = count(event);
    }
    return counted;
  }

  RetireTotals totals;
  LruSets llc{kSmall.llc.sets, kSmall.llc.ways};
  MemoryModel model{kSmall, llc, totals};
  std::map<RawEvent, std::uint64_t> seen;
};
using Counts = std::vector<std::uint64_t>;

TEST_F(MemoryModelTest, ALineIsFetchedOnce) {
  load(0);
  EXPECT_EQ(caches(), (Counts{1, 1, 1, 1}));
  load(8);
  store(56);
  EXPECT_EQ(caches(), (Counts{0, 0, 0, 0}));
}

TEST_F(MemoryModelTest, AStoreBringsItsLineInAndIsNoLoadMiss) {
  store(0);
  EXPECT_EQ(caches(), (Counts{1, 0, 1, 1}));
  load(0);
  EXPECT_EQ(caches(), (Counts{0, 0, 0, 0}));
}

TEST_F(MemoryModelTest, WhatTheFirstLevelDropsTheOthersHave) {
  load(0);
  load(2 * kLine);  // the same set of the first level
  caches();
  load(0);
  EXPECT_EQ(caches(), (Counts{1, 1, 0, 0}));  // second level
  load(4 * kLine);
  load(8 * kLine);  // both in set 0 of the second and of the last level
  caches();
  load(0);
  EXPECT_EQ(caches(), (Counts{1, 1, 1, 1}));
}

TEST_F(MemoryModelTest, TheLastLevelAnswersWhatTheSecondDropped) {
  load(0);
  load(2 * kLine);
  load(6 * kLine);  // drops line 0 from the second level; set 2 of the last level
  caches();
  load(0);
  EXPECT_EQ(caches(), (Counts{1, 1, 1, 0}));
}

TEST_F(MemoryModelTest, AnAccessAcrossLinesIsOneInEach) {
  load(kLine - 4);
  EXPECT_EQ(caches(), (Counts{2, 2, 2, 2}));
  load(kLine - 1, 1);
  load(kLine, 1);
  EXPECT_EQ(caches(), (Counts{0, 0, 0, 0}));
}

TEST_F(MemoryModelTest, TlbLevelsAndKindsOfWalks) {
  load(0);
  EXPECT_EQ(tlbs(), (Counts{1, 1, 0, 1}));
  store(8);
  EXPECT_EQ(tlbs(), (Counts{0, 0, 0, 0}));
  store(kPage);
  EXPECT_EQ(tlbs(), (Counts{1, 0, 1, 1}));
  load(0);  // the second level has it
  EXPECT_EQ(tlbs(), (Counts{1, 0, 0, 0}));
  store(2 * kPage);
  tlbs();
  load(kPage);  // was used less recently than 0
  EXPECT_EQ(tlbs(), (Counts{1, 1, 0, 1}));
}

TEST_F(MemoryModelTest, TlbsGoByLinearAndCachesByPhysicalAddress) {
  model.see({.linear = 0, .physical = kPage, .bytes = 8, .write = false, .privilege = {}});
  caches();
  tlbs();
  model.see({.linear = kPage, .physical = kPage, .bytes = 8, .write = false, .privilege = {}});
  EXPECT_EQ(caches(), (Counts{0, 0, 0, 0}));
  EXPECT_EQ(tlbs(), (Counts{1, 1, 0, 1}));
}

TEST_F(MemoryModelTest, AFlushedTlbWalksAndItsCachesStay) {
  load(0);
  caches();
  tlbs();
  model.flush_tlb();
  load(0);
  EXPECT_EQ(tlbs(), (Counts{1, 1, 0, 1}));
  EXPECT_EQ(caches(), (Counts{0, 0, 0, 0}));
}

TEST_F(MemoryModelTest, AFlushedLineComesFromMemory) {
  load(0);
  load(kLine);
  caches();
  model.flush_line(8);
  load(kLine);
  EXPECT_EQ(caches(), (Counts{0, 0, 0, 0}));
  load(0);
  EXPECT_EQ(caches(), (Counts{1, 1, 1, 1}));
}

TEST_F(MemoryModelTest, CountsUnderThePrivilegeOfTheAccess) {
  load(0, 8, Privilege::kKernel);
  load(kPage, 8, Privilege::kUser);
  for (const RawEvent event : {RawEvent::kL1dMisses, RawEvent::kLlcMisses, RawEvent::kDtlbWalks}) {
    EXPECT_EQ(count(event, {true, false}), 1U);
    EXPECT_EQ(count(event, {false, true}), 1U);
  }
}

TEST_F(MemoryModelTest, TheLastLevelIsSharedAndNothingElse) {
  RetireTotals other_totals;
  MemoryModel other{kSmall, llc, other_totals};
  load(0);
  other.see({0, 0, 8, false, Privilege::kUser});
  EXPECT_EQ(other_totals.read(RawEvent::kLlcReferences, kAllPrivileges), 1U);
  EXPECT_EQ(other_totals.read(RawEvent::kLlcMisses, kAllPrivileges), 0U);
  EXPECT_EQ(other_totals.read(RawEvent::kDtlbWalks, kAllPrivileges), 1U);
}

TEST_F(MemoryModelTest, ARestoredModelGoesOnAlike) {
  std::mt19937 random{2};
  for (unsigned n = 0; n < 100; ++n) load(random() % 16 * kLine);
  RetireTotals other_totals = totals;
  LruSets other_llc{kSmall.llc.sets, kSmall.llc.ways};
  ASSERT_TRUE(other_llc.restore(llc.save()).has_value());
  MemoryModel other{kSmall, other_llc, other_totals};
  ASSERT_TRUE(other.restore(model.save()).has_value());
  for (unsigned n = 0; n < 300; ++n) {
    const std::uint64_t at = random() % 16 * kLine * (n % 7 == 0 ? 64 : 1);
    load(at);
    other.see({at, at, 8, false, Privilege::kUser});
  }
  EXPECT_EQ(other_totals.save(), totals.save());
  EXPECT_EQ(other.save(), model.save());
  EXPECT_EQ(other_llc.save(), llc.save());
}

// ---- Against a slow model -----------------------------------------------------------------------

/// What the header says, in so many words.
class SlowSets {
 public:
  SlowSets(std::uint32_t sets, std::uint32_t ways) : sets_(sets), ways_{ways} {}
  bool touch(std::uint64_t key) {
    std::list<std::uint64_t>& set = sets_[key % sets_.size()];
    const auto found = std::find(set.begin(), set.end(), key);
    const bool hit = found != set.end();
    if (hit) set.erase(found);
    set.push_front(key);
    if (set.size() > ways_) set.pop_back();
    return hit;
  }
  void clear() {
    for (auto& set : sets_) set.clear();
  }
  void forget(std::uint64_t key) { sets_[key % sets_.size()].remove(key); }

 private:
  std::vector<std::list<std::uint64_t>> sets_;
  std::size_t ways_;
};

TEST(MemoryModel, AgreesWithASlowModelOnRandomAccesses) {
  constexpr MemoryHierarchy kMiddling{
      .l1d = {8, 4}, .l2 = {16, 8}, .llc = {64, 5}, .dtlb = {4, 4}, .stlb = {8, 3}};
  RetireTotals totals;
  LruSets llc{kMiddling.llc.sets, kMiddling.llc.ways};
  MemoryModel model{kMiddling, llc, totals};
  SlowSets l1d{8, 4}, l2{16, 8}, last{64, 5}, dtlb{4, 4}, stlb{8, 3};
  std::map<RawEvent, std::uint64_t> expected;
  std::mt19937 random{3};
  for (unsigned n = 0; n < 200'000; ++n) {
    if (random() % 5000 == 0) {
      model.flush_tlb();
      dtlb.clear();
      stlb.clear();
    }
    // Mostly near where it was, sometimes far; always within a page.
    const std::uint64_t page = random() % (random() % 8 == 0 ? 200 : 12);
    const unsigned bytes = 1U << random() % 5;
    const std::uint64_t linear = page << 12 | random() % (4096 - bytes);
    const std::uint64_t physical = linear ^ (page * 7 << 12);
    const bool write = random() % 3 == 0;
    if (random() % 500 == 0) {
      model.flush_line(physical);
      for (SlowSets* cache : {&l1d, &l2, &last}) cache->forget(physical / 64);
    }
    model.see({linear, physical, bytes, write, Privilege::kUser});
    if (!dtlb.touch(page)) {
      ++expected[RawEvent::kDtlbMisses];
      if (!stlb.touch(page)) {
        ++expected[RawEvent::kDtlbWalks];
        ++expected[write ? RawEvent::kDtlbStoreWalks : RawEvent::kDtlbLoadWalks];
      }
    }
    for (std::uint64_t line = physical / 64; line <= (physical + bytes - 1) / 64; ++line) {
      if (l1d.touch(line)) continue;
      ++expected[RawEvent::kL1dMisses];
      if (!write) ++expected[RawEvent::kL1dLoadMisses];
      if (l2.touch(line)) continue;
      ++expected[RawEvent::kLlcReferences];
      if (!last.touch(line)) ++expected[RawEvent::kLlcMisses];
    }
  }
  for (const RawEvent event :
       {RawEvent::kL1dMisses, RawEvent::kL1dLoadMisses, RawEvent::kLlcReferences,
        RawEvent::kLlcMisses, RawEvent::kDtlbMisses, RawEvent::kDtlbLoadWalks,
        RawEvent::kDtlbStoreWalks, RawEvent::kDtlbWalks}) {
    EXPECT_EQ(totals.read(event, kAllPrivileges), expected[event]) << name(event);
    EXPECT_GT(expected[event], 0U) << name(event);
  }
}

}  // namespace
}  // namespace vpmu::silicon
