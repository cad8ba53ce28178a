// SPDX-License-Identifier: MIT
//
// Slots: what they may be, what may become of them, and what they translate to.
#include <cerrno>
#include <string>
#include <vector>

#include "unit/virt_memory/space_fixture.hpp"

namespace vpmu::virt::memory {
namespace {

class MemorySlots : public SpaceFixture {};

using Kind = StageTwoFault::Kind;

TEST_F(MemorySlots, AreRefusedWithTheErrnoOfKvm) {
  add(slot(0, 16));
  add(slot(1, 16, 0, 0x10'0000));
  const std::uint64_t last = std::uint64_t{1} << 40;
  struct Row {
    const char* what;
    MemorySlot slot;
    int number;
  };
  std::byte* const memory = memory_at(kMemory);
  const GuestPhysical free{0x8000'0000};
  const std::vector<Row> rows{
      {"unknown flags", {2, 4, free, 4096, memory}, EINVAL},
      {"half a page", {2, 0, free, 2048, memory}, EINVAL},
      {"in the middle of a page", {2, 0, GuestPhysical{0x8000'0800}, 4096, memory}, EINVAL},
      {"memory in the middle of a page", {2, 0, free, 4096, memory + 8}, EINVAL},
      {"memory to the end and further",
       {2, 0, free, 8192, memory_at(-std::uint64_t{4096})},
       EINVAL},
      {"number too large", {32767, 0, free, 4096, memory}, EINVAL},
      {"addresses wrap", {2, 0, GuestPhysical{~std::uint64_t{0xfff}}, 8192, memory}, EINVAL},
      {"too many pages", {2, 0, GuestPhysical{0}, std::uint64_t{1} << 43, memory}, EINVAL},
      {"delete what is not there", {2, 0, free, 0, nullptr}, EINVAL},
      {"other memory", {0, 0, GuestPhysical{kBegin}, 16 * 4096, memory + 4096}, EINVAL},
      {"other size", {0, 0, GuestPhysical{kBegin}, 17 * 4096, memory}, EINVAL},
      {"read-only now",
       {0, MemorySlot::kReadOnly, GuestPhysical{kBegin}, 16 * 4096, memory},
       EINVAL},
      {"on the last page of another",
       {2, 0, GuestPhysical{kBegin + 15 * 4096}, 4096, memory},
       EEXIST},
      {"around another", {2, 0, GuestPhysical{kBegin - 4096}, 32 * 4096, memory}, EEXIST},
      {"moved onto another", {0, 0, GuestPhysical{kBegin + 0x10'f000}, 16 * 4096, memory}, EEXIST},
      {"behind the address space", {2, 0, GuestPhysical{last}, 4096, memory}, EFAULT},
      {"into its end", {2, 0, GuestPhysical{last - 4096}, 8192, memory}, EFAULT},
      {"moved behind it", {0, 0, GuestPhysical{last}, 16 * 4096, memory}, EFAULT},
      {"up to its end", {2, 0, GuestPhysical{last - 4096}, 4096, memory}, 0},
      {"between two", {3, 0, GuestPhysical{kBegin + 16 * 4096}, 4096, memory}, 0},
      {"as it is", {1, 0, GuestPhysical{kBegin + 0x10'0000}, 16 * 4096, memory + 0x10'0000}, 0},
      {"largest number", {32766, 0, free, 4096, memory}, 0},
  };
  for (const Row& row : rows) {
    const auto before = space->slots();
    EXPECT_EQ(set(row.slot), row.number) << row.what;
    if (row.number != 0) {
      EXPECT_EQ(space->slots(), before) << row.what;
    }
  }
}

TEST_F(MemorySlots, WithoutMemoryForTablesChangeNothing) {
  for (std::uint64_t enough = 0;; ++enough) {
    ASSERT_LT(enough, 100u);
    host.allocations_left = enough;
    const int result = set(slot(0, 1000, kLog));
    host.allocations_left = ~std::uint64_t{0};
    if (result == 0) {
      EXPECT_GE(enough, 4u) << "tables of stage 2 and a dirty log";
      break;
    }
    EXPECT_EQ(result, ENOMEM);
    EXPECT_EQ(host.allocated, 0);
    EXPECT_TRUE(space->slots().empty());
  }
  MemorySlot elsewhere = slot(0, 1000, kLog);
  elsewhere.begin = GuestPhysical{0};
  host.allocations_left = 1;
  EXPECT_EQ(set(elsewhere), ENOMEM);
  EXPECT_EQ(space->slots().at(0).begin, GuestPhysical{kBegin});
}

TEST_F(MemorySlots, TranslateToTheirMemory) {
  add(slot(3, 16));
  add(slot(1, 16, 0, 0x20'0000));
  EXPECT_EQ(offset_of(GuestPhysical{kBegin + 0x123}), 0x123u);
  EXPECT_EQ(offset_of(GuestPhysical{kBegin + 15 * 4096 + 4095}), 15u * 4096 + 4095);
  EXPECT_EQ(offset_of(GuestPhysical{kBegin + 0x20'0008}), 0x20'0008u);
  for (const std::uint64_t nowhere : {kBegin - 1, kBegin + 16 * 4096, kBegin + 0x1f'ffff, ~0UL}) {
    const auto translation = space->translate(GuestPhysical{nowhere}, kRead);
    ASSERT_FALSE(translation);
    EXPECT_EQ(translation.error().kind, Kind::kNoSlot);
  }
  EXPECT_EQ(space->slot_at(GuestPhysical{kBegin + 0x20'0008})->number, 1u);
  EXPECT_FALSE(space->slot_at(GuestPhysical{kBegin - 1}));
}

TEST_F(MemorySlots, AreMappedOnDemandPageByPage) {
  add(slot(0, 16));
  EXPECT_TRUE(user.entries.empty());
  const auto read = space->translate(page(2), kRead);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->bytes, kPageBytes);
  EXPECT_FALSE(read->writable) << "nobody has written";
  EXPECT_EQ(user.entries.size(), 1u);
  EXPECT_EQ(host.faults_in, 1u);
  EXPECT_EQ(offset_of(page(2), kExecute), 2 * kPageBytes);
  EXPECT_EQ(host.faults_in, 1u) << "it is there";
  const auto write = space->translate(GuestPhysical{raw(page(2)) + 4000}, kWrite);
  ASSERT_TRUE(write);
  EXPECT_TRUE(write->writable);
  EXPECT_EQ(write->bytes, 96u);
  EXPECT_TRUE(user.entries.at(raw(page(2))).writable);
  EXPECT_TRUE(space->translate(page(2), kRead)->writable);
}

TEST_F(MemorySlots, AreMappedInBlocksWhereTheyAndTheirMemoryLieAlike) {
  add({0, 0, GuestPhysical{kBegin - 4096}, 3 * kBlockBytes, memory_at(kMemory - 4096)});
  const auto first = space->translate(GuestPhysical{kBegin - 4096}, kRead);
  const auto whole = space->translate(GuestPhysical{kBegin + 0x5000}, kWrite);
  const auto last = space->translate(GuestPhysical{kBegin + 2 * kBlockBytes}, kRead);
  ASSERT_TRUE(first && whole && last);
  EXPECT_EQ(first->bytes, kPageBytes);
  EXPECT_EQ(whole->bytes, kBlockBytes - 0x5000);
  EXPECT_TRUE(whole->writable);
  EXPECT_EQ(last->bytes, kPageBytes) << "the slot ends in this block";
  EXPECT_EQ(user.map_calls, 3u);
  EXPECT_EQ(user.entries.size(), 514u);
  EXPECT_EQ(offset_of(GuestPhysical{kBegin + kBlockBytes - 1}, kWrite), kBlockBytes - 1);
  EXPECT_EQ(user.map_calls, 3u);
}

TEST_F(MemorySlots, AreMappedInPagesWhereTheirMemoryLiesOtherwiseOrBlocksAreOff) {
  add({0, 0, GuestPhysical{kBegin}, 2 * kBlockBytes, memory_at(kMemory + 4096)});
  EXPECT_EQ(space->translate(page(0), kRead)->bytes, kPageBytes);
  EXPECT_EQ(set({0, 0, GuestPhysical{kBegin}, 0, nullptr}), 0);
  make({.blocks = false});
  add(slot(0, 1024));
  EXPECT_EQ(space->translate(page(0), kRead)->bytes, kPageBytes);
}

TEST_F(MemorySlots, AreNotMappedForWhoCannotWaitForThat) {
  add(slot(0, 16, MemorySlot::kLogDirtyPages));
  const auto fault_of = [this](GuestPhysical address, StageTwoAccess access) {
    const auto found = space->translate_mapped(address, access);
    EXPECT_FALSE(found);
    return found ? StageTwoFault{} : found.error();
  };
  const StageTwoFault not_mapped{Kind::kNotMapped};
  EXPECT_EQ(fault_of(page(2), kRead), not_mapped);
  EXPECT_EQ(fault_of(page(16), kRead), StageTwoFault{Kind::kNoSlot});
  EXPECT_TRUE(user.entries.empty());
  EXPECT_EQ(host.faults_in, 0u);
  ASSERT_TRUE(space->translate(page(2), kRead));
  EXPECT_TRUE(space->translate_mapped(page(2), kRead));
  EXPECT_EQ(fault_of(page(2), kWrite), not_mapped) << "it is not for writing yet";
  ASSERT_TRUE(space->translate(page(2), kWrite));
  std::uint64_t dirty = 0;
  ASSERT_TRUE(space->take_dirty_log(0, {&dirty, 1}));
  EXPECT_EQ(fault_of(page(2), kWrite), not_mapped) << "its log wants to see that";
  ASSERT_TRUE(space->translate(page(2), kWrite));
  ASSERT_TRUE(space->take_dirty_log(0, {&dirty, 1}));
  const auto range = space->lock_range(page(2), kPageBytes, LockAccess::kReadWrite);
  const auto found = space->translate_mapped(GuestPhysical{raw(page(2)) + 8}, kWrite);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->host, memory_at(kMemory + 2 * kPageBytes + 8));
  ASSERT_TRUE(space->take_dirty_log(0, {&dirty, 1}));
  EXPECT_EQ(dirty, std::uint64_t{1} << 2);
  EXPECT_TRUE(user.warnings.empty());
}

TEST_F(MemorySlots, ThatAreReadOnlyFaultOnWrites) {
  add(slot(0, 16, MemorySlot::kReadOnly));
  EXPECT_EQ(offset_of(page(1)), kPageBytes);
  const auto write = space->translate(page(1), kWrite);
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().kind, Kind::kReadOnly);
}

TEST_F(MemorySlots, WithoutTheirMemoryFaultWithTheHostsErrno) {
  add(slot(0, 16));
  host.hole = memory_at(kMemory + 4096);
  const auto none = space->translate(page(1), kRead);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error(), (StageTwoFault{Kind::kHostMemory, EFAULT}));
  user.unmappable = raw(page(2));
  user.map_error = ENOSPC;
  const auto unmapped = space->translate(page(2), kRead);
  ASSERT_FALSE(unmapped);
  EXPECT_EQ(unmapped.error(), (StageTwoFault{Kind::kMapping, ENOSPC}));
  user.unmappable = ~std::uint64_t{0};
  EXPECT_EQ(offset_of(page(2)), 2 * kPageBytes) << "tried again";
}

TEST_F(MemorySlots, ThatAreDeletedOrMovedAreNoLongerWhereTheyWere) {
  add(slot(0, 16));
  ASSERT_TRUE(space->translate(page(0), kWrite));
  const std::uint64_t generation = space->generation();
  MemorySlot moved = slot(0, 16);
  moved.begin = GuestPhysical{0};
  add(moved);
  EXPECT_NE(space->generation(), generation);
  EXPECT_EQ(user.drops, 1u);
  EXPECT_TRUE(user.entries.empty());
  EXPECT_EQ(offset_of(page(0)), ~std::uint64_t{0});
  EXPECT_EQ(offset_of(GuestPhysical{0x2010}), 0x2010u);
  moved.bytes = 0;
  add(moved);
  EXPECT_EQ(user.drops, 2u);
  EXPECT_TRUE(user.entries.empty());
  EXPECT_EQ(offset_of(GuestPhysical{0}), ~std::uint64_t{0});
  EXPECT_EQ(host.allocated, 0) << "tables of a slot that is gone";
}

TEST_F(MemorySlots, MayMoveOverThemselves) {
  add(slot(0, 16));
  MemorySlot moved = slot(0, 16);
  moved.begin = GuestPhysical{kBegin + 4096};
  EXPECT_EQ(set(moved), 0);
  EXPECT_EQ(offset_of(GuestPhysical{kBegin}), ~std::uint64_t{0});
  EXPECT_EQ(offset_of(page(1)), 0u);
}

TEST_F(MemorySlots, ForgetWhatTheVmmUnmaps) {
  add(slot(0, 1024));
  add({1, 0, GuestPhysical{0}, 4 * kPageBytes, memory_at(kMemory)});
  ASSERT_TRUE(space->translate(page(0), kWrite));
  ASSERT_TRUE(space->translate(GuestPhysical{kPageBytes}, kWrite));
  const std::uint64_t generation = space->generation();
  space->invalidate(memory_at(kMemory + kPageBytes), kPageBytes);
  EXPECT_NE(space->generation(), generation);
  EXPECT_EQ(user.entries.size(), 511u) << "of both slots that have this memory";
  EXPECT_EQ(space->translate(page(0), kRead)->bytes, kPageBytes) << "the block is in pages now";
  EXPECT_EQ(host.faults_in, 2u);
  EXPECT_TRUE(space->translate(page(511), kWrite)->writable);
  EXPECT_EQ(host.faults_in, 2u);
  ASSERT_TRUE(space->translate(page(1), kRead));
  EXPECT_EQ(host.faults_in, 3u);
  const std::uint64_t drops = user.drops;
  space->invalidate(memory_at(kMemory - kPageBytes), kPageBytes);
  space->invalidate(memory_at(~std::uint64_t{0xfff}), kPageBytes);
  EXPECT_EQ(user.drops, drops) << "nobody's memory";
}

TEST_F(MemorySlots, AreNotMappedIfTheirMemoryChangesMeanwhile) {
  add(slot(0, 16));
  bool first = true;
  host.on_fault_in = [&] {
    if (std::exchange(first, false)) space->invalidate(memory_at(kMemory), kPageBytes);
  };
  EXPECT_EQ(offset_of(page(0)), 0u);
  EXPECT_EQ(host.faults_in, 2u) << "the first look was at what is gone";
  EXPECT_EQ(user.map_calls, 1u);
}

// ---- Dirty logs ---------------------------------------------------------------------------------

class DirtyLogs : public SpaceFixture {
 protected:
  std::vector<std::uint64_t> taken(std::uint32_t n, std::size_t words = 32) {
    std::vector<std::uint64_t> log(words, 0x5555);
    EXPECT_EQ(number(space->take_dirty_log(n, log)), 0);
    return log;
  }
};

TEST_F(DirtyLogs, AreRefusedWithTheErrnoOfKvm) {
  add(slot(0, 65));
  add(slot(1, 65, kLog, 0x20'0000));
  std::vector<std::uint64_t> log(2);
  EXPECT_EQ(number(space->take_dirty_log(32767, log)), EINVAL);
  EXPECT_EQ(number(space->take_dirty_log(2, log)), ENOENT);
  EXPECT_EQ(number(space->take_dirty_log(0, log)), ENOENT);
  EXPECT_EQ(number(space->take_dirty_log(1, {log.data(), 1})), EINVAL);
  EXPECT_EQ(number(space->take_dirty_log(1, log)), 0);
}

TEST_F(DirtyLogs, SayWhatWasWrittenSinceTheLastTime) {
  add(slot(0, 130, kLog));
  for (const unsigned n : {0u, 63u, 64u, 129u}) ASSERT_TRUE(space->translate(page(n), kWrite));
  ASSERT_TRUE(space->translate(page(5), kRead));
  EXPECT_TRUE(space->read(0, [](const SlotPages& pages) { return pages.dirty(63); }));
  EXPECT_FALSE(space->read(0, [](const SlotPages& pages) { return pages.dirty(5); }));
  EXPECT_EQ(taken(0, 3), (std::vector<std::uint64_t>{1 | 1ULL << 63, 1, 2}));
  EXPECT_EQ(taken(0, 3), (std::vector<std::uint64_t>{0, 0, 0}));
  EXPECT_FALSE(space->translate(page(64), kRead)->writable) << "the next write is to be seen";
  ASSERT_TRUE(space->translate(page(64), kWrite));
  EXPECT_EQ(taken(0, 3), (std::vector<std::uint64_t>{0, 1, 0}));
}

TEST_F(DirtyLogs, TakeTranslationsForWritingAway) {
  add(slot(0, 64, kLog));
  ASSERT_TRUE(space->translate(page(3), kWrite));
  const std::uint64_t generation = space->generation();
  taken(0);
  EXPECT_NE(space->generation(), generation);
  EXPECT_EQ(user.drops, 1u);
  EXPECT_FALSE(user.entries.at(raw(page(3))).writable);
  taken(0);
  EXPECT_EQ(user.drops, 1u) << "nothing was dirty";
}

TEST_F(DirtyLogs, ComeAndGoWithTheirFlag) {
  add(slot(0, 1024));
  ASSERT_TRUE(space->translate(page(0), kWrite));
  add(slot(0, 1024, kLog));
  EXPECT_FALSE(user.entries.at(raw(page(0))).writable);
  EXPECT_EQ(space->translate(page(7), kWrite)->bytes, kPageBytes) << "blocks are in pages now";
  EXPECT_EQ(taken(0).at(0), 1u << 7);
  add(slot(0, 1024));
  EXPECT_EQ(space->metadata(0).dirty_log, 0u);
  EXPECT_EQ(space->translate(page(600), kWrite)->bytes, kBlockBytes - 88 * kPageBytes);
  add(slot(0, 1024, kLog));
  EXPECT_EQ(taken(0).at(0), 0u) << "a new log";
}

TEST_F(DirtyLogs, MoveWithTheirSlot) {
  add(slot(0, 100, kLog));
  ASSERT_TRUE(space->translate(page(70), kWrite));
  MemorySlot moved = slot(0, 100, kLog);
  moved.begin = GuestPhysical{0x3000};
  add(moved);
  EXPECT_EQ(taken(0, 2), (std::vector<std::uint64_t>{0, 1 << 6}));
}

TEST_F(DirtyLogs, TakeWhatOthersWrite) {
  add(slot(0, 4, kLog));
  add({1, kLog, page(4), 4 * kPageBytes, memory_at(kMemory)});
  add({2, 0, page(8), 4 * kPageBytes, memory_at(kMemory)});
  space->mark_dirty(GuestPhysical{raw(page(3)) + 4095}, kPageBytes + 2);
  EXPECT_EQ(taken(0).at(0), 8u);
  EXPECT_EQ(taken(1).at(0), 3u);
  space->mark_dirty(page(0), 0);
  EXPECT_EQ(taken(0).at(0), 0u);
  space->mark_dirty(GuestPhysical{0}, ~std::uint64_t{0});
  EXPECT_EQ(taken(0).at(0), 15u);
  EXPECT_EQ(taken(1).at(0), 15u);
}

}  // namespace
}  // namespace vpmu::virt::memory
