// SPDX-License-Identifier: MIT
//
// vCPUs that access their memory while others change, lock and unlock it. To be run with
// -fsanitize=thread too.
#include <atomic>
#include <cerrno>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "vpmu/virt/memory/address_space.hpp"
#include "vpmu/virt/memory/host_mapping.hpp"
#include "vpmu/virt/memory/pin_cache.hpp"

namespace vpmu::virt::memory {
namespace {

constexpr std::uint64_t kPages = 1024;
constexpr GuestPhysical kBegin{0x4000'0000};
constexpr unsigned kTurns = 400;

GuestPhysical page(std::uint64_t n) {
  return GuestPhysical{raw(kBegin) + n * kPageBytes};
}

/// Pins nothing, but keeps the account; is asked by many at once.
class CountingHost final : public PinningHost {
 public:
  void* allocate(std::size_t bytes) override { return linux_.allocate(bytes); }
  void release(void* memory, std::size_t bytes) override { linux_.release(memory, bytes); }
  int pin(std::byte*, std::uint64_t bytes, bool) override {
    pinned += bytes / kPageBytes;
    return 0;
  }
  int pin_for_writing(std::byte*, std::uint64_t) override { return 0; }
  void unpin(std::byte*, std::uint64_t bytes) override { pinned -= bytes / kPageBytes; }
  int fault_in(std::byte*, bool) override { return 0; }
  bool may_charge(std::uint64_t) override { return true; }
  bool charge(std::uint64_t pages) override {
    charged += pages;
    return true;
  }
  void uncharge(std::uint64_t pages) override { charged -= pages; }

  std::atomic<std::uint64_t> pinned = 0, charged = 0;

 private:
  LinuxPinningHost linux_;
};

class CountingUser final : public AddressSpaceUser {
 public:
  void locked_page_faulted(const LockedPageFault&) override { ++warnings; }
  std::atomic<unsigned> warnings = 0;
};

class MemoryThreads : public testing::Test {
 protected:
  MemoryThreads() {
    auto made = HostMapping::create(HostMemoryKind::kAnonymous, kPages * kPageBytes);
    memory.emplace(std::move(*made));
    EXPECT_TRUE(space.set_slot(slot()));
  }
  ~MemoryThreads() override { finish(); }

  [[nodiscard]] MemorySlot slot(std::uint32_t flags = 0) const {
    return {0, flags, kBegin, kPages * kPageBytes, memory->data()};
  }
  /// A thread that does something again and again, until finish().
  template <class Turn>
  void start(Turn turn) {
    threads_.emplace_back([this, turn]() mutable {
      do {
        turn();
        std::this_thread::yield();
      } while (!over_);
    });
  }
  void finish() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  std::optional<HostMapping> memory;
  CountingHost host;
  CountingUser user;
  AddressSpace space{{}, host, user};
  std::atomic<unsigned> faults = 0;

 private:
  std::vector<std::thread> threads_;
  std::atomic<bool> over_ = false;
};

TEST_F(MemoryThreads, VcpusRunWhileSlotsAreLockedAndUnlocked) {
  for (unsigned n = 0; n < 2; ++n) {
    start([this, at = std::uint64_t{n} * 511]() mutable {
      if (!space.before_run()) ++faults;
      const auto translation = space.translate(page(at), StageTwoAccess::kWrite);
      if (!translation || translation->host != memory->data() + at * kPageBytes) ++faults;
      at = (at + 7) % kPages;
    });
  }
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    ASSERT_TRUE(space.lock(0, LockAccess::kReadWrite));
    ASSERT_EQ(host.pinned, kPages);
    ASSERT_TRUE(space.unlock(0));
    if (turn % 16 == 0) space.vcpu_reset();
  }
  finish();
  EXPECT_EQ(faults, 0u);
  EXPECT_EQ(host.pinned, 0u);
  EXPECT_EQ(host.charged, 0u);
}

TEST_F(MemoryThreads, LockedPagesDoNotFaultWhileOthersLockAround) {
  ASSERT_TRUE(space.lock(0, LockAccess::kReadWrite));
  start([this, at = std::uint64_t{0}]() mutable {
    if (!space.translate(page(at), StageTwoAccess::kWrite)) ++faults;
    at = (at + 13) % kPages;
  });
  start([this, at = std::uint64_t{0}]() mutable {
    const auto range = space.lock_range(page(at), 64 * kPageBytes, LockAccess::kReadWrite);
    if (!range) ++faults;
    at = (at + 37) % (kPages - 64);
  });
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    const auto range = space.lock_range(page(turn % 900), 100 * kPageBytes, LockAccess::kRead);
    ASSERT_TRUE(range);
  }
  finish();
  EXPECT_EQ(faults, 0u);
  EXPECT_EQ(user.warnings, 0u);
  EXPECT_EQ(host.pinned, kPages);
}

TEST_F(MemoryThreads, EveryWriteIsInALog) {
  ASSERT_TRUE(space.set_slot(slot(MemorySlot::kLogDirtyPages)));
  constexpr unsigned kWriters = 2;
  std::vector<std::atomic<unsigned>> written(kPages);
  for (unsigned n = 0; n < kWriters; ++n) {
    start([this, &written, at = std::uint64_t{n}]() mutable {
      if (!space.translate(page(at), StageTwoAccess::kWrite)) ++faults;
      ++written[at];
      at = (at + 3) % kPages;
    });
  }
  std::vector<std::uint64_t> log(kPages / 64);
  std::vector<bool> seen(kPages);
  const auto take = [&] {
    ASSERT_TRUE(space.take_dirty_log(0, log));
    for (std::uint64_t n = 0; n < kPages; ++n)
      seen[n] = seen[n] || (log[n / 64] >> n % 64 & 1) != 0;
  };
  for (unsigned turn = 0; turn < kTurns; ++turn) take();
  finish();
  take();
  EXPECT_EQ(faults, 0u);
  for (std::uint64_t n = 0; n < kPages; ++n) EXPECT_EQ(seen[n], written[n] != 0) << n;
}

TEST_F(MemoryThreads, AccessesSeeASlotWhollyWhileItMoves) {
  constexpr GuestPhysical kElsewhere{0x8000'0000};
  MemorySlot moved = slot();
  moved.begin = kElsewhere;
  std::atomic<unsigned> hits = 0;
  for (unsigned n = 0; n < 2; ++n) {
    start([this, &hits, at = std::uint64_t{n}]() mutable {
      for (const GuestPhysical begin : {kBegin, kElsewhere}) {
        const GuestPhysical address{raw(begin) + at * kPageBytes};
        const auto translation = space.translate(address, StageTwoAccess::kRead);
        if (!translation) continue;
        ++hits;
        if (translation->host != memory->data() + at * kPageBytes) ++faults;
      }
      at = (at + 5) % kPages;
    });
  }
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    ASSERT_TRUE(space.set_slot(moved));
    if (turn % 8 == 0) {
      MemorySlot gone = moved;
      gone.bytes = 0;
      ASSERT_TRUE(space.set_slot(gone));
    }
    ASSERT_TRUE(space.set_slot(slot()));
  }
  while (hits == 0) std::this_thread::yield();
  finish();
  EXPECT_EQ(faults, 0u);
}

TEST_F(MemoryThreads, LocksMeetChangesOfTheMemory) {
  start([this] { space.invalidate(memory->data() + 100 * kPageBytes, 8 * kPageBytes); });
  start([this, at = std::uint64_t{96}]() mutable {
    if (!space.translate(page(at), StageTwoAccess::kWrite)) ++faults;
    at = at == 111 ? 96 : at + 1;
  });
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    const auto locked = space.lock(0, LockAccess::kReadWrite);
    ASSERT_TRUE(locked || locked.error().number == EAGAIN);
    ASSERT_EQ(host.pinned, locked ? kPages : 0);
    if (locked) {
      ASSERT_TRUE(space.unlock(0));
    }
  }
  finish();
  EXPECT_EQ(faults, 0u);
  EXPECT_EQ(host.pinned, 0u);
  EXPECT_EQ(host.charged, 0u);
}

TEST_F(MemoryThreads, VcpusHaveCachesOfTheirOwnAndOneBudget) {
  PinBudget budget{128 * kPageBytes};
  for (unsigned n = 0; n < 2; ++n) {
    start([this, n, cache = std::make_shared<PinCache>(space, PinCacheConfig{.budget = &budget}),
           turn = 0u]() mutable {
      const std::uint64_t which = turn++ % 6;
      const BufferKey key{n, which, which};
      std::vector<GuestPhysical> pages;
      for (std::uint64_t i = 0; i < 16; ++i) pages.push_back(page(which * 20 + i));
      if (!cache->reuse(key) && !cache->pin(key, pages)) ++faults;
      cache->release();
    });
  }
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    space.read(0, [](const SlotPages& pages) {
      unsigned locked = 0;
      for (std::uint64_t n = 0; n < pages.size(); ++n) locked += pages.locked(n) ? 1 : 0;
      EXPECT_LE(locked, 6u * 16);
    });
  }
  finish();
  EXPECT_EQ(faults, 0u);
  EXPECT_EQ(budget.left(), 128 * kPageBytes);
  EXPECT_EQ(host.charged, 0u);
}

}  // namespace
}  // namespace vpmu::virt::memory
