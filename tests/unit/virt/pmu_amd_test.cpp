// SPDX-License-Identifier: MIT
//
// AMD's counters: K7, core extension and PerfMonV2, and which of them count in which SVM mode.
#include <array>

#include "unit/virt/fake_event_gate.hpp"
#include "unit/virt/pmu_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr std::uint64_t kTurn = bit(48);
constexpr std::uint64_t kWidth48 = kTurn - 1;
constexpr std::uint64_t kDropped = 0xffff'fff0'0028'0000;
constexpr std::uint64_t kGuestOnly = bit(40), kHostOnly = bit(41);

class PmuAmd : public PmuFixture {
 protected:
  PmuAmd() { make(kAmdV2); }
  std::uint64_t status_msr() { return read(msr::PerfCntrGlobalStatus).value(); }
};

// ---- Which registers exist ----------------------------------------------------------------------

TEST_F(PmuAmd, EachGenerationHasItsRegisters) {
  struct Case {
    MsrIndex msr;
    bool k7, core, v2;
  };
  const Case cases[] = {
      {k7_select(0), true, true, true},
      {k7_select(3), true, true, true},
      {k7_counter(0), true, true, true},
      {k7_counter(3), true, true, true},
      {core_select(0), false, true, true},
      {core_counter(0), false, true, true},
      {core_select(5), false, true, true},
      {core_counter(5), false, true, true},
      {msr::PerfCntrGlobalStatus, false, false, true},
      {msr::PerfCntrGlobalCtl, false, false, true},
      {msr::PerfCntrGlobalStatusClr, false, false, true},
      {msr::PerfCntrGlobalStatusSet, false, false, true},
      {full_pmc(0), false, false, false},
      {fixed(0), false, false, false},
      {msr::IA32_FIXED_CTR_CTRL, false, false, false},
      {msr::IA32_PERF_GLOBAL_CTRL, false, false, false},
      {msr::IA32_PERF_CAPABILITIES, false, false, false},
      {msr::IA32_DS_AREA, false, false, false},
  };
  for (const Case& each : cases) {
    const auto expect = [&](const PmuConfig& config, bool exists) {
      make(config);
      EXPECT_EQ(read(each.msr), exists ? Access::done(read(each.msr).value()) : Access::fault())
          << std::hex << raw(each.msr);
      EXPECT_EQ(try_write(each.msr, 0), exists ? Access::done() : Access::fault())
          << std::hex << raw(each.msr);
    };
    expect(kAmdK7, each.k7);
    expect(kAmdCore, each.core);
    expect(kAmdV2, each.v2);
  }
}

TEST_F(PmuAmd, CountersBeyondTheLastOneFault) {
  PmuConfig four = kAmdV2;
  four.gp_counters = 4;
  make(four);
  EXPECT_EQ(read(core_select(3)), Access::done(0));
  EXPECT_EQ(read(core_select(4)), Access::fault());
  EXPECT_EQ(read(core_counter(4)), Access::fault());
}

TEST_F(PmuAmd, K7RegistersAreAliasesOfTheFirstFourCounters) {
  for (unsigned i = 0; i < 4; ++i) {
    write(k7_select(i), 0x76 + i);
    EXPECT_EQ(read(core_select(i)), Access::done(0x76 + i));
    write(core_counter(i), 0x1000 + i);
    EXPECT_EQ(read(k7_counter(i)), Access::done(0x1000 + i));
  }
}

TEST_F(PmuAmd, WithoutPmuK7RegistersReadZeroAndForgetWritesAndTheOthersFault) {
  make(no_pmu(silicon::x86::Vendor::kAmd));
  for (unsigned i = 0; i < 4; ++i) {
    for (const MsrIndex index : {k7_select(i), k7_counter(i)}) {
      EXPECT_EQ(try_write(index, ~0ULL), Access::done());
      EXPECT_EQ(read(index), Access::done(0));
    }
  }
  for (const MsrIndex index :
       {core_select(0), core_counter(0), msr::PerfCntrGlobalStatus, msr::PerfCntrGlobalCtl}) {
    EXPECT_EQ(read(index), Access::fault());
    EXPECT_EQ(try_write(index, 0), Access::fault());
  }
}

