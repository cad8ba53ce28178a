// SPDX-License-Identifier: MIT
//
// Records into the buffer: where they go, when it is full, and what cannot be written.
#include <algorithm>
#include <cstdint>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_fixture.hpp"

namespace vpmu::silicon::arm64 {
namespace {

class SpeBufferTest : public SpeUnitTest {
 protected:
  using Class = SpeOperationType::Class;
  /// 57 bytes with context, physical address, data source and timestamp.
  static constexpr SpeOperation kLoad{.pc = {.address = 0x1000},
                                      .type = {Class::kLoadStore, 0},
                                      .loads = true,
                                      .has_address = true,
                                      .source = SpeDataSource::kL1d};
  static constexpr std::uint64_t kEverything = 0x3b;
  static constexpr std::uint64_t kPage = 0x1000;

  /// A unit with a buffer of one page that records everything.
  SpeUnit one_page(const SpeModel& model) {
    SpeUnit unit = unit_of(model);
    unit.set_owner({.pmscr_el2 = 0x10});
    put(unit, reg::PMSCR_EL1, kEverything);
    put(unit, reg::PMBLIMITR_EL1, (kBuffer + kPage) | kEnabled);
    return unit;
  }
  /// Samples until the unit stops; how many.
  static unsigned fill(SpeUnit& unit, const SpeOperation& operation) {
    unsigned samples = 0;
    while (!unit.interrupt() && samples < 10'000) {
      sample_next(unit, operation);
      ++samples;
    }
    return samples;
  }
  static void misprogram(SpeUnit& unit, std::uint64_t pointer, std::uint64_t limit) {
    put(unit, reg::PMBSR_EL1, 0);
    put(unit, reg::PMBPTR_EL1, pointer);
    put(unit, reg::PMBLIMITR_EL1, limit | kEnabled);
  }
};

TEST_F(SpeBufferTest, RecordsLieBehindEachOther) {
  SpeUnit unit = one_page(kSpeModelV1);
  for (unsigned n = 0; n < 4; ++n) sample_next(unit, kLoad);
  ASSERT_EQ(memory_.writes.size(), 4u);
  for (unsigned n = 0; n < 4; ++n) {
    EXPECT_EQ(memory_.writes[n].address, kBuffer + 64 * n);
    EXPECT_EQ(memory_.writes[n].bytes.size(), 64u);
  }
  EXPECT_EQ(get(unit, reg::PMBPTR_EL1), kBuffer + 256);
  EXPECT_EQ(unit.statistics().records, 4u);
  EXPECT_EQ(unit.statistics().bytes, 256u);
}

TEST_F(SpeBufferTest, PageHolds64RecordsOf64Bytes) {
  SpeUnit unit = one_page(kSpeModelV1);
  EXPECT_EQ(fill(unit, kLoad), 64u);
  EXPECT_EQ(memory_.writes.size(), 64u);
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), kFull);
  EXPECT_EQ(get(unit, reg::PMBPTR_EL1), kBuffer + kPage);
}

TEST_F(SpeBufferTest, PageIsFullAfter71RecordsOf57Bytes) {
  SpeUnit unit = one_page(with_align(kSpeModelV1, 0));
  EXPECT_EQ(fill(unit, kLoad), 71u);
  EXPECT_EQ(memory_.writes.back().bytes.size(), 57u);
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), kFull);
  EXPECT_EQ(get(unit, reg::PMBPTR_EL1), kBuffer + 4047);
}

TEST_F(SpeBufferTest, Of128KiBHolds2048Records) {
  SpeUnit unit = one_page(kSpeModelV1);
  put(unit, reg::PMBLIMITR_EL1, (kBuffer + (128 << 10)) | kEnabled);
  EXPECT_EQ(fill(unit, kLoad), 2048u);
}

TEST_F(SpeBufferTest, IsFullExactlyWhereTheLongestRecordNoLongerFits) {
  constexpr SpeOperation kOther{.pc = {.address = 0x1000}};  // 28 bytes
  for (unsigned max_size = 6; max_size <= 11; ++max_size) {
    for (unsigned align = 0; align <= max_size; ++align) {
      for (const SpeOperation& operation : {kLoad, kOther}) {
        memory_.writes.clear();
        SpeUnit unit = one_page(with_align(with_max_size(kSpeModelV1, max_size), align));
        put(unit, reg::PMSCR_EL1, 0x23);
        fill(unit, operation);
        const std::uint64_t size = memory_.writes.front().bytes.size();
        EXPECT_EQ(size % (std::uint64_t{1} << align), 0u);
        // The least number of records that leaves less than the longest.
        const std::uint64_t records = (kPage - (std::uint64_t{1} << max_size)) / size + 1;
        EXPECT_EQ(memory_.writes.size(), records) << max_size << ' ' << align;
        EXPECT_EQ(get(unit, reg::PMBPTR_EL1), kBuffer + records * size);
        EXPECT_LE(get(unit, reg::PMBPTR_EL1), kBuffer + kPage);
        EXPECT_EQ(get(unit, reg::PMBSR_EL1), kFull);
      }
    }
  }
}

