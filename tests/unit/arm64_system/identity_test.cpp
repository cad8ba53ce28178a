// SPDX-License-Identifier: MIT
//
// Identification registers, field by field (D13.2).
#include "machine/arm64/identity.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine::arm64 {
namespace {

using silicon::arm64::system_register;

/// ID_AA64<name>_EL1 is op0 = 3, op1 = 0, CRn = 0 and these.
struct FieldRow {
  const char* name;
  unsigned crm, op2, low;
  std::uint64_t value;
};
constexpr FieldRow kThere[] = {
    {"PFR0.EL0: AArch64", 4, 0, 0, 1},
    {"PFR0.EL1: AArch64", 4, 0, 4, 1},
    {"PFR0.GIC", 4, 0, 24, 1},
    {"PFR0.CSV2", 4, 0, 56, 1},
    {"PFR0.CSV3", 4, 0, 60, 1},
    {"DFR0.DebugVer", 5, 0, 0, 6},
    {"DFR0.PMUVer", 5, 0, 8, 4},
    {"DFR0.BRPs", 5, 0, 12, kBreakpoints - 1},
    {"DFR0.WRPs", 5, 0, 20, kWatchpoints - 1},
    {"DFR0.PMSVer", 5, 0, 32, 1},
    {"DFR0.DoubleLock", 5, 0, 36, 15},
    {"ISAR0.AES", 6, 0, 4, 2},
    {"ISAR0.SHA1", 6, 0, 8, 1},
    {"ISAR0.SHA2", 6, 0, 12, 1},
    {"ISAR0.CRC32", 6, 0, 16, 1},
    {"ISAR0.DP", 6, 0, 44, 1},
    {"ISAR0.TS", 6, 0, 52, 1},
    {"ISAR0.TLB", 6, 0, 56, 1},
    {"ISAR1.DPB", 6, 1, 0, 1},
    {"ISAR1.SB", 6, 1, 36, 1},
    {"MMFR0.PARange", 7, 0, 0, 5},
    {"MMFR0.ASIDBits", 7, 0, 4, 2},
    {"MMFR0.TGran16", 7, 0, 20, 1},
    {"MMFR1.HAFDBS", 7, 1, 0, 2},
    {"MMFR1.HPDS", 7, 1, 12, 1},
    {"MMFR1.PAN", 7, 1, 20, 2},
    {"MMFR2.CnP", 7, 2, 0, 1},
    {"MMFR2.E0PD", 7, 2, 60, 1},
};

Identity all_features() {
  Identity identity;
  identity.pmu_version = 4;
  identity.spe_version = 1;
  return identity;
}

TEST(IdentityTest, WhatIsThereSaysSoAndNothingElseDoes) {
  const Identity identity = all_features();
  for (unsigned crm = 1; crm < 8; ++crm) {
    for (unsigned op2 = 0; op2 < 8; ++op2) {
      std::uint64_t wanted = 0;
      for (const FieldRow& row : kThere) {
        if (row.crm == crm && row.op2 == op2) wanted |= row.value << row.low;
      }
      EXPECT_EQ(identification(identity, system_register(3, 0, 0, crm, op2)), wanted)
          << crm << ' ' << op2;
    }
  }
}

TEST(IdentityTest, WithoutPmuAndSpeTheirFieldsAreZero) {
  const auto features = identification({}, system_register(3, 0, 0, 5, 0));
  ASSERT_TRUE(features);
  EXPECT_EQ(*features & (0xfULL << 8 | 0xfULL << 32), 0U);
}

TEST(IdentityTest, OneCpuIsToldFromAnother) {
  const Identity identity{.midr = 0x410f'd083, .revidr = 5, .index = 6};

  EXPECT_EQ(identification(identity, system_register(3, 0, 0, 0, 0)), 0x410f'd083U);
  EXPECT_EQ(identification(identity, system_register(3, 0, 0, 0, 5)), 0x8000'0006U);
  EXPECT_EQ(identification(identity, system_register(3, 0, 0, 0, 6)), 5U);
  EXPECT_EQ(affinity(identity), 0x8000'0006U);
}

TEST(IdentityTest, OtherRegistersIdentifyNothing) {
  for (const auto reg : {system_register(3, 0, 0, 0, 1), system_register(3, 0, 0, 8, 0),
                         system_register(3, 0, 1, 0, 0), system_register(3, 1, 0, 4, 0),
                         system_register(2, 0, 0, 4, 0)}) {
    EXPECT_EQ(identification({}, reg), std::nullopt);
  }
}

TEST(IdentityTest, CacheLinesAndZeroedBlocksAreOf64Bytes) {
  const std::uint64_t type = cache_type();
  for (const unsigned low : {0U, 16U, 20U, 24U}) EXPECT_EQ(4U << (type >> low & 0xf), 64U) << low;
  EXPECT_EQ(type >> 14 & 3, 3U) << "PIPT";
  EXPECT_EQ(type >> 28 & 3, 1U) << "IDC, not DIC";
  EXPECT_EQ(type >> 31 & 1, 1U);
  EXPECT_EQ(4U << zero_block_size(), 64U);
}

TEST(IdentityTest, CachesHaveTheGeometryOfTheModel) {
  const Identity identity{.l1 = {128, 3}, .l2 = {1024, 16}};
  constexpr std::uint64_t kLine = 2;  // 64 bytes

  EXPECT_EQ(cache_geometry(identity, 0), 127U << 13 | 2U << 3 | kLine);
  EXPECT_EQ(cache_geometry(identity, 1), 127U << 13 | 2U << 3 | kLine);
  EXPECT_EQ(cache_geometry(identity, 2), 1023U << 13 | 15U << 3 | kLine);
  EXPECT_EQ(cache_geometry(identity, 3), 0U) << "level 2 is unified";
  EXPECT_EQ(cache_geometry(identity, 4), 0U);
  EXPECT_EQ(cache_levels() & 0x3f, 3U | 4U << 3);
  EXPECT_EQ(cache_levels() >> 24, 2U) << "coherent from level 2 on";
}

}  // namespace
}  // namespace vpmu::machine::arm64
