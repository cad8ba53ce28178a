// SPDX-License-Identifier: MIT
#include "hostperf/programme.hpp"

#include <gtest/gtest.h>

#include "unit/hostperf/small_host.hpp"

namespace vpmu::hostperf {
namespace {

using silicon::RawEvent;

constexpr std::uint64_t kEdge = 1 << 18;
constexpr std::uint64_t kInv = 1 << 23;
constexpr std::uint64_t cmask(std::uint64_t threshold) {
  return threshold << 24;
}
constexpr std::uint64_t kInTx = 1ULL << 32;
constexpr std::uint64_t kInTxcp = 1ULL << 33;

silicon::x86::CpuModel with_tsx() {
  auto model = small_model();
  model.tsx = true;
  return model;
}

silicon::x86::CpuModel amd() {
  static constexpr silicon::x86::EventRow kEvents[] = {
      {"LOW",
       {0x0c0, 0},
       RawEvent::kInstructions,
       silicon::x86::kNoFixedCounter,
       silicon::x86::CountedOn::kAnyCounter,
       ""},
      {"HIGH",
       {0x1c0, 0},
       RawEvent::kBranches,
       silicon::x86::kNoFixedCounter,
       silicon::x86::CountedOn::kAnyCounter,
       ""},
  };
  auto model = small_model();
  model.vendor = silicon::x86::Vendor::kAmd;
  model.pmu.fixed_counters = 0;
  model.events = kEvents;
  return model;
}

TEST(Programme, ConditionsAreAsTheManualDefinesThem) {
  struct Case {
    const char* what;
    std::uint64_t bits;
    bool conditional;
    unsigned threshold;
    bool inverted;
    bool edge;
  };
  const Case cases[] = {
      {"plain", 0, false, 0, false, false},
      {"INV without CMASK has no effect", kInv, false, 0, false, false},
      {"CMASK", cmask(3), true, 3, false, false},
      {"CMASK and INV", cmask(3) | kInv, true, 3, true, false},
      {"EDGE without CMASK is about one occurrence", kEdge, true, 1, false, true},
      {"EDGE and INV without CMASK", kEdge | kInv, true, 1, false, true},
      {"all", cmask(255) | kEdge | kInv, true, 255, true, true},
  };
  for (const auto& model : {small_model(), amd()}) {
    for (const Case& expected : cases) {
      const auto found = programme({.config = 0xc0 | expected.bits, .exclude_user = true}, model);
      ASSERT_TRUE(found.has_value()) << expected.what;
      ASSERT_EQ(found->condition.has_value(), expected.conditional) << expected.what;
      if (!found->condition) continue;
      EXPECT_EQ(found->condition->event, RawEvent::kInstructions);
      EXPECT_EQ(found->condition->threshold, expected.threshold) << expected.what;
      EXPECT_EQ(found->condition->inverted, expected.inverted) << expected.what;
      EXPECT_EQ(found->condition->edge, expected.edge) << expected.what;
      EXPECT_EQ(found->condition->privileges,
                (silicon::PrivilegeSet{.user = false, .kernel = true}));
      EXPECT_EQ(found->counters & 0xff00, 0) << "not on a fixed counter";
    }
  }
}

TEST(Programme, FixedCountersHaveNoConditions) {
  EXPECT_TRUE(programme({.config = kFixedOnly}, small_model()).has_value());
  EXPECT_FALSE(programme({.config = kFixedOnly | cmask(1)}, small_model()).has_value());
  EXPECT_FALSE(programme({.config = kFixedOnly | kInTx}, with_tsx()).has_value());
}

TEST(Programme, TransactionBitsExistWhereTsxDoes) {
  for (const std::uint64_t bits : {kInTx, kInTxcp, kInTx | kInTxcp}) {
    EXPECT_FALSE(programme({.config = 0xc0 | bits}, small_model()).has_value());
    ASSERT_TRUE(programme({.config = 0xc0 | bits}, with_tsx()).has_value());
  }
  EXPECT_TRUE(programme({.config = 0xc0 | kInTx}, with_tsx())->privileges.empty())
      << "nothing retires in a transaction that aborts";
  EXPECT_EQ(programme({.config = 0xc0 | kInTxcp}, with_tsx())->privileges, silicon::kAllPrivileges);
}

TEST(Programme, AmdEventsHaveTwelveBits) {
  EXPECT_EQ(programme({.config = 0x0c0}, amd())->raw, RawEvent::kInstructions);
  EXPECT_EQ(programme({.config = 0x1'0000'00c0}, amd())->raw, RawEvent::kBranches);
  EXPECT_FALSE(programme({.config = 0x2'0000'00c0}, amd()).has_value());
  EXPECT_FALSE(programme({.config = 0x10'0000'00c0}, amd()).has_value()) << "bit 36";
}

TEST(Programme, BitsThatAreNotAboutTheEventAreRefused) {
  // USR, OS, pin control, INT, AnyThread, EN; what AMD has at 40 and 41.
  for (const unsigned bit : {16u, 17u, 19u, 20u, 21u, 22u, 40u, 41u, 63u}) {
    EXPECT_FALSE(programme({.config = 0xc0 | 1ULL << bit}, with_tsx()).has_value()) << bit;
    EXPECT_FALSE(programme({.config = 0xc0 | 1ULL << bit}, amd()).has_value()) << bit;
  }
}

TEST(ProgrammeArm64, AnEventNumberIsWhatTheModelsTableSays) {
  const auto& model = *silicon::arm64::find_cpu_model("neoverse-n1");
  for (const auto& row : model.events) {
    const auto found = programme({.config = row.number}, model);
    ASSERT_TRUE(found.has_value()) << row.name;
    EXPECT_EQ(found->raw, row.raw) << row.name;
    EXPECT_EQ(found->privileges, silicon::kAllPrivileges) << row.name;
  }
}

TEST(ProgrammeArm64, OnlyCyclesAlsoFitOnTheCycleCounter) {
  const auto& model = *silicon::arm64::find_cpu_model("neoverse-n1");
  const unsigned event_counters = (1u << model.pmu.event_counters) - 1;
  for (const auto& row : model.events) {
    const bool cycles = row.number == silicon::arm64::kCpuCycles;
    EXPECT_EQ(programme({.config = row.number}, model)->counters,
              event_counters | (cycles ? 1u << kFirstFixed : 0u))
        << row.name;
  }
}

TEST(ProgrammeArm64, WhatTheModelHasNotIsNotCounted) {
  const auto& model = *silicon::arm64::find_cpu_model("cortex-a72");
  EXPECT_FALSE(programme({.config = silicon::arm64::kChain}, model).has_value());
  EXPECT_FALSE(programme({.config = 0x1'0011}, model).has_value());
  EXPECT_FALSE(programme({.config = 0x11, .branch_type = 1}, model).has_value());
}

}  // namespace
}  // namespace vpmu::hostperf
