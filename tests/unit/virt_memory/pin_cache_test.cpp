// SPDX-License-Identifier: MIT
//
// Profiling buffers that stay pinned while they are not used.
#include "vpmu/virt/memory/pin_cache.hpp"

#include <cerrno>
#include <memory>
#include <vector>

#include "unit/virt_memory/space_fixture.hpp"

namespace vpmu::virt::memory {
namespace {

class PinCaches : public SpaceFixture {
 protected:
  void SetUp() override { add(slot(0, 1024)); }
  void TearDown() override {
    cache.reset();
    SpaceFixture::TearDown();
  }
  void make_cache(const PinCacheConfig& config) {
    cache = std::make_unique<PinCache>(*space, config);
  }
  /// The n-th buffer: 8 pages from page 16 n on.
  static BufferKey key(unsigned n, std::uint64_t generation = 0) {
    const std::uint64_t begin = 0xffff'0000'0000 + std::uint64_t{n} * 0x1'0000;
    return {0x1000, begin, begin + 0x8000, generation};
  }
  static std::vector<GuestPhysical> pages(unsigned n, unsigned count = 8) {
    std::vector<GuestPhysical> all;
    for (unsigned i = 0; i < count; ++i) all.push_back(page(16 * n + i));
    return all;
  }
  int pin(unsigned n, unsigned count = 8) { return number(cache->pin(key(n), pages(n, count))); }
  bool pinned(unsigned n) {
    return space->read(0, [n](const SlotPages& all) { return all.locked(16 * n); });
  }

