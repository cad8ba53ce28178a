// SPDX-License-Identifier: MIT
//
// Locked slots: the capability's arguments and errors in their order, what a failure leaves, the
// account, and each row of the table of interactions (docs/abi/memory-slots.md).
#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "unit/virt_memory/space_fixture.hpp"

namespace vpmu::virt::memory {
namespace {

constexpr auto kReadWrite = LockAccess::kReadWrite;
constexpr auto kReadOnlyLock = LockAccess::kRead;

class MemoryLocks : public SpaceFixture {
 protected:
  int enable(std::uint32_t flags, std::uint64_t a0, std::uint64_t a1, std::uint64_t a2 = 0,
             std::uint64_t a3 = 0) {
    return number(space->enable_lock_capability({flags, {a0, a1, a2, a3}}));
  }
  void make_strict() { make({.lock_before_first_run_only = true}); }
  int run() { return number(space->before_run()); }
};

// ---- LOCK: each check, and that it comes before the next ----------------------------------------

/// Every reason for a refusal at once; they are taken away one after another.
TEST_F(MemoryLocks, ChecksComeInTheirOrder) {
  make_strict();
  ASSERT_EQ(run(), 0);
  user.vcpu_runs = true;
  EXPECT_EQ(enable(3, 40'000, 2, 1, 0), EINVAL) << "1: argument 2";
  EXPECT_EQ(enable(3, 40'000, 2, 0, 1), EINVAL) << "1: argument 3";
  EXPECT_EQ(enable(3, 40'000, 2), EINVAL) << "2: both flags";
  EXPECT_EQ(enable(0, 40'000, 2), EINVAL) << "2: none";
  EXPECT_EQ(enable(5, 40'000, 2), EINVAL) << "2: an unknown one, too";
  EXPECT_EQ(enable(1, 32'767, 2), EINVAL) << "3: number";
  EXPECT_EQ(enable(1, std::uint64_t{1} << 32, 3), EINVAL) << "3: number, in 64 bits";
  EXPECT_EQ(enable(1, 7, 2), EINVAL) << "4: not for reading";
  EXPECT_EQ(enable(1, 7, 3), EBUSY) << "5: a vCPU runs";
  user.vcpu_runs = false;
  EXPECT_EQ(enable(1, 7, 3), EBUSY) << "6: one has run";
  EXPECT_EQ(user.holds, 0);

  make_strict();
  EXPECT_EQ(enable(1, 7, 3), EINVAL) << "7: no slot";
  host.limit = 0;
  host.allocations_left = 8;
  add(slot(0, 600, MemorySlot::kReadOnly));
  add(slot(1, 600, kLog, 0x40'0000));
  host.allocations_left = 0;
  EXPECT_EQ(enable(1, 0, 3), EPERM) << "8: read-only";
  EXPECT_EQ(enable(1, 1, 3), EPERM) << "8: logs dirty pages";
  EXPECT_EQ(enable(1, 1, 1), ENOMEM) << "10: limit";
  host.limit = 600;
  EXPECT_EQ(host.pin_calls, 0u);
  EXPECT_EQ(enable(1, 1, 1), ENOMEM) << "11: table";
  EXPECT_EQ(host.pin_calls, 0u);
  host.allocations_left = ~std::uint64_t{0};
  host.hole = memory_at(kMemory + 0x40'0000);
  user.unmappable = kBegin + 0x40'0000;
  user.map_error = ENOSPC;
  host.charged_by_others_meanwhile = 1;
  bool invalidate = true;
  host.on_pin = [&] {
    if (invalidate) space->invalidate(memory_at(kMemory), kPageBytes);
  };
  EXPECT_EQ(enable(1, 1, 1), ENOMEM) << "11: a hole";
  host.hole = nullptr;
  EXPECT_EQ(enable(1, 1, 1), EAGAIN) << "12: the memory has changed";
  invalidate = false;
  EXPECT_EQ(enable(1, 1, 1), ENOSPC) << "13: stage 2";
  user.unmappable = ~std::uint64_t{0};
  EXPECT_EQ(host.charged, 0u);
  EXPECT_EQ(enable(1, 1, 1), ENOMEM) << "14: others have used the limit up meanwhile";
  EXPECT_EQ(host.charged, 1u);
  EXPECT_TRUE(host.pinned.empty());
  EXPECT_TRUE(user.entries.empty());
  host.charged_by_others_meanwhile = 0;
  host.charged = 0;
  EXPECT_EQ(enable(1, 1, 1), 0);
  host.limit = 0;
  EXPECT_EQ(enable(1, 1, 1), EBUSY) << "9: locked, before 10";
  EXPECT_EQ(enable(1, 1, 3), EPERM) << "8 before 9";
}

TEST_F(MemoryLocks, UnknownPermissionBitsAreIgnored) {
  add(slot(0, 4));
  EXPECT_EQ(enable(1, 0, 1 | 0xf0), 0);
  EXPECT_EQ(space->lock_of(0), kReadOnlyLock);
}

TEST_F(MemoryLocks, UnlockChecksComeInTheirOrder) {
  add(slot(0, 4));
  add(slot(1, 4, 0, 0x1'0000));
  EXPECT_EQ(enable(2, 0, 0, 1), EINVAL);
  EXPECT_EQ(enable(2, 0, 0, 0, 1), EINVAL);
  EXPECT_EQ(enable(2, 32'767, 0), EINVAL);
  EXPECT_EQ(enable(2, 5, 0), EINVAL) << "no slot";
  EXPECT_EQ(enable(2, 0, 0), EINVAL) << "not locked";
  ASSERT_EQ(lock(0), 0);
  EXPECT_EQ(enable(2, 0, 0), 0);
  EXPECT_EQ(enable(2, 0, 0), EINVAL) << "not locked any more";
  ASSERT_EQ(lock(0), 0);
  ASSERT_EQ(lock(1), 0);
  EXPECT_EQ(enable(2, 99'999, 1), 0) << "all; the number says nothing";
  EXPECT_FALSE(space->lock_of(0));
  EXPECT_FALSE(space->lock_of(1));
  EXPECT_EQ(enable(2, 0, 1), 0) << "all of none";
}

TEST_F(MemoryLocks, PinAndMapAtOnce) {
  add(slot(0, 1025));
  ASSERT_EQ(lock(0), 0);
  EXPECT_EQ(host.pinned.size(), 1025u);
  EXPECT_EQ(user.entries.size(), 1025u);
  EXPECT_EQ(host.charged, 1025u);
  EXPECT_EQ(locked_pages(0), 1025u);
  for (const auto& [memory, writable] : host.pinned) EXPECT_TRUE(writable);
  for (const std::uint64_t n : {0u, 511u, 512u, 1024u})
    ASSERT_TRUE(space->translate(page(n), kWrite));
  EXPECT_EQ(host.faults_in, 0u) << "no fault";
  EXPECT_EQ(space->translate(page(0), kRead)->bytes, kBlockBytes);
  EXPECT_TRUE(user.warnings.empty());
}

TEST_F(MemoryLocks, ForReadingOnlyMapSo) {
  add(slot(0, 16));
  ASSERT_EQ(lock(0, kReadOnlyLock), 0);
  for (const auto& [memory, writable] : host.pinned) EXPECT_FALSE(writable);
  for (const auto& [address, entry] : user.entries) EXPECT_FALSE(entry.writable);
  ASSERT_TRUE(space->translate(page(3), kWrite)) << "an ordinary fault";
  EXPECT_EQ(host.faults_in, 1u);
  EXPECT_TRUE(user.warnings.empty()) << "nobody had promised that";
}

TEST_F(MemoryLocks, OfReadOnlySlotsAreForReading) {
  add(slot(0, 16, MemorySlot::kReadOnly));
  EXPECT_EQ(lock(0), EPERM);
  EXPECT_EQ(lock(0, kReadOnlyLock), 0);
}

TEST_F(MemoryLocks, AreBoundByTheLimitExactly) {
  add(slot(0, 100));
  add(slot(1, 50, 0, 0x20'0000));
  host.limit = 99;
  EXPECT_EQ(lock(0), ENOMEM) << "one page too few";
  EXPECT_EQ(host.pin_calls, 0u);
  host.limit = 100;
  EXPECT_EQ(lock(0), 0) << "exactly";
  EXPECT_EQ(lock(1), ENOMEM);
  host.capable = true;
  EXPECT_EQ(lock(1), 0) << "CAP_IPC_LOCK";
  EXPECT_EQ(host.charged, 150u);
  EXPECT_EQ(number(space->unlock(0)), 0);
  EXPECT_EQ(host.charged, 50u);
  EXPECT_EQ(host.pinned.size(), 50u);
  EXPECT_EQ(locked_pages(0), 0u);
}

TEST_F(MemoryLocks, ThatFailAtAnyPageLeaveNothing) {
  make({.pin_batch_bytes = kPageBytes});
  add(slot(0, 40));
  ASSERT_TRUE(space->translate(page(3), kRead));
  for (std::uint64_t n = 0; n < 40; ++n) {
    host.hole = memory_at(kMemory + n * kPageBytes);
    EXPECT_EQ(lock(0), ENOMEM) << n;
    EXPECT_TRUE(host.pinned.empty()) << n;
    EXPECT_EQ(host.charged, 0u);
    EXPECT_EQ(locked_pages(0), 0u);
    host.hole = nullptr;
    user.unmappable = raw(page(n));
    user.map_error = EIO;
    EXPECT_EQ(lock(0), EIO) << n;
    EXPECT_TRUE(host.pinned.empty()) << n;
    EXPECT_LE(user.entries.size(), 1u) << "what was mapped by this lock";
    user.unmappable = ~std::uint64_t{0};
    unsigned until = static_cast<unsigned>(n);
    host.on_pin = [&] {
      if (until-- == 0) space->invalidate(memory_at(kMemory), kPageBytes);
    };
    EXPECT_EQ(lock(0), EAGAIN) << n;
    EXPECT_TRUE(host.pinned.empty()) << n;
    host.on_pin = nullptr;
    EXPECT_FALSE(space->lock_of(0));
    EXPECT_EQ(run(), 0);
    EXPECT_TRUE(std::find(notes.begin(), notes.end(), "data cache") == notes.end())
        << "nothing is pending of a lock that failed";
  }
  EXPECT_EQ(lock(0), 0);
}

TEST_F(MemoryLocks, ThatFailAtAnyAllocationLeaveNothing) {
  add(slot(0, 40));
  const std::int64_t before = host.allocated;
  for (std::uint64_t enough = 0;; ++enough) {
    host.allocations_left = enough;
    const int result = lock(0);
    host.allocations_left = ~std::uint64_t{0};
    if (result == 0) {
      EXPECT_EQ(enough, 2u) << "counts and bits";
      break;
    }
    EXPECT_EQ(result, ENOMEM);
    EXPECT_EQ(host.allocated, before);
    EXPECT_TRUE(host.pinned.empty());
  }
}

TEST_F(MemoryLocks, ThatFailTakeTranslationsBack) {
  make({.pin_batch_bytes = kPageBytes});
  add(slot(0, 40));
  const std::uint64_t generation = space->generation();
  host.hole = memory_at(kMemory + 20 * kPageBytes);
  EXPECT_EQ(lock(0), ENOMEM);
  EXPECT_NE(space->generation(), generation);
  EXPECT_EQ(user.drops, 1u);
  EXPECT_TRUE(user.entries.empty());
}

TEST_F(MemoryLocks, AskTheHostInBatches) {
  make({.pin_batch_bytes = 2 * kBlockBytes});
  add({0, 0, GuestPhysical{kBegin + kBlockBytes - kPageBytes}, 4 * kBlockBytes + 2 * kPageBytes,
       memory_at(kMemory + kBlockBytes - kPageBytes)});
  ASSERT_EQ(lock(0), 0);
  EXPECT_EQ(host.pin_calls, 3u) << "batches end where blocks do";
  EXPECT_EQ(space->translate(GuestPhysical{kBegin + kBlockBytes}, kWrite)->bytes, kBlockBytes);
}

TEST_F(MemoryLocks, WhileAnotherWalkChangesOtherMemorySucceed) {
  add(slot(0, 40));
  host.on_pin = [&] { space->invalidate(memory_at(kMemory + 0x100'0000), kPageBytes); };
  EXPECT_EQ(lock(0), 0) << "not the guest's";
}

// ---- The table of interactions ------------------------------------------------------------------

class LockedSlot : public MemoryLocks {
 protected:
  void SetUp() override { add(slot(0, 16)); }
  /// The same slot with other flags, size or place.
  [[nodiscard]] static MemorySlot changed(std::uint32_t flags,
                                          std::uint64_t bytes = 16 * kPageBytes,
                                          std::uint64_t begin = kBegin) {
    MemorySlot other = slot(0, 16, flags);
    other.bytes = bytes;
    other.begin = GuestPhysical{begin};
    return other;
  }
};

TEST_F(LockedSlot, CannotBeDeletedOrMoved) {
  for (const LockAccess access : {kReadOnlyLock, kReadWrite}) {
    ASSERT_EQ(lock(0, access), 0);
    EXPECT_EQ(set(changed(0, 0)), EBUSY);
    EXPECT_EQ(set(changed(0, 16 * kPageBytes, 0)), EBUSY);
    EXPECT_EQ(set(changed(0)), 0) << "no change at all";
    EXPECT_EQ(host.pinned.size(), 16u);
    ASSERT_EQ(number(space->unlock(0)), 0);
  }
  EXPECT_EQ(set(changed(0, 16 * kPageBytes, 0)), 0);
  EXPECT_EQ(set(changed(0, 0)), 0);
}

TEST_F(LockedSlot, ForReadingMayBeginToLogDirtyPagesAndStaysLocked) {
  ASSERT_EQ(lock(0, kReadOnlyLock), 0);
  EXPECT_EQ(set(changed(kLog)), 0);
  EXPECT_EQ(space->lock_of(0), kReadOnlyLock);
  EXPECT_EQ(host.pinned.size(), 16u);
  EXPECT_EQ(locked_pages(0), 16u);
  EXPECT_EQ(user.entries.size(), 16u) << "still mapped";
  EXPECT_EQ(set(changed(0)), EBUSY) << "a change of flags as any other";
  EXPECT_EQ(set(changed(0, 0)), EBUSY);
  EXPECT_EQ(number(space->unlock(0)), 0);
  EXPECT_EQ(set(changed(0)), 0);
}

TEST_F(LockedSlot, ForWritingCannotBeginToLogDirtyPages) {
  ASSERT_EQ(lock(0), 0);
  EXPECT_EQ(set(changed(kLog)), EBUSY);
  ASSERT_EQ(number(space->unlock(0)), 0);
  EXPECT_EQ(set(changed(kLog)), 0);
  EXPECT_EQ(lock(0), EPERM);
}

TEST_F(LockedSlot, MayGetMemoryTagsLater) {
  ASSERT_EQ(lock(0), 0);
  space->enable_memory_tags();
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(notes, (Notes{"tags", "data cache"}));
}

TEST_F(LockedSlot, WarnsOfFaultsAfterTheVmmHasChangedItsMemory) {
  ASSERT_EQ(lock(0), 0);
  ASSERT_TRUE(space->translate(page(1), kRead));
  space->invalidate(memory_at(kMemory), 16 * kPageBytes);
  EXPECT_EQ(host.pinned.size(), 16u) << "still pinned";
  EXPECT_EQ(offset_of(page(0), kExecute), 0u);
  EXPECT_TRUE(user.warnings.empty()) << "fetches are silent";
  EXPECT_EQ(offset_of(page(1), kRead), kPageBytes) << "handled as any fault";
  EXPECT_EQ(offset_of(page(2), kWrite), 2 * kPageBytes);
  ASSERT_EQ(user.warnings.size(), 2u);
  EXPECT_EQ(user.warnings[0].slot, 0u);
  EXPECT_EQ(user.warnings[0].page, page(1));
  EXPECT_FALSE(user.warnings[0].write);
  EXPECT_TRUE(user.warnings[1].write);
  EXPECT_EQ(user.warnings[1].count, 2u);
  EXPECT_EQ(offset_of(page(0), kRead), 0u) << "mapped by the fetch";
  EXPECT_EQ(user.warnings.size(), 2u);
}

TEST_F(LockedSlot, WarnsOfHardwareThatFindsItsPageUnmapped) {
  ASSERT_EQ(lock(0), 0);
  EXPECT_TRUE(space->translate_mapped(page(1), kWrite));
  space->invalidate(memory_at(kMemory), 16 * kPageBytes);
  EXPECT_FALSE(space->translate_mapped(page(1), kWrite));
  ASSERT_EQ(user.warnings.size(), 1u);
  EXPECT_EQ(user.warnings[0].page, page(1));
  EXPECT_EQ(space->locked_page_faults(), 1u);
}

TEST_F(LockedSlot, WarnsTenTimesAndThenEverMoreSeldom) {
  ASSERT_EQ(lock(0), 0);
  for (unsigned n = 0; n < 100; ++n) {
    space->invalidate(memory_at(kMemory), kPageBytes);
    EXPECT_EQ(offset_of(page(0)), 0u);
  }
  EXPECT_EQ(space->locked_page_faults(), 100u);
  std::vector<std::uint64_t> counts;
  for (const LockedPageFault& fault : user.warnings) counts.push_back(fault.count);
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 32, 64}));
}

TEST_F(LockedSlot, StaysMappedWhenVcpusAreResetAndIsCleanedThen) {
  add(slot(1, 16, 0, 0x20'0000));
  ASSERT_EQ(lock(0), 0);
  ASSERT_TRUE(space->translate(GuestPhysical{kBegin + 0x20'0000}, kRead));
  space->vcpu_reset();
  EXPECT_EQ(user.entries.size(), 17u) << "no vCPU has run";
  ASSERT_EQ(run(), 0);
  notes.clear();
  space->vcpu_reset();
  EXPECT_EQ(user.entries.size(), 16u);
  EXPECT_EQ(user.drops, 1u);
  notes.clear();
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(notes, (Notes{"data cache", "instruction cache"}));
  space->enable_memory_tags();
  space->vcpu_reset();
  notes.clear();
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(notes, (Notes{"tags", "data cache", "instruction cache"}));
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(notes.size(), 3u) << "once";
}

TEST_F(LockedSlot, IsCleanedOnceBeforeTheFirstRun) {
  add(slot(1, 16, 0, 0x20'0000));
  add(slot(2, 16, 0, 0x40'0000));
  space->enable_memory_tags();
  ASSERT_EQ(lock(0), 0);
  ASSERT_EQ(lock(2), 0);
  EXPECT_TRUE(notes.empty()) << "put off: the VMM may still write the guest's memory";
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(notes, (Notes{"tags", "tags", "data cache", "data cache"}));
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(notes.size(), 4u);
}

TEST_F(LockedSlot, DoesNotRunUntilItsTagsCanBeCleaned) {
  space->enable_memory_tags();
  ASSERT_EQ(lock(0), 0);
  user.tags_error = EFAULT;
  EXPECT_EQ(run(), EFAULT);
  EXPECT_EQ(run(), EFAULT) << "still pending";
  EXPECT_EQ(notes, (Notes{"tags", "tags"})) << "and nothing after it";
  user.tags_error = 0;
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(notes, (Notes{"tags", "tags", "tags", "data cache"}));
}

TEST_F(LockedSlot, LosesStageTwoBeforeItsPinsAtTheEnd) {
  add(slot(1, 16, 0, 0x20'0000));
  ASSERT_EQ(lock(0), 0);
  ASSERT_EQ(lock(1, kReadOnlyLock), 0);
  space.reset();
  ASSERT_GE(notes.size(), 3u);
  const auto first_unpin = std::find(notes.begin(), notes.end(), "unpin");
  EXPECT_EQ(std::count(notes.begin(), first_unpin, "unmap"), 2) << "of both slots";
  EXPECT_EQ(std::count(notes.begin(), first_unpin, "release tables"), 2);
  EXPECT_TRUE(host.pinned.empty());
}

TEST_F(LockedSlot, KeepsStageTwoWhenItIsUnlocked) {
  ASSERT_EQ(lock(0), 0);
  ASSERT_EQ(number(space->unlock(0)), 0);
  EXPECT_EQ(user.entries.size(), 16u);
  EXPECT_EQ(offset_of(page(1), kWrite), kPageBytes);
  EXPECT_EQ(host.faults_in, 0u);
  space->invalidate(memory_at(kMemory), kPageBytes);
  EXPECT_EQ(offset_of(page(0)), 0u);
  EXPECT_TRUE(user.warnings.empty());
}

TEST_F(LockedSlot, MayBeLockedAgainAfterACancelledMigration) {
  ASSERT_EQ(lock(0), 0);
  ASSERT_EQ(run(), 0);
  ASSERT_EQ(number(space->unlock(0)), 0);
  ASSERT_EQ(set(changed(kLog)), 0);
  ASSERT_TRUE(space->translate(page(2), kWrite));
  ASSERT_EQ(set(changed(0)), 0);
  notes.clear();
  EXPECT_EQ(lock(0), 0) << "a vCPU has run";
  for (const auto& [address, entry] : user.entries) EXPECT_TRUE(entry.writable);
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(notes, (Notes{"data cache"}));
}

TEST_F(LockedSlot, CannotBeLockedAgainAfterARunWhereLocksAreForBefore) {
  make_strict();
  add(slot(0, 16));
  EXPECT_EQ(lock(0), 0);
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(number(space->unlock(0)), 0) << "allowed while vCPUs run";
  EXPECT_EQ(lock(0), EBUSY);
}

TEST_F(LockedSlot, MayBeUnlockedByAnotherThread) {
  ASSERT_EQ(lock(0), 0);
  std::thread{[this] { EXPECT_EQ(number(space->unlock(0)), 0); }}.join();
  EXPECT_EQ(host.charged, 0u);
  ASSERT_EQ(lock(0), 0);
  std::thread{[this] { space.reset(); }}.join();
  EXPECT_EQ(host.charged, 0u);
}

// ---- Ranges -------------------------------------------------------------------------------------

class LockedRanges : public MemoryLocks {
 protected:
  void SetUp() override { add(slot(0, 2048)); }
  ErrnoResult<RangeLock> range(std::uint64_t first, std::uint64_t pages,
                               LockAccess access = kReadWrite) {
    return space->lock_range(page(first), pages * kPageBytes, access);
  }
};

TEST_F(LockedRanges, AreWholePagesOfOneSlot) {
  add(slot(1, 16, 0, 2048 * kPageBytes));
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> none{{kBegin + 1, 4096},
                                                                  {kBegin, 4095},
                                                                  {kBegin, 0},
                                                                  {kBegin - 4096, 8192},
                                                                  {0, 4096},
                                                                  {kBegin + 2047 * 4096, 8192},
                                                                  {kBegin, ~std::uint64_t{0xfff}}};
  for (const auto& [begin, bytes] : none)
    EXPECT_EQ(number(space->lock_range(GuestPhysical{begin}, bytes, kReadWrite)), EINVAL) << begin;
  EXPECT_EQ(host.pin_calls, 0u);
  add(slot(2, 4, MemorySlot::kReadOnly, 0x1000'0000));
  const GuestPhysical read_only{kBegin + 0x1000'0000};
  EXPECT_EQ(number(space->lock_range(read_only, 4096, kReadWrite)), EPERM);
  EXPECT_EQ(number(space->lock_range(read_only, 4096, kReadOnlyLock)), 0);
}

TEST_F(LockedRanges, PinEachPageOnce) {
  auto a = range(10, 20);
  ASSERT_TRUE(a);
  EXPECT_EQ(host.charged, 20u);
  EXPECT_EQ(locked_pages(0), 20u);
  {
    auto b = range(20, 20), c = range(15, 2);
    ASSERT_TRUE(b && c);
    EXPECT_EQ(host.charged, 30u);
    a = std::move(c);
    EXPECT_EQ(host.charged, 30u) << "what was in a is in c until c ends";
  }
  EXPECT_EQ(host.charged, 2u);
  EXPECT_EQ(locked_pages(0), 2u);
}

TEST_F(LockedRanges, OutliveTheLockOfTheirSlotAndTheOtherWayRound) {
  auto a = range(500, 100);
  ASSERT_TRUE(a);
  ASSERT_EQ(lock(0), 0);
  EXPECT_EQ(host.charged, 2048u);
  auto b = range(0, 1);
  EXPECT_EQ(host.charged, 2048u);
  ASSERT_EQ(number(space->unlock(0)), 0);
  EXPECT_EQ(host.charged, 101u);
  EXPECT_EQ(locked_pages(0), 101u);
  EXPECT_EQ(host.pinned.size(), 101u);
  EXPECT_FALSE(space->lock_of(0)) << "as a whole";
  space->unlock_all();
  EXPECT_EQ(host.charged, 101u);
  ASSERT_EQ(lock(0), 0);
  { const auto gone = std::move(a); }
  EXPECT_EQ(host.charged, 2048u);
}

TEST_F(LockedRanges, ForWritingMakeWhatWasPinnedForReadingWritable) {
  ASSERT_EQ(lock(0, kReadOnlyLock), 0);
  auto buffer = range(600, 4);
  ASSERT_TRUE(buffer);
  for (std::uint64_t n = 600; n < 604; ++n) {
    EXPECT_TRUE(host.pinned.at(memory_at(kMemory + n * kPageBytes)));
    EXPECT_TRUE(space->translate(page(n), kWrite));
  }
  EXPECT_EQ(host.faults_in, 0u);
  EXPECT_FALSE(user.entries.at(raw(page(604))).writable);
  EXPECT_FALSE(space->translate(page(604), kRead)->writable);
  EXPECT_TRUE(space->translate(page(2), kRead)) << "another block";
}

TEST_F(LockedRanges, InABlockWhoseRestIsMappedLaterStayWritable) {
  auto buffer = range(8, 4);
  ASSERT_TRUE(buffer);
  ASSERT_TRUE(space->translate(page(0), kRead));
  ASSERT_EQ(lock(0, kReadOnlyLock), 0);
  EXPECT_TRUE(space->translate(page(8), kWrite));
  EXPECT_EQ(host.faults_in, 1u) << "of page 0 alone";
  EXPECT_TRUE(user.warnings.empty());
}

TEST_F(LockedRanges, KeepTheirSlotWhereItIsButForItsLog) {
  {
    auto buffer = range(3, 2);
    ASSERT_TRUE(buffer);
    MemorySlot other = slot(0, 2048);
    other.begin = GuestPhysical{0};
    EXPECT_EQ(set(other), EBUSY);
    EXPECT_EQ(set(slot(0, 0)), EBUSY);
    EXPECT_EQ(set(slot(0, 2048, kLog)), 0) << "a migration begins";
    EXPECT_TRUE(space->translate(page(3), kRead)->writable) << "hardware may go on writing";
    EXPECT_FALSE(space->translate(page(5), kRead)->writable);
    std::vector<std::uint64_t> log(32);
    ASSERT_TRUE(space->translate(page(4), kWrite));
    EXPECT_EQ(number(space->take_dirty_log(0, log)), 0);
    EXPECT_EQ(log[0], 1u << 4);
    EXPECT_TRUE(space->translate(page(4), kRead)->writable);
    space->mark_dirty(page(3), 1);
    EXPECT_EQ(number(space->take_dirty_log(0, log)), 0);
    EXPECT_EQ(log[0], 1u << 3);
    buffer = range(100, 1, kReadOnlyLock);
    ASSERT_TRUE(buffer);
    EXPECT_EQ(number(space->take_dirty_log(0, log)), 0);
    EXPECT_EQ(log[0], 3u << 3) << "whatever hardware has written until the end";
    EXPECT_EQ(set(slot(0, 2048)), 0) << "the migration was cancelled";
  }
  EXPECT_EQ(set(slot(0, 0)), 0);
}

TEST_F(LockedRanges, ThatFailLeaveWhatWasThere) {
  auto buffer = range(10, 10);
  ASSERT_TRUE(buffer);
  const auto before = user.entries.size();
  host.hole = memory_at(kMemory + 25 * kPageBytes);
  EXPECT_EQ(number(range(5, 25)), ENOMEM);
  host.hole = nullptr;
  host.limit = 14;
  EXPECT_EQ(number(range(5, 25)), ENOMEM);
  EXPECT_EQ(host.charged, 10u);
  EXPECT_EQ(host.pinned.size(), 10u);
  EXPECT_EQ(user.entries.size(), before);
  host.limit = 25;
  EXPECT_EQ(number(range(5, 25)), 0) << "15 more";
  EXPECT_EQ(host.charged, 10u);
}

TEST_F(LockedRanges, ThatFailLeaveNoPageWritableBehindTheLog) {
  MemorySlot logged = slot(0, 2048, kLog);
  ASSERT_EQ(set(logged), 0);
  auto reading = range(10, 10, kReadOnlyLock);
  auto writing = range(10, 2);
  ASSERT_TRUE(reading && writing);
  host.hole = memory_at(kMemory + 25 * kPageBytes);
  EXPECT_EQ(number(range(10, 20)), ENOMEM);
  EXPECT_TRUE(user.entries.at(raw(page(11))).writable);
  EXPECT_FALSE(user.entries.at(raw(page(12))).writable);
  EXPECT_FALSE(space->translate(page(12), kRead)->writable);
}

TEST_F(LockedRanges, StayMappedWhenVcpusAreReset) {
  auto buffer = range(10, 10);
  ASSERT_TRUE(buffer);
  ASSERT_TRUE(space->translate(page(600), kRead));
  ASSERT_EQ(run(), 0);
  space->vcpu_reset();
  EXPECT_EQ(user.entries.size(), 10u);
}

TEST_F(LockedRanges, AreUnpinnedAtTheEndAtTheLatest) {
  // Not by its owner, which must not outlive the space: this one never ends.
  alignas(ErrnoResult<RangeLock>) std::byte memory[sizeof(ErrnoResult<RangeLock>)];
  const auto* const buffer = new (memory) ErrnoResult<RangeLock>{range(0, 5)};
  ASSERT_TRUE(*buffer);
  space.reset();
  EXPECT_TRUE(host.pinned.empty());
}

// ---- Tracking -----------------------------------------------------------------------------------

TEST_F(MemoryLocks, KnowEachPageOfRandomRanges) {
  add({0, 0, GuestPhysical{kBegin + 5 * kPageBytes}, 3000 * kPageBytes,
       memory_at(kMemory + 5 * kPageBytes)});
  std::vector<RangeLock> ranges;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> truth;
  std::uint64_t random = 1;
  const auto draw = [&](std::uint64_t below) {
    random = random * 6364136223846793005 + 1442695040888963407;
    return (random >> 33) % below;
  };
  for (unsigned turn = 0; turn < 400; ++turn) {
    if (ranges.size() > 6 || (draw(3) == 0 && !ranges.empty())) {
      const auto gone = static_cast<std::ptrdiff_t>(draw(ranges.size()));
      ranges.erase(ranges.begin() + gone);
      truth.erase(truth.begin() + gone);
    } else {
      const std::uint64_t first = draw(3000), count = 1 + draw(3000 - first);
      auto locked = space->lock_range(GuestPhysical{kBegin + (5 + first) * kPageBytes},
                                      count * kPageBytes, kReadWrite);
      ASSERT_TRUE(locked);
      ranges.push_back(std::move(*locked));
      truth.emplace_back(first, first + count);
    }
    std::vector<bool> expected(3000);
    for (const auto& [first, end] : truth)
      for (std::uint64_t n = first; n < end; ++n) expected[n] = true;
    const std::uint64_t wrong = space->read(0, [&](const SlotPages& pages) {
      std::uint64_t different = 0;
      for (std::uint64_t n = 0; n < 3000; ++n) different += pages.locked(n) != expected[n] ? 1 : 0;
      return different;
    });
    ASSERT_EQ(wrong, 0u) << turn;
    ASSERT_EQ(host.charged,
              static_cast<std::uint64_t>(std::count(expected.begin(), expected.end(), true)));
    ASSERT_EQ(host.pinned.size(), host.charged);
  }
}

}  // namespace
}  // namespace vpmu::virt::memory
