// SPDX-License-Identifier: MIT
//
// Records out of traces that come whole, in pieces, or broken.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "profile/spe/record_decoder.hpp"
#include "vectors.hpp"

namespace vpmu::profile::spe {
namespace {

using silicon::arm64::SpeOperationType;
using Class = SpeOperationType::Class;

struct Decoded {
  std::vector<Record> records;
  DecoderTotals totals;
};

Decoded decode(std::span<const std::uint8_t> bytes, std::size_t piece = ~std::size_t{0}) {
  Decoded decoded;
  RecordDecoder decoder;
  const auto keep = [&decoded](const Record& record) { decoded.records.push_back(record); };
  while (!bytes.empty()) {
    const std::size_t size = std::min(piece, bytes.size());
    // Its own memory, as long as it is: sanitizers see what is read beyond.
    const std::vector<std::uint8_t> some(bytes.begin(),
                                         bytes.begin() + static_cast<std::ptrdiff_t>(size));
    decoder.decode(some, keep);
    bytes = bytes.subspan(size);
  }
  decoded.totals = decoder.finish();
  return decoded;
}

Decoded decode(std::string_view hex) {
  return decode(bytes_of(hex));
}

std::vector<std::uint8_t> all_vectors(std::size_t padding) {
  std::vector<std::uint8_t> bytes;
  for (const Vector& vector : kVectors) {
    const auto record = bytes_of(vector.hex);
    bytes.insert(bytes.end(), record.begin(), record.end());
    while (padding != 0 && bytes.size() % padding != 0) bytes.push_back(0);
  }
  return bytes;
}

TEST(SpeRecordDecoder, ALoadHasAllThatItsPacketsSay) {
  const auto [records, totals] = decode(kVectors[1].hex);
  ASSERT_EQ(records.size(), 1u);
  const Record& record = records[0];
  Record expected;
  expected.parts = Record::kContextEl1 | Record::kTotalLatency | Record::kIssueLatency |
                   Record::kTranslationLatency | Record::kPc | Record::kVirtual |
                   Record::kPhysical | Record::kDataSource | Record::kOperation | Record::kEvents |
                   Record::kTimestamp;
  expected.context = {1234, 0};
  expected.latency = {9, 4, 1};
  expected.address = {0x8000'aaaa'b1c2'05f4, 0, 0xffff'd234'5678, 0x8000'0000'8123'4678, 0};
  expected.operation = {Class::kLoadStore, 0};
  expected.events = 0x16;
  expected.timestamp = 0x1'2345'6789;
  EXPECT_EQ(record, expected);
  EXPECT_TRUE(record.is_load());
  EXPECT_FALSE(record.is_store());
  EXPECT_FALSE(record.is_branch());
  EXPECT_EQ(totals, (DecoderTotals{.bytes = 57, .records = 1}));
}

TEST(SpeRecordDecoder, AddressesArePointersOfTheirLevel) {
  const auto kernel = decode(kVectors[2].hex);
  ASSERT_EQ(kernel.records.size(), 1u);
  const CodePlace pc = code_place(kernel.records[0].address[0]);
  EXPECT_EQ(pc.address, 0xffff'8000'0812'345cu);
  EXPECT_EQ(pc.level, 1u);
  EXPECT_EQ(data_address(kernel.records[0].address[2]), 0xffff'0000'1234'5678u);
  EXPECT_TRUE(kernel.records[0].is_store());
  const auto returned = decode(kVectors[5].hex);
  ASSERT_EQ(returned.records.size(), 1u);
  EXPECT_TRUE(returned.records[0].is_branch());
  EXPECT_EQ(code_place(returned.records[0].address[1]).level, 0u);
  EXPECT_EQ(code_place(returned.records[0].address[1]).address, 0xaaaa'b1c2'0700u);
  // A tag is no part of the address.
  const auto tagged = decode(kVectors[14].hex);
  ASSERT_EQ(tagged.records.size(), 1u);
  EXPECT_EQ(data_address(tagged.records[0].address[2]), 0xffff'd234'5000u);
}

TEST(SpeRecordDecoder, IndexesThatNobodyKnowsLeaveTheRestAsItIs) {
  const auto [records, totals] = decode(kVectors[13].hex);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].latency, (std::array<std::uint16_t, 3>{4, 0, 0}));
  EXPECT_TRUE(records[0].has(Record::kPreviousTarget));
  EXPECT_EQ(records[0].address[4], 0x8000'0000'0040'0b80u);
  EXPECT_EQ(totals.bad_bytes, 0u);
}

TEST(SpeRecordDecoder, BothContextsAreKept) {
  const auto [records, totals] = decode(kVectors[15].hex);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_TRUE(records[0].has(Record::kContextEl1 | Record::kContextEl2));
  EXPECT_EQ(records[0].context, (std::array<std::uint32_t, 2>{0x111, 0x222}));
}

TEST(SpeRecordDecoder, PiecesOfAnySizeAreTheSameRecords) {
  for (const std::size_t padding : {0, 8, 64}) {
    const auto bytes = all_vectors(padding);
    const auto whole = decode(bytes);
    ASSERT_EQ(whole.records.size(), kVectors.size());
    EXPECT_FALSE(whole.totals.cut_short);
    for (std::size_t piece = 1; piece < 100; ++piece) {
      const auto pieces = decode(bytes, piece);
      EXPECT_EQ(pieces.records, whole.records) << piece;
      EXPECT_EQ(pieces.totals, whole.totals) << piece;
    }
  }
}

TEST(SpeRecordDecoder, ACutIsToldUnlessItIsBetweenRecords) {
  const auto bytes = all_vectors(0);
  std::size_t ends = 0;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const auto [records, totals] = decode(std::span{bytes}.first(size));
    EXPECT_EQ(totals.cut_short, whole_records(std::span{bytes}.first(size)).bytes != size) << size;
    ends += totals.cut_short ? 0 : 1;
  }
  EXPECT_EQ(ends, kVectors.size() + 1);
}

TEST(SpeRecordDecoder, ReservedPacketsArePassedOverAndCounted) {
  // In front of a record, within it, and all that there are.
  const auto [records, totals] = decode(
      "66 00 00 00 00 4b 00 98 05 00 20 00 00 00 66 01 00 00 00 b0 80 05 40 00 00 00 00 80 40 ff "
      "48 00 42 02 02 1f 01 00 00");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(totals.reserved_packets, 5u);
  EXPECT_EQ(totals.bad_bytes, 2u);
  EXPECT_EQ(records[0].latency[0], 5);
  EXPECT_EQ(records[0].context, (std::array<std::uint32_t, 2>{0, 0}));
  EXPECT_EQ(code_place(records[0].address[0]).address, 0x400580u);
  EXPECT_EQ(records[0].operation, (SpeOperationType{Class::kOther, 0}));
}

TEST(SpeRecordDecoder, AnEndOfNothingIsNoRecord) {
  const auto [records, totals] = decode("01 01 00 00 01");
  EXPECT_TRUE(records.empty());
  EXPECT_EQ(totals.records, 0u);
  EXPECT_FALSE(totals.cut_short);
}

TEST(SpeRecordDecoder, TheLastOfTwoPacketsCounts) {
  const auto [records, totals] = decode("98 05 00 98 06 00 42 02 52 33 00 01");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].latency[0], 6);
  EXPECT_EQ(records[0].events, 0x33u);
}

