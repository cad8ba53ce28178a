// SPDX-License-Identifier: MIT
#include "machine/x86/block_cache.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine::x86 {
namespace {

constexpr std::uint64_t kPage = 4096;

BlockKey key(std::uint64_t physical, std::uint64_t rip = 0x1000, std::uint8_t mode = 0) {
  return {physical, rip, 0, Mode{mode}};
}

Block* add(BlockCache& cache, const BlockKey& k, std::size_t last_page = 0) {
  const std::size_t page = k.physical / kPage;
  return cache.add(k, 1, page, last_page == 0 ? page : last_page).block;
}

TEST(BlockCache, FindsABlockByEveryPartOfItsKey) {
  BlockCache cache;
  const BlockKey k{0x5000, 0x1000, 0x10, Mode{Mode::kUser}};
  EXPECT_EQ(cache.find(k), nullptr);
  Block* block = add(cache, k);
  EXPECT_EQ(cache.find(k), block);
  EXPECT_EQ(cache.find({0x5001, 0x1000, 0x10, Mode{Mode::kUser}}), nullptr);
  EXPECT_EQ(cache.find({0x5000, 0x1001, 0x10, Mode{Mode::kUser}}), nullptr);
  EXPECT_EQ(cache.find({0x5000, 0x1000, 0x11, Mode{Mode::kUser}}), nullptr);
  EXPECT_EQ(cache.find({0x5000, 0x1000, 0x10, Mode{}}), nullptr);
}

TEST(BlockCache, GivesRoomForOpsAndRecords) {
  BlockCache cache;
  const BlockCache::NewBlock made = cache.add(key(0x5000), 33, 5, 5);
  EXPECT_EQ(made.block->ops, made.ops);
  EXPECT_EQ(made.block->records, made.records);
  for (unsigned n = 0; n < 33; ++n) {
    EXPECT_EQ(made.ops[n].base, kZeroRegister);
    EXPECT_EQ(made.records[n].instructions, 1);
  }
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(made.block) % 64, 0U);
}

TEST(BlockCache, KeepsManyBlocksApart) {
  BlockCache cache;
  std::vector<Block*> blocks;
  for (std::uint64_t n = 0; n < 50'000; ++n) blocks.push_back(add(cache, key(0x10000 + n, n)));
  for (std::uint64_t n = 0; n < 50'000; ++n) EXPECT_EQ(cache.find(key(0x10000 + n, n)), blocks[n]);
}

TEST(BlockCache, KillsThePageItIsToldAndNoOther) {
  BlockCache cache;
  Block* first = add(cache, key(0x5000));
  Block* second = add(cache, key(0x5ff0));
  Block* other = add(cache, key(0x6000));
  cache.kill_page(5);
  EXPECT_TRUE(first->dead);
  EXPECT_TRUE(second->dead);
  EXPECT_FALSE(other->dead);
  EXPECT_EQ(cache.find(key(0x5000)), nullptr);
  EXPECT_EQ(cache.find(key(0x6000)), other);
  cache.kill_page(5);
  cache.kill_page(77);
  EXPECT_EQ(cache.find(key(0x6000)), other);
}

TEST(BlockCache, KillsABlockAcrossPagesThroughEitherPage) {
  for (const std::size_t page : {5U, 6U}) {
    BlockCache cache;
    Block* block = add(cache, key(0x5fff), 6);
    cache.kill_page(page);
    EXPECT_TRUE(block->dead);
    EXPECT_EQ(cache.find(key(0x5fff)), nullptr);
    cache.kill_page(11 - page);  // what is left of it there is no trouble
  }
}

TEST(BlockCache, AddsAgainWhatWasKilled) {
  BlockCache cache;
  Block* before = add(cache, key(0x5000));
  cache.kill_page(5);
  Block* after = add(cache, key(0x5000));
  EXPECT_NE(before, after);
  EXPECT_EQ(cache.find(key(0x5000)), after);
  cache.kill_page(5);
  EXPECT_TRUE(after->dead);
}

TEST(BlockCache, UnlinksEdgesToAKilledBlock) {
  BlockCache cache;
  Block* from = add(cache, key(0x5000));
  Block* other = add(cache, key(0x6000));
  Block* target = add(cache, key(0x7000));
  link({from, 0}, *target);
  link({from, 1}, *target);
  link({other, 1}, *target);
  link({other, 0}, *from);
  link({target, 0}, *target);
  cache.kill_page(7);
  EXPECT_EQ(from->edge[0].target, nullptr);
  EXPECT_EQ(from->edge[1].target, nullptr);
  EXPECT_EQ(other->edge[1].target, nullptr);
  EXPECT_EQ(target->edge[0].target, nullptr);
  EXPECT_EQ(other->edge[0].target, from);
}

TEST(BlockCache, ARelinkedEdgeOnlyBelongsToItsNewTarget) {
  BlockCache cache;
  Block* from = add(cache, key(0x5000));
  Block* second_from = add(cache, key(0x5800));
  Block* first = add(cache, key(0x6000));
  Block* second = add(cache, key(0x7000));
  link({from, 1}, *first);
  link({second_from, 1}, *first);
  link({from, 1}, *second);
  link({from, 1}, *second);
  cache.kill_page(6);
  EXPECT_EQ(from->edge[1].target, second);
  EXPECT_EQ(second_from->edge[1].target, nullptr);
  cache.kill_page(7);
  EXPECT_EQ(from->edge[1].target, nullptr);
}

TEST(BlockCache, AnEdgeThatWasForgottenCanBeLinkedToTheSameTargetAgain) {
  BlockCache cache;
  Block* from = add(cache, key(0x5000));
  Block* target = add(cache, key(0x6000));
  link({from, 0}, *target);
  from->edge[0].target = nullptr;  // translations have changed
  link({from, 0}, *target);
  EXPECT_EQ(from->edge[0].target, target);
  cache.kill_page(6);
  EXPECT_EQ(from->edge[0].target, nullptr);
}

TEST(BlockCache, IsFullBeyondItsCapacityAndEmptyOnceCleared) {
  BlockCache cache;
  EXPECT_EQ(cache.bytes_used(), 0U);
  std::uint64_t n = 0;
  while (!cache.full()) {
    add(cache, key(n, n));
    ++n;
    ASSERT_LT(n, BlockCache::kCapacity / sizeof(Block));
  }
  EXPECT_GT(cache.bytes_used(), BlockCache::kCapacity);
  cache.clear();
  EXPECT_FALSE(cache.full());
  EXPECT_EQ(cache.bytes_used(), 0U);
  EXPECT_EQ(cache.find(key(0, 0)), nullptr);
  cache.kill_page(0);
  EXPECT_NE(add(cache, key(0, 0)), nullptr);
}

}  // namespace
}  // namespace vpmu::machine::x86
