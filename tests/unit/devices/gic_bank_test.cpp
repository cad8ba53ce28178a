// SPDX-License-Identifier: MIT
#include "machine/devices/gic_bank.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine {
namespace {

using Kind = GicBankAccess::Kind;

TEST(GicBankAccess, RegistersAreWhereTheManualHasThem) {
  const struct {
    std::uint64_t offset;
    unsigned bytes;
    Kind kind;
    unsigned intid;
  } table[] = {{0x080, 4, Kind::kGroup, 0},         {0x084, 4, Kind::kGroup, 32},
               {0x100, 4, Kind::kSetEnable, 0},     {0x17c, 4, Kind::kSetEnable, 992},
               {0x180, 4, Kind::kClearEnable, 0},   {0x200, 4, Kind::kSetPending, 0},
               {0x288, 4, Kind::kClearPending, 64}, {0x300, 4, Kind::kSetActive, 0},
               {0x384, 4, Kind::kClearActive, 32},  {0x400, 4, Kind::kPriority, 0},
               {0x425, 1, Kind::kPriority, 37},     {0x7f8, 4, Kind::kPriority, 1016},
               {0xc00, 4, Kind::kConfigure, 0},     {0xc04, 4, Kind::kConfigure, 16},
               {0xc0c, 4, Kind::kConfigure, 48}};
  for (const auto& row : table) {
    const GicBankAccess access = GicBankAccess::decode(row.offset, row.bytes);
    EXPECT_EQ(access.kind, row.kind) << std::hex << row.offset;
    EXPECT_EQ(access.intid, row.intid) << std::hex << row.offset;
  }
}

TEST(GicBankAccess, OtherSizesAndPlacesAreNone) {
  const struct {
    std::uint64_t offset;
    unsigned bytes;
  } table[] = {{0x000, 4}, {0x07c, 4}, {0x100, 1}, {0x100, 2}, {0x100, 8}, {0x102, 4}, {0x400, 2},
               {0x400, 8}, {0x401, 4}, {0x800, 4}, {0xc00, 1}, {0xd00, 4}, {0xf00, 4}};
  for (const auto& row : table) {
    EXPECT_EQ(GicBankAccess::decode(row.offset, row.bytes).kind, Kind::kNone)
        << std::hex << row.offset << " " << row.bytes;
  }
}

TEST(GicBank, ALevelIsPendingWhileItsLineIsHighAnEdgeFromThenOn) {
  GicBank bank;
  bank.edge = 1 << 1;
  for (const unsigned number : {0U, 1U}) bank.set_line(number, true);
  EXPECT_EQ(bank.pending(), 3U);
  for (const unsigned number : {0U, 1U}) bank.set_line(number, false);
  EXPECT_EQ(bank.pending(), 2U);
  bank.acknowledge(1);
  EXPECT_EQ(bank.pending(), 0U);
  EXPECT_EQ(bank.active, 2U);
}

TEST(GicBank, OnlyARisingLineLatches) {
  GicBank bank;
  bank.edge = 1;
  bank.set_line(0, true);
  bank.acknowledge(0);
  bank.set_line(0, true);
  EXPECT_EQ(bank.pending(), 0U);
  bank.set_line(0, false);
  bank.set_line(0, true);
  EXPECT_EQ(bank.pending(), 1U);
}

TEST(GicBank, WhatIsDeliverableIsPendingEnabledInactiveAndOfTheGroups) {
  GicBank bank;
  bank.latched = 0b1111'0111;
  bank.enabled = 0b1111'1011;
  bank.active = 0b0100'0001;
  bank.group1 = 0b1010'0000;
  EXPECT_EQ(bank.deliverable(0), 0U);
  EXPECT_EQ(bank.deliverable(1), 0b0001'0010U);
  EXPECT_EQ(bank.deliverable(2), 0b1010'0000U);
  EXPECT_EQ(bank.deliverable(3), 0b1011'0010U);
}

TEST(GicBank, SetAndClearRegistersChangeTheBitsThatAreWritten) {
  const struct {
    Kind set, clear;
    std::uint32_t GicBank::*bits;
  } table[] = {{Kind::kSetEnable, Kind::kClearEnable, &GicBank::enabled},
               {Kind::kSetPending, Kind::kClearPending, &GicBank::latched},
               {Kind::kSetActive, Kind::kClearActive, &GicBank::active}};
  for (const auto& row : table) {
    GicBank bank;
    bank.write({row.set, 0}, 0xf0);
    bank.write({row.set, 0}, 0x0f);
    bank.write({row.clear, 0}, 0x3c);
    EXPECT_EQ(bank.*row.bits, 0xc3U);
    EXPECT_EQ(bank.read({row.set, 0}), 0xc3U);
    EXPECT_EQ(bank.read({row.clear, 0}), 0xc3U);
  }
}

TEST(GicBank, ClearingALevelsPendingBitLeavesItsLine) {
  GicBank bank;
  bank.set_line(4, true);
  bank.write({Kind::kSetPending, 0}, 1 << 4);
  bank.write({Kind::kClearPending, 0}, 1 << 4);
  EXPECT_EQ(bank.read({Kind::kSetPending, 0}), 1U << 4);
  bank.set_line(4, false);
  EXPECT_EQ(bank.read({Kind::kSetPending, 0}), 0U);
}

TEST(GicBank, PrioritiesHaveFiveBits) {
  GicBank bank;
  bank.write({Kind::kPriority, 4, 4}, 0xff'47'80'07);
  EXPECT_EQ(bank.read({Kind::kPriority, 4, 4}), 0xf8'40'80'00U);
  bank.write({Kind::kPriority, 5, 1}, 0xffff'ff3f);
  EXPECT_EQ(bank.read({Kind::kPriority, 5, 1}), 0x38U);
  EXPECT_EQ(bank.read({Kind::kPriority, 4, 4}), 0xf8'40'38'00U);
}

TEST(GicBank, ConfigurationIsTheHigherOfTwoBits) {
  GicBank bank;
  bank.write({Kind::kConfigure, 16}, 0x0000'0007);
  EXPECT_EQ(bank.edge, 1U << 16);
  EXPECT_EQ(bank.read({Kind::kConfigure, 16}), 2U);
  EXPECT_EQ(bank.read({Kind::kConfigure, 0}), 0U);
  bank.write({Kind::kConfigure, 0}, ~0U);
  EXPECT_EQ(bank.edge, 0x1'ffffU);
  bank.write({Kind::kConfigure, 16}, 0);
  EXPECT_EQ(bank.edge, 0xffffU);
}

}  // namespace
}  // namespace vpmu::machine