  std::unique_ptr<PinCache> cache = std::make_unique<PinCache>(*space, PinCacheConfig{});
};

TEST_F(PinCaches, KeepABufferThatComesBack) {
  EXPECT_FALSE(cache->reuse(key(0)));
  EXPECT_EQ(pin(0), 0);
  EXPECT_EQ(host.pinned.size(), 8u);
  const unsigned calls = host.pin_calls;
  EXPECT_EQ(calls, 1u) << "pages in a row are pinned at once";
  for (unsigned n = 0; n < 100; ++n) {
    cache->release();
    EXPECT_EQ(host.pinned.size(), 8u);
    EXPECT_TRUE(cache->reuse(key(0)));
  }
  EXPECT_EQ(host.pin_calls, calls) << "no work";
  EXPECT_EQ(cache->statistics().hits, 100u);
  EXPECT_EQ(cache->statistics().pins, 1u);
}

TEST_F(PinCaches, CompareWhenTablesMayHaveChanged) {
  EXPECT_EQ(pin(0), 0);
  cache->release();
  EXPECT_FALSE(cache->reuse(key(0, 1)));
  EXPECT_TRUE(cache->pin(key(0, 1), pages(0)));
  EXPECT_EQ(host.pin_calls, 1u) << "the same pages";
  EXPECT_EQ(cache->statistics().rewalks, 1u);
  EXPECT_TRUE(cache->reuse(key(0, 1)));
  EXPECT_FALSE(cache->reuse(key(0, 0)));
  auto others = pages(0);
  others.back() = page(900);
  EXPECT_TRUE(cache->pin(key(0, 2), others));
  EXPECT_EQ(cache->buffers(), 1u);
  EXPECT_EQ(host.pinned.size(), 8u);
  EXPECT_TRUE(host.pinned.contains(memory_at(kMemory + 900 * kPageBytes)));
  EXPECT_FALSE(host.pinned.contains(memory_at(kMemory + 7 * kPageBytes)));
}

TEST_F(PinCaches, TellBuffersApartByRootPlaceAndLimit) {
  EXPECT_EQ(pin(0), 0);
  BufferKey other = key(0);
  other.root = 0x2000;
  EXPECT_FALSE(cache->reuse(other));
  other = key(0);
  other.begin -= 4096;
  EXPECT_FALSE(cache->reuse(other));
  other = key(0);
  other.limit += 4096;
  EXPECT_FALSE(cache->reuse(other));
}

TEST_F(PinCaches, KeepABufferThatGoesOnBehindWhatWasRecorded) {
  EXPECT_EQ(pin(0), 0);
  cache->release();
  BufferKey rest = key(0);
  rest.begin += 4096;
  rest.limit -= 4096;
  EXPECT_TRUE(cache->reuse(rest));
  EXPECT_TRUE(cache->reuse(key(0))) << "its own key stays";
  rest.generation = 1;
  EXPECT_FALSE(cache->reuse(rest));
  EXPECT_EQ(host.pinned.size(), 8u);
}

TEST_F(PinCaches, DropTheLeastRecentlyUsed) {
  for (unsigned n = 0; n < 4; ++n) EXPECT_EQ(pin(n), 0);
  EXPECT_EQ(cache->buffers(), 4u);
  EXPECT_TRUE(cache->reuse(key(0)));
  EXPECT_EQ(pin(4), 0);
  EXPECT_EQ(cache->buffers(), 4u);
  EXPECT_TRUE(pinned(0));
  EXPECT_FALSE(pinned(1)) << "used longest ago";
  EXPECT_TRUE(pinned(2));
  EXPECT_EQ(cache->statistics().evictions, 1u);
}

TEST_F(PinCaches, OfOneBufferHaveOnlyThatInUse) {
  make_cache({.buffers = 1});
  EXPECT_EQ(pin(0), 0);
  EXPECT_EQ(pin(1), 0);
  EXPECT_EQ(cache->buffers(), 1u);
  EXPECT_EQ(cache->pinned_bytes(), 8 * kPageBytes);
}

TEST_F(PinCaches, StayWithinTheirBytes) {
  make_cache({.most_bytes = 20 * kPageBytes});
  EXPECT_EQ(pin(0), 0);
  EXPECT_EQ(pin(1), 0);
  EXPECT_EQ(pin(2), 0);
  EXPECT_EQ(cache->buffers(), 2u);
  EXPECT_FALSE(pinned(0));
  EXPECT_EQ(number(cache->pin(key(9), pages(9, 21))), EFBIG);
  EXPECT_EQ(cache->buffers(), 2u) << "nothing had to go for what never fits";
  EXPECT_EQ(number(cache->pin(key(9), pages(9, 20))), 0);
  EXPECT_EQ(cache->buffers(), 1u);
}

TEST_F(PinCaches, ShareABudget) {
  PinBudget budget{20 * kPageBytes};
  make_cache({.budget = &budget});
  PinCache other{*space, {.budget = &budget}};
  EXPECT_TRUE(other.pin(key(10), pages(10)));
  EXPECT_EQ(pin(0), 0);
  EXPECT_EQ(budget.left(), 4 * kPageBytes);
  EXPECT_EQ(pin(1), 0) << "for which the first one went";
  EXPECT_FALSE(pinned(0));
  EXPECT_TRUE(pinned(10));
  EXPECT_EQ(number(cache->pin(key(9), pages(9, 16))), EFBIG) << "the other vCPU has too much";
  EXPECT_EQ(cache->buffers(), 0u);
  EXPECT_EQ(budget.left(), 12 * kPageBytes);
  other.drop_all();
  EXPECT_EQ(budget.left(), 20 * kPageBytes);
}

TEST_F(PinCaches, GiveIdleBuffersUpBeforeTheLimitRefusesANewOne) {
  host.limit = 20;
  EXPECT_EQ(pin(0), 0);
  EXPECT_EQ(pin(1), 0);
  EXPECT_EQ(pin(2), 0);
  EXPECT_FALSE(pinned(0));
  EXPECT_EQ(cache->buffers(), 2u);
  EXPECT_EQ(number(cache->pin(key(9), pages(9, 21))), ENOMEM);
  EXPECT_EQ(cache->buffers(), 0u);
  EXPECT_EQ(host.charged, 0u);
}

TEST_F(PinCaches, RefuseBuffersThatAreNotInMemoryAndLeaveNothingPinned) {
  auto bad = pages(0);
  bad[3] = GuestPhysical{0x1000};
  EXPECT_EQ(number(cache->pin(key(0), bad)), EFAULT);
  EXPECT_TRUE(host.pinned.empty());
  EXPECT_EQ(cache->pinned_bytes(), 0u);
  add(slot(1, 4, MemorySlot::kReadOnly, 0x1000'0000));
  bad[3] = GuestPhysical{kBegin + 0x1000'0000};
  EXPECT_EQ(number(cache->pin(key(0), bad)), EPERM);
  bad[3] = GuestPhysical{kBegin + 5};
  EXPECT_EQ(number(cache->pin(key(0), bad)), EINVAL);
  EXPECT_TRUE(host.pinned.empty());
  EXPECT_EQ(cache->buffers(), 0u);
  EXPECT_FALSE(cache->reuse(key(0)));
}

TEST_F(PinCaches, PinABufferInSeveralSlotsAndInAnyOrder) {
  add(slot(1, 16, 0, 1024 * kPageBytes));
  const std::vector<GuestPhysical> scattered{page(1022), page(1023), page(1024), page(1025),
                                             page(7),    page(6),    page(7)};
  EXPECT_TRUE(cache->pin(key(0), scattered));
  EXPECT_EQ(host.pinned.size(), 6u);
  EXPECT_EQ(host.charged, 6u);
  cache->drop_all();
  EXPECT_TRUE(host.pinned.empty());
}

TEST_F(PinCaches, TryAgainWhenTheMemoryChangesMeanwhileButNotForEver) {
  unsigned changes = 3;
  host.on_pin = [&] {
    if (changes != 0 && changes-- != 0) space->invalidate(memory_at(kMemory), kPageBytes);
  };
  EXPECT_EQ(pin(0), 0);
  EXPECT_EQ(host.pin_calls, 4u);
  changes = ~0u;
  EXPECT_EQ(pin(1), EAGAIN);
}

TEST_F(PinCaches, LetGoWhenMemoryIsShort) {
  for (unsigned n = 0; n < 3; ++n) EXPECT_EQ(pin(n), 0);
  EXPECT_EQ(cache->drop(1), 8 * kPageBytes);
  EXPECT_FALSE(pinned(0));
  EXPECT_EQ(cache->drop(~std::uint64_t{0}), 8 * kPageBytes) << "not what is in use";
  EXPECT_TRUE(pinned(2));
  cache->release();
  EXPECT_EQ(cache->drop(1), 8 * kPageBytes);
  EXPECT_TRUE(host.pinned.empty());
}

TEST_F(PinCaches, LetGoOfWhatHasLongNotBeenUsed) {
  for (unsigned n = 0; n < 3; ++n) {
    ASSERT_TRUE(cache->pin(key(n), pages(n), 100 + n));
    cache->release(200 + n);
  }
  EXPECT_TRUE(cache->reuse(key(0), 150));
  cache->drop_older(202);
  EXPECT_TRUE(pinned(0)) << "in use";
  EXPECT_FALSE(pinned(1));
  EXPECT_TRUE(pinned(2));
}

TEST_F(PinCaches, GoOnElsewhereAsTheyWere) {
  for (unsigned n = 0; n < 3; ++n) EXPECT_EQ(pin(n), 0);
  auto scattered = pages(5);
  scattered[3] = page(900);
  ASSERT_TRUE(cache->pin(key(5, 7), scattered, 11));
  const PinCacheState state = cache->save();
  ASSERT_EQ(state.buffers.size(), 4u);
  EXPECT_EQ(state.buffers[0].runs.size(), 3u);
  EXPECT_EQ(state.buffers[0].used, 11u);
  cache->drop_all();
  make_cache({});
  ASSERT_TRUE(cache->restore(state));
  EXPECT_EQ(cache->save(), state);
  EXPECT_TRUE(host.pinned.contains(memory_at(kMemory + 900 * kPageBytes)));
  EXPECT_EQ(cache->drop(~std::uint64_t{0}), 24 * kPageBytes) << "one is in use";
  EXPECT_TRUE(cache->reuse(key(5, 7)));
}

TEST_F(PinCaches, RefuseStatesOfOthersAndHaveNothingThen) {
  for (unsigned n = 0; n < 3; ++n) EXPECT_EQ(pin(n), 0);
  const PinCacheState state = cache->save();
  const auto refused = [&](const PinCacheConfig& config, auto change) {
    PinCacheState other = state;
    change(other);
    make_cache(config);
    const int error = number(cache->restore(other));
    EXPECT_EQ(cache->buffers(), 0u);
    EXPECT_TRUE(host.pinned.empty());
    return error;
  };
  EXPECT_EQ(refused({.buffers = 2}, [](PinCacheState&) {}), EINVAL);
  EXPECT_EQ(refused({}, [](PinCacheState& other) { other.buffers.clear(); }), EINVAL);
  const PinCacheConfig small{.most_bytes = 24 * kPageBytes};
  EXPECT_EQ(refused(small, [](PinCacheState& other) { other.buffers[1].runs[0].pages = ~0ULL; }),
            EFBIG);
  EXPECT_EQ(refused({}, [](PinCacheState& other) { other.buffers[2].runs[0].begin = 0; }), EFAULT);
}

TEST_F(PinCaches, MustBeEmptiedBeforeTheirSlotGoes) {
  EXPECT_EQ(pin(0), 0);
  cache->release();
  EXPECT_EQ(set(slot(0, 0)), EBUSY);
  cache->drop_all();
  EXPECT_EQ(set(slot(0, 0)), 0);
}

}  // namespace
}  // namespace vpmu::virt::memory
