// SPDX-License-Identifier: MIT
//
// IA32_PERF_CAPABILITIES, IA32_DEBUGCTL and CPUID where last branch records are offered.
#include <functional>

#include <gtest/gtest.h>

#include "unit/virt/lbr_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using silicon::x86::CpuidResult;
using silicon::x86::LbrModel;

constexpr std::uint64_t bit(unsigned n) {
  return 1ULL << n;
}
constexpr std::uint64_t kFullWidth = bit(13);

class LbrCapabilities : public LbrFixture {
 protected:
  static constexpr MsrIndex kMsr = msr::IA32_PERF_CAPABILITIES;
  std::uint64_t supported() const { return pmu->config().perf_capabilities; }
};

// ---- IA32_PERF_CAPABILITIES ---------------------------------------------------------------------

TEST_F(LbrCapabilities, BeforeTheGuestRanTheHostMaySetAllThatIsSupportedOrLess) {
  for (const LbrModel& model : {kFlags16, kInfo32, kArchitectural32}) {
    make_lbr(model, 4);
    EXPECT_EQ(host_read(kMsr), Access::done(supported()));
    const auto format = static_cast<std::uint64_t>(model.format);
    for (const std::uint64_t value : {std::uint64_t{0}, kFullWidth, format, kFullWidth | format}) {
      host_write(kMsr, value);
      EXPECT_EQ(host_read(kMsr), Access::done(value));
      EXPECT_EQ(lbr->offered(), (value & format) != 0);
    }
  }
}

TEST_F(LbrCapabilities, EveryOtherFormatAndEveryOtherBitIsRefusedAndTheValueIsAsItWas) {
  for (const LbrModel& model : {kFlags16, kInfo32, kArchitectural32}) {
    make_lbr(model, 4);
    const auto format = static_cast<std::uint64_t>(model.format);
    for (std::uint64_t other = 1; other < 64; ++other) {
      if (other == format) continue;
      EXPECT_EQ(try_host_write(kMsr, kFullWidth | other), Access::fault()) << other;
      EXPECT_EQ(host_read(kMsr), Access::done(supported()));
    }
    for (unsigned n = 6; n < 64; ++n) {
      if (n == 13) continue;
      EXPECT_EQ(try_host_write(kMsr, supported() ^ bit(n)), Access::fault()) << n;
      EXPECT_EQ(host_read(kMsr), Access::done(supported()));
    }
  }
}

TEST_F(LbrCapabilities, WithoutAPmuOnlyZeroIsTaken) {
  PmuConfig none = no_pmu(silicon::x86::Vendor::kIntel);
  none.has_perf_capabilities = true;
  make_lbr(kInfo32, none);
  host_write(kMsr, 0);
  for (unsigned n = 0; n < 64; ++n) EXPECT_EQ(try_host_write(kMsr, bit(n)), Access::fault()) << n;
  EXPECT_EQ(try_host_write(kMsr, 5), Access::fault());
  EXPECT_FALSE(lbr->offered());
  EXPECT_EQ(host_write_lbr(msr::MSR_LASTBRANCH_TOS, 7), Access::not_mine());
}

TEST_F(LbrCapabilities, TheGuestCannotWriteThemNotEvenTheirValue) {
  EXPECT_EQ(try_write(kMsr, supported()), Access::fault());
  EXPECT_EQ(try_write(kMsr, 0), Access::fault());
  for (unsigned n = 0; n < 64; ++n) {
    EXPECT_EQ(try_write(kMsr, supported() ^ bit(n)), Access::fault()) << n;
  }
  EXPECT_EQ(host_read(kMsr), Access::done(supported()));
}

