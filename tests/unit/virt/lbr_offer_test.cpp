// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/lbr_offer.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "unit/virt/lbr_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using silicon::x86::LbrFormat;
using silicon::x86::Vendor;

/// A guest that has all it takes.
LbrOffer good(const silicon::x86::LbrModel& host) {
  return {.host = host, .version = 4, .pdcm = true, .format = host.format};
}

TEST(LbrOffer, IsAcceptedOnEveryModelThatIsModelled) {
  for (const auto& host : {kFlags16, kInfo32, kArchitectural32}) {
    EXPECT_EQ(lbr_refusal(good(host)), LbrRefusal::kNone);
  }
}

TEST(LbrOffer, EachConditionCountsAlone) {
  struct Case {
    LbrRefusal why;
    std::function<void(LbrOffer&)> change;
  };
  const Case cases[] = {
      {LbrRefusal::kVendor, [](LbrOffer& o) { o.vendor = Vendor::kAmd; }},
      {LbrRefusal::kNoRecords, [](LbrOffer& o) { o.host.depth = 0; }},
      {LbrRefusal::kNoCallStack, [](LbrOffer& o) { o.host.call_stack = false; }},
      {LbrRefusal::kNoPmu, [](LbrOffer& o) { o.version = 0; }},
      {LbrRefusal::kNoCapabilities, [](LbrOffer& o) { o.pdcm = false; }},
      {LbrRefusal::kNotOffered, [](LbrOffer& o) { o.format = LbrFormat::k32; }},
      {LbrRefusal::kFormat, [](LbrOffer& o) { o.format = LbrFormat::kInfo2; }},
      {LbrRefusal::kModel, [](LbrOffer& o) { o.same_model = false; }},
  };
  for (const auto& host : {kFlags16, kInfo32, kArchitectural32}) {
    for (const Case& each : cases) {
      LbrOffer offer = good(host);
      each.change(offer);
      EXPECT_EQ(lbr_refusal(offer), each.why);
    }
  }
}

// KVM would pass registers through that are not there.
TEST(LbrOffer, LegacyRecordsAreNotToBeHadOnAHostWithArchitecturalOnes) {
  LbrOffer offer = good(kArchitectural32);
  offer.format = LbrFormat::kInfo;
  EXPECT_EQ(lbr_refusal(offer), LbrRefusal::kFormat);
}

TEST(LbrOffer, LegacyRecordsTakeAnyVersionArchitecturalOnesAtLeast4) {
  for (std::uint8_t version = 1; version <= 5; ++version) {
    LbrOffer legacy = good(kInfo32), architectural = good(kArchitectural32);
    legacy.version = architectural.version = version;
    EXPECT_EQ(lbr_refusal(legacy), LbrRefusal::kNone);
    EXPECT_EQ(lbr_refusal(architectural), version < 4 ? LbrRefusal::kVersion : LbrRefusal::kNone);
  }
}

TEST(LbrOffer, APmuThatOffersWhatCannotBeIsNotPossible) {
  for (unsigned format = 0; format < 64; ++format) {
    for (std::uint8_t version = 1; version <= 5; ++version) {
      PmuConfig config = intel_config(version);
      config.perf_capabilities |= format;
      const bool legacy = format == 0 || (format >= 3 && format <= 5);
      EXPECT_EQ(possible(config), legacy || (format == 0x3f && version >= 4)) << format;
    }
  }
  PmuConfig none = no_pmu(Vendor::kIntel);
  none.has_perf_capabilities = true;
  EXPECT_TRUE(possible(none));
  none.perf_capabilities = 5;
  EXPECT_FALSE(possible(none)) << "no PMU, no LBRs";
  PmuConfig amd = kAmdV2;
  amd.perf_capabilities = 5;
  EXPECT_FALSE(possible(amd));
}

}  // namespace
}  // namespace vpmu::virt::x86