TEST(SpeRecordDecoder, AnyBytesAreReadToTheirEndInAnyPieces) {
  std::mt19937_64 random{1};
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint8_t> bytes = all_vectors(round % 3 == 0 ? 64 : 0);
    for (std::size_t n = 0; n < bytes.size() / 16; ++n) {
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    }
    const auto whole = decode(bytes);
    const auto pieces = decode(bytes, 1 + random() % 23);
    EXPECT_EQ(whole.totals, pieces.totals);
    EXPECT_EQ(whole.records, pieces.records);
    EXPECT_EQ(whole.totals.bytes, bytes.size());
  }
}

TEST(SpeWholeRecords, EndBehindPadding) {
  const auto aligned = all_vectors(64);
  EXPECT_EQ(whole_records(aligned).bytes, aligned.size());
  const auto first = bytes_of(kVectors[0].hex);
  EXPECT_EQ(whole_records(std::span{aligned}.first(first.size() + 5)).bytes, first.size() + 5);
  EXPECT_EQ(whole_records(std::span{aligned}.first(70)).bytes, 64u);
  EXPECT_EQ(whole_records(std::span{aligned}.first(first.size() - 1)).bytes, 0u);
  EXPECT_EQ(whole_records({}).bytes, 0u);
}

/// An operation as guests have them.
silicon::arm64::SpeOperation random_operation(std::mt19937_64& random) {
  silicon::arm64::SpeOperation operation;
  const auto level = [&random] { return static_cast<std::uint8_t>(random() % 2); };
  operation.pc = {random() & kAddressMask, level()};
  operation.type = {static_cast<Class>(0x48 + random() % 3), static_cast<std::uint8_t>(random())};
  operation.events = random() >> random() % 64;
  if (operation.type.of == Class::kBranch && random() % 2 == 0) {
    operation.target = {random() & kAddressMask, level()};
  }
  operation.has_address = operation.type.of == Class::kLoadStore;
  operation.virtual_address = random();
  operation.physical_address = random() & kAddressMask;
  operation.loads = operation.has_address && (operation.type.payload & 1) == 0;
  operation.stores = operation.has_address && !operation.loads;
  if (operation.loads) operation.source = silicon::arm64::SpeDataSource::kDram;
  operation.total_latency = static_cast<std::uint32_t>(random() % 5000);
  operation.issue_latency = static_cast<std::uint32_t>(random() % 5000);
  operation.translation_latency = static_cast<std::uint32_t>(random() % 5000);
  operation.context_el1 = static_cast<std::uint32_t>(random());
  return operation;
}