TEST_F(LbrCapabilities, OnceTheGuestRanOnlyTheSameValueIsTaken) {
  const std::function<void()> runs[] = {
      [&] { pmu->scheduled_in(); },
      [&] { (void)read(kMsr); },
      [&] { (void)try_write(msr::IA32_DEBUGCTL, 0); },
      [&] { (void)pmu->rdpmc(0, true); },
  };
  for (const auto& run : runs) {
    make_lbr(kInfo32, 2);
    host_write(kMsr, 0);
    host_write(kMsr, supported());
    (void)host_read(kMsr);
    run();
    host_write(kMsr, supported());
    EXPECT_EQ(try_host_write(kMsr, 0), Access::fault());
    for (unsigned n = 0; n < 64; ++n) {
      EXPECT_EQ(try_host_write(kMsr, supported() ^ bit(n)), Access::fault()) << n;
    }
    EXPECT_EQ(host_read(kMsr), Access::done(supported()));
  }
}

TEST_F(LbrCapabilities, AResetNeitherChangesThemNorLetsThemBeChanged) {
  host_write(kMsr, kFullWidth);
  pmu->scheduled_in();
  pmu->reset();
  EXPECT_EQ(host_read(kMsr), Access::done(kFullWidth));
  EXPECT_EQ(try_host_write(kMsr, supported()), Access::fault());
}

TEST_F(LbrCapabilities, FullWidthWritesGoAndComeWithTheirBit) {
  host_write(kMsr, 5);
  EXPECT_EQ(host_read(full_pmc(0)), Access::fault());
  host_write(kMsr, kFullWidth | 5);
  EXPECT_EQ(host_read(full_pmc(0)), Access::done(0));
}

TEST_F(LbrCapabilities, WithoutAFormatThereAreNoRecordsAndNoControlOfThem) {
  ASSERT_EQ(host_write_lbr(from(0), 0x1000), Access::done());
  host_write(msr::IA32_DEBUGCTL, kLbrOn | kFreezeLbrs);
  enter();
  ASSERT_TRUE(has_event());
  host_write(kMsr, kFullWidth);
  EXPECT_EQ(host_read(msr::IA32_DEBUGCTL), Access::done(0));
  enter();
  EXPECT_FALSE(has_event());
  EXPECT_EQ(perf.open_events(), 0u);
  EXPECT_FALSE(lbr->recording());
  EXPECT_TRUE(all_intercepted(true));
  for (const MsrIndex each : registers()) {
    EXPECT_EQ(lbr->read_msr(each, Initiator::kGuest), Access::not_mine());
    EXPECT_EQ(lbr->write_msr(each, 0, Initiator::kGuest), Access::not_mine());
    EXPECT_EQ(host_read_lbr(each), Access::not_mine());
    EXPECT_EQ(host_write_lbr(each, 0), Access::not_mine());
  }
  host_write(kMsr, supported());
  EXPECT_EQ(host_read_lbr(from(0)), Access::done(0)) << "what was there is gone";
}

TEST_F(LbrCapabilities, ArchitecturalRecordsGoTheSameWay) {
  make_lbr(kArchitectural32, 4);
  ASSERT_EQ(host_write_lbr(msr::IA32_LBR_CTL, kLbrCtlOn), Access::done());
  enter();
  ASSERT_TRUE(lbr->passed_through());
  host_write(kMsr, kFullWidth);
  enter();
  EXPECT_FALSE(has_event());
  EXPECT_FALSE(lbr->passed_through());
  EXPECT_FALSE(lbr->recording());
}

TEST_F(LbrCapabilities, AHostWithoutSuchRecordsOffersNone) {
  LbrModel without_call_stack = kInfo32;
  without_call_stack.call_stack = false;
  for (const LbrModel& host : {LbrModel{}, kFlags16, kArchitectural32, without_call_stack}) {
    make_lbr(host, offering(kInfo32, 4));
    EXPECT_FALSE(lbr->offered());
    EXPECT_EQ(lbr->read_msr(msr::MSR_LASTBRANCH_TOS, Initiator::kGuest), Access::not_mine());
    debugctl(kLbrOn);
    new_slice();
    EXPECT_EQ(perf.lbr_opens, 0);
  }
}

