// SPDX-License-Identifier: MIT
//
// Packets one by one: how long each is, and what it says.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "profile/spe/packet.hpp"
#include "vectors.hpp"

namespace vpmu::profile::spe {
namespace {

std::string text_of(std::span<const std::uint8_t> bytes) {
  std::string text;
  while (const auto packet = packet_at(bytes)) {
    if (!text.empty()) text += "; ";
    text += packet_text(*packet);
    bytes = bytes.subspan(packet->size);
  }
  return bytes.empty() ? text : text + " and a rest";
}

class SpeVectors : public ::testing::TestWithParam<Vector> {};

TEST_P(SpeVectors, EachPacketReadsAsPerfPrintsIt) {
  EXPECT_EQ(text_of(bytes_of(GetParam().hex)), GetParam().packets);
}

TEST_P(SpeVectors, APacketThatIsCutAnywhereIsNone) {
  const auto bytes = bytes_of(GetParam().hex);
  for (std::size_t at = 0; at < bytes.size();) {
    const auto packet = packet_at(std::span{bytes}.subspan(at));
    ASSERT_TRUE(packet);
    for (std::size_t size = 0; size < packet->size; ++size) {
      EXPECT_FALSE(packet_at(std::span{bytes}.subspan(at, size))) << at << " " << size;
    }
    // The last byte of it is the last that is needed.
    const auto alone = packet_at(std::span{bytes}.subspan(at, packet->size));
    ASSERT_TRUE(alone);
    EXPECT_EQ(alone->payload, packet->payload);
    at += packet->size;
  }
}

INSTANTIATE_TEST_SUITE_P(All, SpeVectors, ::testing::ValuesIn(kVectors),
                         [](const auto& vector) { return vector.param.name; });

struct Oddity {
  const char* hex;
  unsigned size;  ///< 0: cut short
  PacketKind kind;
};

TEST(SpePacket, WhatNobodyKnowsIsPassedOverByItsSize) {
  constexpr Oddity kOddities[] = {
      {"66 00 00 00 00", 5, PacketKind::kContext},
      {"67 00 00 00 00", 5, PacketKind::kContext},
      {"4b 00", 2, PacketKind::kOperation},
      {"b0 11 22", 0, PacketKind::kBad},
      {"20", 0, PacketKind::kBad},
      {"3f", 0, PacketKind::kBad},
      {"02", 1, PacketKind::kBad},
      {"1f", 1, PacketKind::kBad},
      {"20 00 00 00", 2, PacketKind::kFiller},
      {"23 00", 2, PacketKind::kFiller},
      {"24 00", 2, PacketKind::kReserved},
      {"20 22", 2, PacketKind::kReserved},
      {"20 42 00", 3, PacketKind::kReserved},
      {"24 b0 01 02 03 04 05 06 07 08", 10, PacketKind::kReserved},
      {"40 00", 2, PacketKind::kReserved},
      {"70 00 00 00 00 00 00 00 00", 9, PacketKind::kReserved},
      {"ff 00 00 00 00 00 00 00 00", 9, PacketKind::kReserved},
      {"61 01 02 03 04", 5, PacketKind::kReserved},
      {"a8 01 02 03 04", 5, PacketKind::kReserved},
  };
  for (const Oddity& odd : kOddities) {
    const auto bytes = bytes_of(odd.hex);
    const auto packet = packet_at(bytes);
    if (odd.size == 0) {
      EXPECT_FALSE(packet) << odd.hex;
      continue;
    }
    ASSERT_TRUE(packet) << odd.hex;
    EXPECT_EQ(packet->size, odd.size) << odd.hex;
    EXPECT_EQ(packet->kind, odd.kind) << odd.hex;
  }
}

TEST(SpePacket, ReservedOnesSayWhatPerfSays) {
  EXPECT_EQ(text_of(bytes_of("66 00 00 00 00")), "CONTEXT 0x0 el3");
  EXPECT_EQ(text_of(bytes_of("4b 00")), "OP-TYPE 0x0 (3)");
  EXPECT_EQ(text_of(bytes_of("02")), "Bad packet!");
  EXPECT_EQ(text_of(bytes_of("20 00 00 00")), "PAD; PAD; PAD");
}

TEST(SpePacket, EveryFirstByteHasASizeAndOneThatItsSizeBitsSay) {
  for (unsigned first = 0; first < 256; ++first) {
    std::array<std::uint8_t, kLongestPacket> bytes{static_cast<std::uint8_t>(first), 0x98};
    const auto packet = packet_at(bytes);
    ASSERT_TRUE(packet) << first;
    const unsigned expected = first < 0x20   ? 1
                              : first < 0x40 ? 4  // a counter, extended
                                             : 1 + (1u << (first >> 4 & 3));
    EXPECT_EQ(packet->size, expected) << first;
  }
}

TEST(SpePacket, ExtendedHeadersReachAllIndexes) {
  std::set<unsigned> counters, addresses;
  for (unsigned high = 0; high < 4; ++high) {
    for (unsigned low = 0; low < 8; ++low) {
      std::array<std::uint8_t, kLongestPacket> bytes{static_cast<std::uint8_t>(0x20 + high),
                                                     static_cast<std::uint8_t>(0x98 + low)};
      auto packet = packet_at(bytes);
      ASSERT_TRUE(packet && packet->kind == PacketKind::kCounter);
      counters.insert(packet->index);
      bytes[1] = static_cast<std::uint8_t>(0xb0 + low);
      packet = packet_at(bytes);
      ASSERT_TRUE(packet && packet->kind == PacketKind::kAddress);
      addresses.insert(packet->index);
    }
  }
  EXPECT_EQ(counters.size(), 32u);
  EXPECT_EQ(*counters.rbegin(), 31u);
  EXPECT_EQ(addresses, counters);
}

}  // namespace
}  // namespace vpmu::profile::spe