TEST_F(SpeBufferTest, FullOneLeavesWhatElseTheSyndromeSays) {
  SpeUnit unit = one_page(kSpeModelV1);
  put(unit, reg::PMBSR_EL1, 0x0000'0000'900d'0007);
  fill(unit, kLoad);
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), 0x000f'0001u) << "EC and BSC are new; DL, EA, COLL stay";
}

TEST_F(SpeBufferTest, FullOneStopsUntilSoftwareClearsS) {
  SpeUnit unit = one_page(kSpeModelV1);
  fill(unit, kLoad);
  EXPECT_FALSE(unit.profiles(0) || unit.profiles(1));
  EXPECT_EQ(unit.until_sample(), SpeUnit::kNever);
  unit.sample(kLoad);
  EXPECT_EQ(memory_.writes.size(), 64u);
  EXPECT_EQ(get(unit, reg::PMBPTR_EL1), kBuffer + kPage);
  put(unit, reg::PMBPTR_EL1, kBuffer);
  put(unit, reg::PMBSR_EL1, 0);
  EXPECT_EQ(unit.until_sample(), 257u) << "the interval goes on";
  sample_next(unit, kLoad);
  EXPECT_EQ(memory_.writes.back().address, kBuffer);
}

TEST_F(SpeBufferTest, OfADiscardingUnitIsNeverWritten) {
  SpeUnit unit = one_page(kSpeModelV1p2);
  put(unit, reg::PMBLIMITR_EL1, (kBuffer + kPage) | 2 << 1 | kEnabled);
  for (unsigned n = 0; n < 100; ++n) sample_next(unit, kLoad);
  EXPECT_TRUE(memory_.writes.empty());
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), 0u);
  EXPECT_EQ(get(unit, reg::PMBPTR_EL1), kBuffer);
  EXPECT_EQ(unit.statistics(),
            (SpeStatistics{.population = 100 * 257, .feed = 100, .filtrate = 100}));
}

TEST_F(SpeBufferTest, DiscardingIsNothingThatEarlierVersionsCan) {
  SpeUnit unit = one_page(kSpeModelV1p1);
  put(unit, reg::PMBLIMITR_EL1, (kBuffer + kPage) | 2 << 1 | kEnabled);
  sample_next(unit, kLoad);
  EXPECT_EQ(memory_.writes.size(), 1u);
}

TEST_F(SpeBufferTest, MisprogrammedOneIsFullAtItsFirstRecordAndNeverWritten) {
  struct Row {
    const char* what;
    std::uint64_t pointer, limit;
  };
  constexpr Row kRows[] = {
      {"misaligned", kBuffer + 32, kLimit},
      {"misaligned by one", kBuffer + 1, kLimit},
      {"at the limit", kLimit, kLimit},
      {"behind it", kLimit + 64, kLimit},
      {"less than a record below it", kLimit - 32, kLimit},
      {"no limit", 0, 0},
      {"far behind it", ~std::uint64_t{63}, kLimit},
      {"limit of 0", ~std::uint64_t{63}, 0},
      {"another top byte", kBuffer, std::uint64_t{1} << 56 | kLimit},
      {"a tag", std::uint64_t{0x7f} << 56 | kBuffer, std::uint64_t{0x80} << 56 | kLimit},
  };
  SpeUnit unit = one_page(kSpeModelV1);
  std::uint64_t misprogrammed = 0;
  for (const Row& row : kRows) {
    misprogram(unit, row.pointer, row.limit);
    EXPECT_FALSE(unit.interrupt()) << row.what;
    sample_next(unit, kLoad);
    EXPECT_EQ(get(unit, reg::PMBSR_EL1), kFull) << row.what;
    EXPECT_EQ(get(unit, reg::PMBPTR_EL1), row.pointer) << row.what;
    EXPECT_EQ(unit.statistics().misprogrammed, ++misprogrammed) << row.what;
  }
  EXPECT_TRUE(memory_.writes.empty());
  EXPECT_EQ(unit.statistics().filtrate, misprogrammed);
  EXPECT_EQ(unit.statistics().records, 0u);
}