TEST_F(LbrCapabilities, BeforeTheGuestRanTheHostMaySetTheLowBitsOfTheTop) {
  for (const LbrModel& model : {kFlags16, kInfo32}) {
    make_lbr(model, 2);
    EXPECT_EQ(host_write_lbr(msr::MSR_LASTBRANCH_TOS, 7), Access::done());
    EXPECT_EQ(host_read_lbr(msr::MSR_LASTBRANCH_TOS), Access::done(7));
  }
}

// ---- IA32_DEBUGCTL ------------------------------------------------------------------------------

TEST_F(LbrCapabilities, DebugControlTakesWhatIsOfferedDropsLbrAndBtfAndFaultsOnTheRest) {
  struct Case {
    LbrModel host;
    std::uint8_t version;
    bool offer;
    std::uint64_t kept;
  };
  const Case cases[] = {
      {kInfo32, 1, true, kLbrOn | kFreezeLbrs},
      {kInfo32, 2, true, kLbrOn | kFreezeLbrs},
      {kFlags16, 5, true, kLbrOn | kFreezeLbrs},
      {kArchitectural32, 4, true, kFreezeLbrs},
      {kInfo32, 2, false, 0},
      {kArchitectural32, 4, false, 0},
  };
  for (const Case& each : cases) {
    make_lbr(each.host,
             each.offer ? offering(each.host, each.version) : intel_config(each.version));
    for (const Initiator initiator : {Initiator::kGuest, Initiator::kHost}) {
      for (unsigned n = 0; n < 64; ++n) {
        const bool dropped = n < 2;
        const bool kept = (each.kept & bit(n)) != 0;
        ASSERT_EQ(pmu->write_msr(msr::IA32_DEBUGCTL, 0, initiator), Access::done());
        EXPECT_EQ(pmu->write_msr(msr::IA32_DEBUGCTL, bit(n), initiator),
                  kept || dropped ? Access::done() : Access::fault())
            << n;
        EXPECT_EQ(host_read(msr::IA32_DEBUGCTL), Access::done(kept ? bit(n) : 0)) << n;
      }
    }
  }
}

TEST_F(LbrCapabilities, DebugControlOfAmdDropsLbr) {
  make(kAmdV2);
  write(msr::IA32_DEBUGCTL, kLbrOn);
  EXPECT_EQ(read(msr::IA32_DEBUGCTL), Access::done(0));
  EXPECT_EQ(try_write(msr::IA32_DEBUGCTL, kFreezeLbrs), Access::fault());
}

// ---- CPUID --------------------------------------------------------------------------------------

TEST_F(LbrCapabilities, CpuidShowsArchitecturalRecordsOnlyWhereTheyAreOffered) {
  const CpuidResult leaf_7{.ebx = 0, .edx = bit(19) | bit(18)};
  const CpuidResult leaf_1c{.eax = 0x8000'000b, .ebx = 7, .ecx = 7};
  const auto shown = [&](std::uint32_t leaf, CpuidResult result) {
    pmu->adjust_cpuid(leaf, result);
    return result;
  };
  make_lbr(kArchitectural32, 4);
  EXPECT_EQ(shown(0x7, leaf_7).edx, leaf_7.edx);
  EXPECT_EQ(shown(0x1c, leaf_1c).eax, leaf_1c.eax);
  EXPECT_EQ(shown(0x1c, leaf_1c).ecx, leaf_1c.ecx);
  host_write(kMsr, kFullWidth);
  EXPECT_EQ(shown(0x7, leaf_7).edx, bit(18));
  EXPECT_EQ(shown(0x1c, leaf_1c).eax, 0u);
  EXPECT_EQ(shown(0x1c, leaf_1c).ebx, 0u);
  EXPECT_EQ(shown(0x1c, leaf_1c).ecx, 0u);
  make_lbr(kInfo32, 4);
  EXPECT_EQ(shown(0x7, leaf_7).edx, bit(18));
  EXPECT_EQ(shown(0x1c, leaf_1c).eax, 0u);
}

}  // namespace
}  // namespace vpmu::virt::x86