TEST_F(PmuAmd, IntelsOldestRegistersAreForgiven) {
  for (const MsrIndex index : {pmc(0), pmc(1), event_select(0), event_select(1)}) {
    EXPECT_EQ(try_write(index, ~0ULL), Access::done());
    EXPECT_EQ(read(index), Access::done(0));
  }
  EXPECT_EQ(read(pmc(2)), Access::fault());
}

// ---- Which bits there are -----------------------------------------------------------------------

TEST_F(PmuAmd, SelectorDropsWhatIsReservedAndNeverFaults) {
  for (const bool host_guest_only : {false, true}) {
    PmuConfig config = kAmdV2;
    config.host_guest_only = host_guest_only;
    make(config);
    const std::uint64_t dropped = host_guest_only ? kDropped & ~(kGuestOnly | kHostOnly) : kDropped;
    for (unsigned n = 0; n < 64; ++n) {
      write(core_select(5), bit(n));
      EXPECT_EQ(read(core_select(5)), Access::done(bit(n) & ~dropped)) << n;
    }
    write(core_select(5), ~0ULL);
    EXPECT_EQ(read(core_select(5)), Access::done(~dropped));
  }
}

TEST_F(PmuAmd, CounterTakesFullWidthAndIsTruncatedWithoutSignExtension) {
  for (const Initiator initiator : {Initiator::kGuest, Initiator::kHost}) {
    for (const MsrIndex index : {k7_counter(1), core_counter(1)}) {
      EXPECT_EQ(pmu->write_msr(index, ~0ULL, initiator), Access::done());
      EXPECT_EQ(read(index), Access::done(kWidth48));
      EXPECT_EQ(pmu->write_msr(index, 0x8000'0000, initiator), Access::done());
      EXPECT_EQ(read(index), Access::done(0x8000'0000));
    }
  }
}

TEST_F(PmuAmd, GlobalControlStartsWithEveryCounterOnAndDropsTheBitsOfOthers) {
  EXPECT_EQ(read(msr::PerfCntrGlobalCtl), Access::done(0x3f));
  write(msr::PerfCntrGlobalCtl, ~0ULL);
  EXPECT_EQ(read(msr::PerfCntrGlobalCtl), Access::done(0x3f));
  write(msr::PerfCntrGlobalCtl, 0x48);
  EXPECT_EQ(read(msr::PerfCntrGlobalCtl), Access::done(0x08));
}

TEST_F(PmuAmd, GlobalStatusIgnoresGuestWritesIsSetAndClearedByItsNeighbours) {
  write(msr::PerfCntrGlobalStatus, 0x3f);
  EXPECT_EQ(status_msr(), 0u);
  write(msr::PerfCntrGlobalStatusSet, ~0ULL);
  EXPECT_EQ(status_msr(), 0x3fu);
  write(msr::PerfCntrGlobalStatusClr, 0x15 | bit(60));
  EXPECT_EQ(status_msr(), 0x2au);
  EXPECT_EQ(read(msr::PerfCntrGlobalStatusSet), Access::done(0));
  EXPECT_EQ(read(msr::PerfCntrGlobalStatusClr), Access::done(0));
}

TEST_F(PmuAmd, HostStoresStatusAndItsNeighboursDoNothingForIt) {
  EXPECT_EQ(try_host_write(msr::PerfCntrGlobalStatus, 0x21), Access::done());
  EXPECT_EQ(status_msr(), 0x21u);
  EXPECT_EQ(try_host_write(msr::PerfCntrGlobalStatus, 0x40), Access::fault());
  EXPECT_EQ(try_host_write(msr::PerfCntrGlobalStatusClr, ~0ULL), Access::done());
  EXPECT_EQ(try_host_write(msr::PerfCntrGlobalStatusSet, ~0ULL), Access::done());
  EXPECT_EQ(status_msr(), 0x21u);
}

// ---- RDPMC and CPUID ----------------------------------------------------------------------------

TEST_F(PmuAmd, RdpmcTakesAllOfEcxForTheNumber) {
  write(core_counter(5), 0x1234);
  EXPECT_EQ(pmu->rdpmc(5, true), Access::done(0x1234));
  EXPECT_EQ(pmu->rdpmc(5, false), Access::fault());
  for (const std::uint32_t ecx : {6u, 9u, 10u, 64u, 0x4000'0000u, 0x8000'0000u, 0xc000'0005u,
                                  0x1'0000u, 0x1'0001u, 0x1'0002u, 0xffff'ffffu}) {
    EXPECT_EQ(pmu->rdpmc(ecx, true), Access::fault()) << std::hex << ecx;
  }
  make(no_pmu(silicon::x86::Vendor::kAmd));
  EXPECT_EQ(pmu->rdpmc(0, true), Access::fault());
}

TEST_F(PmuAmd, CpuidEnumeratesCoreExtensionAndPerfMonV2) {
  struct Case {
    PmuConfig config;
    bool core_extension;
    silicon::x86::CpuidResult v2;
  };
  const Case cases[] = {{no_pmu(silicon::x86::Vendor::kAmd), false, {}},
                        {kAmdK7, false, {}},
                        {kAmdCore, true, {}},
                        {kAmdV2, true, {.eax = 1, .ebx = 6}}};
  constexpr std::uint32_t kPerfCtrExtCore = 1u << 23;
  for (const Case& each : cases) {
    make(each.config);
    for (const std::uint32_t before : {0u, ~0u}) {
      silicon::x86::CpuidResult result{before, before, before, before};
      pmu->adjust_cpuid(0x8000'0001, result);
      EXPECT_EQ(result.ecx,
                (before & ~kPerfCtrExtCore) | (each.core_extension ? kPerfCtrExtCore : 0));
      EXPECT_EQ(result.eax, before);
      result = {before, before, before, before};
      pmu->adjust_cpuid(0x8000'0022, result);
      EXPECT_EQ(result, each.v2);
      pmu->adjust_cpuid(0xa, result);
      EXPECT_EQ(result, silicon::x86::CpuidResult{});
    }
  }
}

// ---- Counting -----------------------------------------------------------------------------------

TEST_F(PmuAmd, EventSelectHasTwelveBits) {
  write(core_select(0), 0x1'0000'01a0 | bit(18) | bit(23) | 0x0300'0000 | kEn | kOs | kInt);
  ASSERT_NE(perf.of(0), nullptr);
  EXPECT_EQ(perf.of(0)->attr.config, 0x1'0384'01a0u);
  EXPECT_TRUE(perf.of(0)->attr.exclude_user);
  EXPECT_FALSE(perf.of(0)->attr.exclude_kernel);
}

TEST_F(PmuAmd, Version1CountersNeedNoGlobalEnableAndLatchNoStatus) {
  make(kAmdCore);
  write(core_counter(4), kTurn - 1);
  write(core_select(4), 0xc0 | kEn | kOs | kInt);
  EXPECT_EQ(pmu->status(gp_counter(4)), CounterStatus::kCounting);
  perf.count(1);
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 1);
  EXPECT_EQ(read(core_counter(4)), Access::done(0)) << "bit 47 is clear: it has overflowed";
}

TEST_F(PmuAmd, Version2OverflowSetsItsStatusBitAndAsksForLvtpcToStayUnmasked) {
  write(core_counter(5), kTurn - 1);
  write(core_select(5), 0xc0 | kEn | kOs | kInt);
  perf.count(1);
  pmu->before_entry();
  EXPECT_EQ(status_msr(), bit(5));
  EXPECT_EQ(sink.raised, 1);
  EXPECT_EQ(sink.last, LvtpcAfterPmi::kKeep);
}

TEST_F(PmuAmd, GlobalControlStopsAndStarts) {
  write(core_select(1), 0xc0 | kEn | kOs);
  perf.count(5);
  write(msr::PerfCntrGlobalCtl, 0x3d);
  perf.count(5);
  EXPECT_EQ(read(core_counter(1)), Access::done(5));
  write(msr::PerfCntrGlobalCtl, 0x02);
  perf.count(5);
  EXPECT_EQ(read(core_counter(1)), Access::done(10));
}

// ---- Host-Only and Guest-Only -------------------------------------------------------------------

class PmuAmdModes : public PmuAmd {
 protected:
  static constexpr std::array<std::uint64_t, 4> kModes{0, kGuestOnly, kHostOnly,
                                                       kGuestOnly | kHostOnly};
  PmuAmdModes() {
    PmuConfig config = kAmdV2;
    config.host_guest_only = true;
    make(config);
    for (unsigned i = 0; i < 4; ++i) write(core_select(i), kSelect | kModes[i]);
  }
  /// Which of the four counters {none, G, H, HG} move; the others stand perfectly still.
  unsigned counting() {
    pmu->before_entry();
    std::array<std::uint64_t, 4> before{};
    for (unsigned i = 0; i < 4; ++i) before[i] = read(core_counter(i)).value();
    perf.count(10);
    unsigned moved = 0;
    for (unsigned i = 0; i < 4; ++i) {
      const std::uint64_t delta = read(core_counter(i)).value() - before[i];
      EXPECT_TRUE(delta == 0 || delta == 10) << delta;
      if (delta != 0) moved |= 1u << i;
    }
    return moved;
  }
  static constexpr std::uint64_t kSelect = 0xc0 | kEn | kOs | kUsr;
  static constexpr unsigned kNone = 1, kG = 2, kH = 4, kHg = 8;
};

TEST_F(PmuAmdModes, CountersFollowTheMode) {
  EXPECT_EQ(counting(), kNone) << "SVME is clear";
  pmu->set_svm(true, false);
  EXPECT_EQ(counting(), kNone | kH | kHg) << "in L1";
  pmu->set_svm(true, true);
  EXPECT_EQ(counting(), kNone | kG | kHg) << "in L2";
  pmu->set_svm(true, false);
  EXPECT_EQ(counting(), kNone | kH | kHg) << "back in L1";
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}};
  pmu->set_event_gate(&gate);
  EXPECT_EQ(counting(), 0u) << "denied";
  gate.denied.clear();
  pmu->gate_changed();
  EXPECT_EQ(counting(), kNone | kH | kHg) << "allowed again";
  write(core_select(3), kSelect | kGuestOnly);
  EXPECT_EQ(counting(), kNone | kH) << "Host-Only cleared";
  write(core_select(3), kSelect | kGuestOnly | kHostOnly);
  EXPECT_EQ(counting(), kNone | kH | kHg);
  pmu->set_svm(false, false);
  EXPECT_EQ(counting(), kNone) << "SVME is clear again";
  pmu->set_event_gate(nullptr);
}

TEST_F(PmuAmdModes, ModeDecidesAboutCreditToo) {
  pmu->instruction_emulated(EmulatedInstruction::kPlain, silicon::Privilege::kKernel);
  EXPECT_EQ(read(core_counter(0)), Access::done(1));
  for (unsigned i = 1; i < 4; ++i) EXPECT_EQ(read(core_counter(i)), Access::done(0)) << i;
}

TEST_F(PmuAmdModes, WithoutTheFeatureModesChangeNothing) {
  make(kAmdV2);
  for (unsigned i = 0; i < 4; ++i) write(core_select(i), kSelect | kModes[i]);
  EXPECT_EQ(counting(), kNone | kG | kH | kHg) << "the bits were dropped";
  pmu->set_svm(true, true);
  EXPECT_FALSE(pmu->has_entry_work());
  EXPECT_EQ(counting(), kNone | kG | kH | kHg);
}

}  // namespace
}  // namespace vpmu::virt::x86