TEST_F(SpeBufferTest, LastPlaceForTheLongestRecordIsGoodEnough) {
  SpeUnit unit = one_page(kSpeModelV1);
  for (const std::uint64_t tag : {std::uint64_t{0}, std::uint64_t{0xa5} << 56}) {
    misprogram(unit, tag | (kLimit - 64), tag | kLimit);
    sample_next(unit, kLoad);
    EXPECT_EQ(memory_.writes.back().address, tag | (kLimit - 64));
    EXPECT_EQ(get(unit, reg::PMBSR_EL1), kFull);
    EXPECT_EQ(get(unit, reg::PMBPTR_EL1), tag | kLimit);
  }
  EXPECT_EQ(unit.statistics().misprogrammed, 0u);
}

TEST_F(SpeBufferTest, LargerThanAllowedIsTooLarge) {
  SpeUnit unit = one_page(with_max_buffer(kSpeModelV1, 2));
  misprogram(unit, kBuffer, kBuffer + 3 * kPage);
  sample_next(unit, kLoad);
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), 0x2'0004u);
  EXPECT_TRUE(memory_.writes.empty());
  misprogram(unit, kBuffer, kBuffer + 2 * kPage);
  EXPECT_EQ(fill(unit, kLoad), 128u);
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), kFull);
}

TEST_F(SpeBufferTest, FaultsAreReportedAsTheyCome) {
  struct Row {
    const char* what;
    SpeBuffer::Fault fault;
    std::uint64_t pmbsr;
  };
  const Row kRows[] = {
      {"stage 1 translation, level 3", {.status = 0x07}, 0x9002'0007},
      {"stage 1 access flag, level 2", {.status = 0x0a}, 0x9002'000a},
      {"stage 1 permission, level 3", {.status = 0x0f}, 0x9002'000f},
      {"stage 1 address size, level 0", {.status = 0x00}, 0x9002'0000},
      {"stage 2 translation, level 3", {.stage2 = true, .status = 0x07}, 0x9402'0007},
      {"stage 2 permission, level 3", {.stage2 = true, .status = 0x0f}, 0x9402'000f},
      {"external abort", {.external = true, .status = 0x10}, 0x9006'0010},
  };
  for (const Row& row : kRows) {
    memory_.fault.reset();
    SpeUnit unit = one_page(kSpeModelV1);
    sample_next(unit, kLoad);
    memory_.fault = row.fault;
    memory_.fault->address = kBuffer + 100;
    sample_next(unit, kLoad);
    EXPECT_EQ(get(unit, reg::PMBSR_EL1), row.pmbsr) << row.what;
    EXPECT_TRUE(unit.interrupt());
    EXPECT_EQ(get(unit, reg::PMBPTR_EL1), kBuffer + 64) << "behind the last complete record";
    EXPECT_EQ(unit.statistics().records, 1u);
    EXPECT_EQ(unit.statistics().filtrate, 2u);
  }
}

TEST_F(SpeBufferTest, FaultLosesNoEarlierRecordAndLeavesDlAndCollAsTheyWere) {
  for (const std::uint64_t before : {0x0u, 0x8'0000u, 0x1'0000u, 0x9'0000u}) {
    SpeUnit unit = one_page(kSpeModelV1);
    put(unit, reg::PMBSR_EL1, before);
    memory_.fault = SpeBuffer::Fault{.status = 0x07};
    sample_next(unit, kLoad);
    EXPECT_EQ(get(unit, reg::PMBSR_EL1), 0x9002'0007 | before);
    memory_.fault.reset();
    put(unit, reg::PMBSR_EL1, 0);
    sample_next(unit, kLoad);
    EXPECT_EQ(memory_.writes.back().address, kBuffer) << "goes on where it stopped";
  }
}

TEST_F(SpeBufferTest, CollisionIsNoReasonToStop) {
  SpeUnit unit = one_page(kSpeModelV1);
  SpeOperation slow = kLoad;
  slow.total_latency = 300;
  EXPECT_EQ(fill(unit, slow), 127u) << "every other one collides";
  EXPECT_EQ(memory_.writes.size(), 64u);
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), kFull | kCollision);
}

}  // namespace
}  // namespace vpmu::silicon::arm64