/// What the record of it must say, from the architecture's table of what records have.
Record expected_of(const silicon::arm64::SpeOperation& operation,
                   const silicon::arm64::SpeRecordOptions& options) {
  constexpr std::uint64_t kNonSecure = std::uint64_t{1} << 63;
  const auto latency = [](std::uint32_t cycles) {
    return static_cast<std::uint16_t>(std::min<std::uint32_t>(cycles, 0xfff));
  };
  const auto place = [](const silicon::arm64::SpeOperation::Place& at) {
    return at.address | kNonSecure | std::uint64_t{at.level} << 61;
  };
  Record record;
  record.parts = Record::kPc | Record::kTotalLatency | Record::kIssueLatency | Record::kOperation |
                 Record::kEvents;
  record.address[0] = place(operation.pc);
  record.latency = {latency(operation.total_latency), latency(operation.issue_latency), 0};
  record.operation = operation.type;
  record.events = operation.events;
  if (operation.target) {
    record.parts |= Record::kTarget;
    record.address[1] = place(*operation.target);
  }
  if (operation.has_address) {
    record.parts |= Record::kVirtual | Record::kTranslationLatency;
    record.address[2] = operation.virtual_address;
    record.latency[2] = latency(operation.translation_latency);
    if (options.physical_address) {
      record.parts |= Record::kPhysical;
      record.address[3] = operation.physical_address | kNonSecure;
    }
  }
  if (operation.source && options.data_source) {
    record.parts |= Record::kDataSource;
    record.source = static_cast<std::uint16_t>(*operation.source);
  }
  if (options.context_el1) {
    record.parts |= Record::kContextEl1;
    record.context[0] = operation.context_el1;
  }
  if (options.timestamp) {
    record.parts |= Record::kTimestamp;
    record.timestamp = *options.timestamp;
  }
  return record;
}

TEST(SpeRecordDecoder, ReadsWhatTheUnitWrites) {
  std::mt19937_64 random{2};
  std::vector<std::uint8_t> bytes;
  std::vector<Record> expected;
  for (int n = 0; n < 2000; ++n) {
    const auto operation = random_operation(random);
    silicon::arm64::SpeRecordOptions options;
    options.context_el1 = random() % 2 == 0;
    options.physical_address = random() % 2 == 0;
    options.data_source = random() % 2 == 0;
    if (random() % 4 != 0) options.timestamp = random();
    options.align = random() % 2 == 0 ? 6 : 0;
    const auto record = encode(operation, options);
    bytes.insert(bytes.end(), record.bytes().begin(), record.bytes().end());
    expected.push_back(expected_of(operation, options));
  }
  const auto [records, totals] = decode(bytes);
  EXPECT_EQ(totals.reserved_packets + totals.bad_bytes, 0u);
  ASSERT_EQ(records.size(), expected.size());
  for (std::size_t n = 0; n < records.size(); ++n) EXPECT_EQ(records[n], expected[n]) << n;
}

TEST(SpeDataSources, AreNamedAsNeoverseCoresNumberThem) {
  EXPECT_EQ(data_source_name(0), "L1");
  EXPECT_EQ(data_source_name(8), "L2");
  EXPECT_EQ(data_source_name(0xd), "remote");
  EXPECT_EQ(data_source_name(0xe), "DRAM");
  EXPECT_EQ(data_source_name(3), "");
  EXPECT_EQ(data_source_name(0xffff), "");
}

}  // namespace
}  // namespace vpmu::profile::spe
