// SPDX-License-Identifier: MIT
#include "vpmu/silicon/arm64/spe_record.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>
#include <vector>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_vectors.hpp"

namespace vpmu::silicon::arm64 {
namespace {

std::vector<std::uint8_t> bytes_of(const SpeOperation& operation, const SpeRecordOptions& options) {
  const SpeRecord record = encode(operation, options);
  return {record.bytes().begin(), record.bytes().end()};
}

/// A load of which everything is known.
constexpr SpeOperation kLoad{.pc = {.address = 0x40'0000},
                             .type = {SpeOperationType::Class::kLoadStore, 0},
                             .loads = true,
                             .has_address = true,
                             .virtual_address = 0x1000,
                             .physical_address = 0x8000'1000,
                             .source = SpeDataSource::kL2};
constexpr SpeRecordOptions kEverything{.context_el1 = true,
                                       .context_el2 = std::uint32_t{2},
                                       .physical_address = true,
                                       .data_source = true,
                                       .timestamp = 1};
constexpr SpeOperation kBranch{.pc = {.address = 0x40'0000},
                               .type = {SpeOperationType::Class::kBranch, 0},
                               .target = SpeOperation::Place{.address = 0x40'0100}};

TEST(SpeRecord, IsTheHandComposedOneByteForByte) {
  for (const SpeVector& vector : kSpeVectors) {
    EXPECT_EQ(bytes_of(vector.operation, vector.options), bytes_of(vector)) << vector.name;
  }
}

TEST(SpeRecord, OfMemoryWithoutTheSecondContextIs57BytesAnd64Aligned) {
  SpeRecordOptions options = kEverything;
  options.context_el2.reset();
  EXPECT_EQ(bytes_of(kLoad, options).size(), 57u);
  options.align = 6;
  EXPECT_EQ(bytes_of(kLoad, options).size(), 64u);
}

TEST(SpeRecord, OfMemoryWithBothContextsAnd32BitsOfEventsIsExactly64Bytes) {
  SpeOperation load = kLoad;
  load.events |= 1 << 17;
  EXPECT_EQ(bytes_of(load, kEverything).size(), 64u);
}

TEST(SpeRecord, OfATakenBranchWithATimestampIs37Bytes) {
  EXPECT_EQ(bytes_of(kBranch, {.timestamp = 1}).size(), 37u);
}

TEST(SpeRecord, IsNeverLongerThanItSays) {
  SpeOperation load = kLoad;
  load.events |= std::uint64_t{1} << 63;
  EXPECT_EQ(bytes_of(load, kEverything).size(), SpeRecord::kLongest);
}

TEST(SpeRecord, SaysNothingThatItsClassDoesNotHave) {
  SpeOperation everything = kLoad;
  everything.target = kBranch.target;
  using enum SpeOperationType::Class;
  everything.type = {kOther, 0};
  EXPECT_EQ(bytes_of(everything, {.physical_address = true, .data_source = true}).size(), 20u)
      << "two counters, PC, type, events, end";
  everything.type = {kBranch, 0};
  EXPECT_EQ(bytes_of(everything, {.physical_address = true, .data_source = true}).size(), 29u)
      << "a target more";
  everything.type = {kLoadStore, 0};
  EXPECT_EQ(bytes_of(everything, {.physical_address = true, .data_source = true}),
            bytes_of(kLoad, {.physical_address = true, .data_source = true}))
      << "no target";
}

TEST(SpeRecord, OfAnAccessWithoutAnAddressHasNone) {
  SpeOperation load = kLoad;
  load.has_address = false;
  EXPECT_EQ(bytes_of(load, {.physical_address = true}).size(), 24u);
}

TEST(SpeRecord, OfAStoreHasNoDataSource) {
  SpeOperation store = kLoad;
  store.loads = false;
  store.stores = true;
  store.type.payload = 1;
  const auto with = bytes_of(store, {.data_source = true});
  EXPECT_EQ(with, bytes_of(store, {}));
}

TEST(SpeRecord, CountersSaturateAtTheirWidth) {
  struct Row {
    unsigned bits;
    std::uint32_t latency, says;
  };
  for (const Row& row : {Row{12, 0xffe, 0xffe}, Row{12, 0xfff, 0xfff}, Row{12, 0x1000, 0xfff},
                         Row{16, 0x1000, 0x1000}, Row{16, 0xffff, 0xffff},
                         Row{16, 0x1'0000, 0xffff}, Row{16, 0xffff'ffff, 0xffff}}) {
    SpeOperation load = kLoad;
    load.total_latency = load.issue_latency = load.translation_latency = row.latency;
    const auto bytes = bytes_of(load, {.counter_bits = row.bits});
    for (unsigned counter = 0; counter < 3; ++counter) {
      EXPECT_EQ(bytes[3 * counter], 0x98 + counter);
      EXPECT_EQ(bytes[3 * counter + 1] | bytes[3 * counter + 2] << 8, row.says) << row.latency;
    }
  }
}

TEST(SpeRecord, EventsTakeAsFewBytesAsHoldThem) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    SpeOperation other{.events = std::uint64_t{1} << bit};
    const auto bytes = bytes_of(other, {});
    const std::size_t payload = bit < 8 ? 1 : bit < 16 ? 2 : bit < 32 ? 4 : 8;
    EXPECT_EQ(bytes.size(), 19 + payload) << bit;
    EXPECT_EQ(bytes[17], 0x42 | std::countr_zero(payload) << 4) << bit;
    EXPECT_EQ(bytes[18 + bit / 8], 1 << bit % 8) << bit;
  }
  EXPECT_EQ(bytes_of({.events = 0}, {}).size(), 20u);
}

TEST(SpeRecord, CodeAddressesSayTheirLevelAndAreNonSecure) {
  constexpr std::uint8_t kByte7[] = {0x80, 0xa0, 0xc0};
  for (std::uint8_t level = 0; level < 3; ++level) {
    SpeOperation branch = kBranch;
    branch.pc = {.address = 0xffff'8000'0000'0000, .level = level};
    branch.target = {.address = 0xfe00'0000'0000'0004, .level = level};
    const auto bytes = bytes_of(branch, {});
    EXPECT_EQ(bytes[14], kByte7[level]);
    EXPECT_EQ(bytes[13], 0xff) << "bits 55:48 are the address's";
    EXPECT_EQ(bytes[23], kByte7[level]);
  }
}

TEST(SpeRecord, VirtualAddressesKeepTheirTagAndPhysicalOnesHaveNone) {
  SpeOperation load = kLoad;
  load.virtual_address = 0x5a00'0000'0000'1000;
  load.physical_address = 0xff80'0000'0000'1000;
  const auto bytes = bytes_of(load, {.physical_address = true});
  EXPECT_EQ(bytes[26], 0x5a);
  EXPECT_EQ(bytes[35], 0x80) << "non-secure, nothing else";
  EXPECT_EQ(bytes[34], 0x80) << "bits 55:48";
}

TEST(SpeRecord, IsPaddedWithZerosToEveryAlignment) {
  for (const SpeVector& vector : kSpeVectors) {
    const auto unpadded = bytes_of(vector);
    for (unsigned align = 0; align <= 11; ++align) {
      SpeRecordOptions options = vector.options;
      options.align = align;
      const auto bytes = bytes_of(vector.operation, options);
      EXPECT_EQ(bytes.size() % (std::size_t{1} << align), 0u) << vector.name << ' ' << align;
      EXPECT_LT(bytes.size() - unpadded.size(), std::size_t{1} << align) << vector.name;
      EXPECT_TRUE(std::equal(unpadded.begin(), unpadded.end(), bytes.begin())) << vector.name;
      const auto padding = bytes.begin() + static_cast<std::ptrdiff_t>(unpadded.size());
      EXPECT_TRUE(std::all_of(padding, bytes.end(), [](std::uint8_t byte) { return byte == 0; }))
          << vector.name << ' ' << align;
    }
  }
}

}  // namespace
}  // namespace vpmu::silicon::arm64
