// SPDX-License-Identifier: MIT
//
// The mistakes that virtual PMUs have been made with before, KVM's among them: one test each, which
// fails on a PMU that makes it.
#include <array>

#include "unit/virt/fake_event_gate.hpp"
#include "unit/virt/pmu_fixture.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;
using silicon::Privilege;
using silicon::x86::Vendor;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr std::uint64_t kTurn48 = bit(48);

class Pitfall : public PmuFixture {
 protected:
  std::uint64_t status_msr() { return read(msr::IA32_PERF_GLOBAL_STATUS).value(); }
  void emulate(EmulatedInstruction kind = EmulatedInstruction::kPlain) {
    pmu->instruction_emulated(kind, Privilege::kKernel);
  }
  void overflow(unsigned i = 0) {
    write(full_pmc(i), kTurn48 - 1);
    perf.count(1);
    pmu->before_entry();
  }
};

// Linux's handler writes back the value that it read. Kept sign-extended in 64 bits, each credited
// instruction then looks like a wrap.
TEST_F(Pitfall, P01_SignExtendedCounterDoesNotWrapAtEveryCredit) {
  write(pmc(0), 0xffff'fff0);
  write(event_select(0), kInstructions | kInt);
  write(pmc(0), read(pmc(0)).value());
  EXPECT_EQ(read(pmc(0)), Access::done(kTurn48 - 16));
  for (int n = 0; n < 15; ++n) emulate();
  pmu->before_entry();
  EXPECT_EQ(status_msr(), 0u);
  EXPECT_EQ(sink.raised, 0);
  emulate();
  pmu->before_entry();
  EXPECT_EQ(status_msr(), 1u);
  EXPECT_EQ(sink.raised, 1);
}

// A snapshot of the control register in 8 bits holds two fixed counters.
TEST_F(Pitfall, P02_DisablingTheThirdFixedCounterIsNoticed) {
  write(msr::IA32_PERF_GLOBAL_CTRL, bit(34));
  write(msr::IA32_FIXED_CTR_CTRL, 0x300);
  perf.count(5);
  write(msr::IA32_FIXED_CTR_CTRL, 0x000);
  perf.count(5);
  EXPECT_EQ(read(fixed(2)), Access::done(5));
}

TEST_F(Pitfall, P03_GlobalControlIsAllOnesAtReset) {
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_CTRL), Access::done(0xf));
  write(event_select(3), kInstructions);
  perf.count(3);
  EXPECT_EQ(read(pmc(3)), Access::done(3)) << "a guest that knows version 1 only counts";
}

TEST_F(Pitfall, P04_Version1IsAlwaysGloballyEnabled) {
  make(kVersion1);
  write(event_select(1), kInstructions);
  perf.count(3);
  emulate();
  EXPECT_EQ(read(pmc(1)), Access::done(4));
}

TEST_F(Pitfall, P05_CreditAsksTheGateAtThatMoment) {
  FakeEventGate gate;
  pmu->set_event_gate(&gate);
  write(event_select(0), kInstructions);
  emulate();
  EXPECT_EQ(read(pmc(0)), Access::done(1));
  // Nobody has told the PMU yet, and it has not been reprogrammed.
  gate.denied = {{0xc0, 0x00}};
  const int asked = gate.questions;
  emulate();
  EXPECT_GT(gate.questions, asked);
  EXPECT_EQ(read(pmc(0)), Access::done(1));
}

TEST_F(Pitfall, P06_GateIsAskedForEightBitsOfEventOnIntelAndTwelveOnAmd) {
  FakeEventGate gate;
  gate.denied = {{0x0c0, 0x00}};
  PmuConfig tsx = kVersion2;
  tsx.tsx = true;
  make(tsx);
  pmu->set_event_gate(&gate);
  write(event_select(2), kInstructions | bit(32) | bit(33));
  EXPECT_EQ(pmu->status(gp_counter(2)), CounterStatus::kDenied) << "IN_TX is no other event";
  make(kAmdV2);
  pmu->set_event_gate(&gate);
  write(core_select(2), 0xc0 | kEn | kOs | bit(32));
  EXPECT_EQ(pmu->status(gp_counter(2)), CounterStatus::kCounting) << "1C0 is another event";
}

TEST_F(Pitfall, P07_VerdictIsNotCachedAcrossAChangeOfTheGate) {
  FakeEventGate gate;
  pmu->set_event_gate(&gate);
  write(event_select(0), kInstructions);
  write(event_select(1), kBranches);
  perf.count(1);
  gate.denied = {{0xc0, 0x00}};
  pmu->gate_changed();
  pmu->before_entry();
  perf.count(1);
  emulate(EmulatedInstruction::kBranch);
  EXPECT_EQ(read(pmc(0)), Access::done(1));
  EXPECT_EQ(read(pmc(1)), Access::done(3));
  gate.denied = {{0xc4, 0x00}};
  pmu->gate_changed();
  pmu->before_entry();
  perf.count(1);
  emulate(EmulatedInstruction::kBranch);
  EXPECT_EQ(read(pmc(0)), Access::done(3));
  EXPECT_EQ(read(pmc(1)), Access::done(3));
}

// Otherwise an NMI follows each NMI. Whether the PMI was accepted is the local APIC's to know.
TEST_F(Pitfall, P08_IntelMasksLvtpcOnPmi) {
  write(event_select(0), kInstructions | kInt);
  overflow();
  EXPECT_EQ(sink.last, LvtpcAfterPmi::kMask);
}

// Otherwise a guest whose handler never unmasks gets one PMI and no more.
TEST_F(Pitfall, P09_AmdLeavesLvtpcUnmasked) {
  for (const PmuConfig& config : {kAmdK7, kAmdCore, kAmdV2}) {
    make(config);
    sink.last = LvtpcAfterPmi::kMask;
    write(k7_counter(0), kTurn48 - 1);
    write(k7_select(0), 0xc0 | kEn | kOs | kInt);
    perf.count(1);
    pmu->before_entry();
    EXPECT_EQ(sink.last, LvtpcAfterPmi::kKeep);
  }
}

TEST_F(Pitfall, P10_OverflowsBeforeOneEntryAreOnePmiThatWakes) {
  for (unsigned i = 0; i < 4; ++i) {
    write(full_pmc(i), kTurn48 - 1);
    write(event_select(i), kInstructions | kInt);
  }
  perf.count(1);
  EXPECT_TRUE(pmu->has_entry_work()) << "what a halted vCPU looks at";
  EXPECT_GT(sink.requests, 0);
  emulate();
  pmu->before_entry();
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 1);
}

TEST_F(Pitfall, P11_RdpmcHasTypesOnIntelAndWholeNumbersOnAmd) {
  struct Case {
    std::uint32_t ecx;
    bool intel, amd;
  };
  const Case cases[] = {
      {0x0000'0000, true, true},   {0x0000'0003, true, true},   {0x0000'0005, false, true},
      {0x4000'0002, true, false},  {0x8000'0000, false, false}, {0xc000'0000, false, false},
      {0x4000'0003, false, false}, {0x2000'0000, false, false}, {0x0000'0040, false, false},
      {0x0001'0000, false, false},
  };
  for (const Case& each : cases) {
    make(kVersion2);
    EXPECT_EQ(pmu->rdpmc(each.ecx, true).is_done(), each.intel) << std::hex << each.ecx;
    make(kAmdV2);
    EXPECT_EQ(pmu->rdpmc(each.ecx, true).is_done(), each.amd) << std::hex << each.ecx;
  }
}

TEST_F(Pitfall, P12_WithoutPmuNoPseudoCounterCanBeRead) {
  for (const Vendor vendor : {Vendor::kIntel, Vendor::kAmd}) {
    make(no_pmu(vendor));
    for (const std::uint32_t ecx : {0u, 0x1'0000u, 0x1'0001u, 0x1'0002u, 0x4000'0000u}) {
      EXPECT_EQ(pmu->rdpmc(ecx, true), Access::fault()) << std::hex << ecx;
    }
  }
}

// A guest's NMI watchdog writes its period into the running counter, again and again.
TEST_F(Pitfall, P13_CounterWriteMovesTheOverflowOfARunningCounter) {
  make(kAmdV2);
  write(core_select(0), 0xc0 | kEn | kOs | kInt);
  for (int n = 0; n < 3; ++n) {
    perf.count(40);
    write(core_counter(0), kTurn48 - 50);
    EXPECT_EQ(perf.of(0)->attr.period, 50u);
  }
  perf.count(49);
  EXPECT_EQ(read(msr::PerfCntrGlobalStatus), Access::done(0));
  perf.count(1);
  EXPECT_EQ(read(msr::PerfCntrGlobalStatus), Access::done(1));
}

TEST_F(Pitfall, P14_AvailabilityInCpuidIsOnlyEnumeration) {
  PmuConfig config = kVersion2;
  config.arch_events_unavailable = 0xff;
  make(config);
  write(msr::IA32_PERF_GLOBAL_CTRL, 0xf | bit(32) | bit(33));
  write(event_select(0), kInstructions);
  write(msr::IA32_FIXED_CTR_CTRL, 0x33);
  perf.count(7);
  EXPECT_EQ(read(pmc(0)), Access::done(7));
  EXPECT_EQ(read(fixed(0)), Access::done(7));
  EXPECT_EQ(read(fixed(1)), Access::done(7));
}

TEST_F(Pitfall, P15_ResetForgetsEveryCounterThatCanExist) {
  PmuConfig config = intel_config(5);
  config.fixed_counters = 4;
  make(config);
  write(msr::IA32_FIXED_CTR_CTRL, 0x3333);
  write(msr::IA32_PERF_GLOBAL_CTRL, 0xff | 0xfULL << 32);
  for (unsigned i = 0; i < 8; ++i) write(event_select(i), kInstructions | kInt);
  perf.count(9);
  pmu->reset();
  for (const auto& counter : pmu->save().gp) EXPECT_FALSE(counter.touched);
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(read(pmc(i)), Access::done(0)) << i;
  for (unsigned k = 0; k < 4; ++k) EXPECT_EQ(read(fixed(k)), Access::done(0)) << k;
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_INUSE), Access::done(0));
  EXPECT_EQ(perf.open_events(), 0u);
  emulate(EmulatedInstruction::kBranch);
  EXPECT_EQ(read(pmc(0)), Access::done(0)) << "no selector is left to be credited";
}

// CPUID of a vCPU does not change here: a PMU is made for one configuration. What it lets through
// comes from that alone, and what it does not know of is reserved.
TEST_F(Pitfall, P16_ReservedBitsComeFromTheConfigurationAndAreAllOnesWithoutOne) {
  make(intel_config(5));
  write(msr::IA32_PERF_GLOBAL_CTRL, 0xff);
  make(kVersion1);
  EXPECT_EQ(try_write(msr::IA32_PERF_GLOBAL_CTRL, 1), Access::fault());
  PmuConfig two = kVersion2;
  two.gp_counters = 2;
  two.fixed_counters = 1;
  make(two);
  EXPECT_EQ(try_write(msr::IA32_PERF_GLOBAL_CTRL, 4), Access::fault());
  EXPECT_EQ(try_write(msr::IA32_FIXED_CTR_CTRL, 0x30), Access::fault());
  make(no_pmu(Vendor::kIntel));
  for (const MsrIndex index : {msr::IA32_PERF_GLOBAL_CTRL, msr::IA32_FIXED_CTR_CTRL, fixed(0)}) {
    EXPECT_EQ(try_write(index, 0), Access::fault());
  }
}

TEST_F(Pitfall, P17_NothingIsReprogrammedInsideAWrite) {
  for (unsigned i = 0; i < 4; ++i) {
    ASSERT_TRUE(pmu->write_msr(event_select(i), kInstructions, Initiator::kGuest).is_done());
  }
  EXPECT_EQ(perf.events.size(), 0u);
  EXPECT_EQ(perf.enables, 0);
  pmu->before_entry();
  EXPECT_EQ(perf.open_events(), 4u) << "all in one";
}

// The overflow comes while another counter is being programmed: the set of counters to program is
// already taken, and must not be cleared as a whole afterwards.
TEST_F(Pitfall, P18_OverflowWhileProgrammingIsNotLost) {
  class OverflowingPerf final : public hostperf::FakeHostPerf {
   public:
    tl::expected<hostperf::EventId, hostperf::OpenError> open(
        const hostperf::EventAttr& attr, hostperf::Target target,
        hostperf::OverflowHandler& handler) override {
      const auto event = FakeHostPerf::open(attr, target, handler);
      if (attr.cookie == 1) count(1);  // counter 0 reaches its overflow here
      return event;
    }
  };
  OverflowingPerf overflowing;
  pmu = std::make_unique<Pmu>(kVersion2, overflowing, hostperf::VcpuIndex{0}, sink);
  write(full_pmc(0), kTurn48 - 1);
  write(event_select(0), kInstructions | kInt);
  write(event_select(1), kBranches);
  EXPECT_EQ(status_msr(), 1u);
  EXPECT_EQ(overflowing.of(0)->attr.period, kTurn48) << "and its next turn is programmed";
  EXPECT_FALSE(pmu->has_entry_work());
  EXPECT_EQ(sink.raised, 1);
  pmu.reset();
}

TEST_F(Pitfall, P19_StarvedCounterIsTriedAgainWithoutARequestOfItsOwn) {
  perf.no_room = true;
  write(event_select(0), kInstructions);
  const int enables = perf.enables;
  for (int n = 0; n < 10; ++n) {
    EXPECT_FALSE(pmu->has_entry_work());
    pmu->before_entry();
  }
  EXPECT_EQ(perf.enables, enables);
  perf.no_room = false;
  write(event_select(1), kBranches);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting) << "at the next natural request";
}

TEST_F(Pitfall, P20_OverflowOfACounterThatIsBeingReprogrammedIsDropped) {
  write(full_pmc(0), kTurn48 - 1);
  write(event_select(0), kInstructions | kInt);
  ASSERT_TRUE(pmu->write_msr(event_select(0), kBranches, Initiator::kGuest).is_done());
  perf.count(1);
  EXPECT_EQ(status_msr(), 0u);
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 0);
}

TEST_F(Pitfall, P21_AdaptivePebsIsNeverOffered) {
  constexpr std::uint64_t kPebsFormat = 0xf00, kPebsBaseline = bit(14);
  for (const silicon::x86::CpuModel* model : silicon::x86::cpu_models()) {
    silicon::x86::CpuModel generous = *model;
    if (model->vendor == Vendor::kIntel) generous.pmu.perf_capabilities = ~std::uint64_t{0};
    EXPECT_EQ(guest_pmu(generous).perf_capabilities & (kPebsFormat | kPebsBaseline), 0u);
  }
  EXPECT_EQ(read(msr::IA32_PEBS_ENABLE), Access::fault());
  EXPECT_EQ(read(msr::MSR_PEBS_DATA_CFG), Access::fault());
  EXPECT_EQ(try_write(event_select(0), bit(34)), Access::fault());
}

// Does not apply as such: a machine has one CPU model, all host CPUs of which are alike, so there
// is no hybrid host whose cores could disagree. What is left of it: a guest gets no more than the
// model has, whatever the caps.
TEST_F(Pitfall, P22_GuestIsOfferedNoMoreThanEveryCoreOfItsHostHas) {
  for (const silicon::x86::CpuModel* model : silicon::x86::cpu_models()) {
    const PmuConfig config = guest_pmu(*model);
    EXPECT_LE(config.version, model->pmu.version);
    EXPECT_LE(config.gp_counters, model->pmu.gp_counters);
    EXPECT_LE(config.fixed_counters, model->pmu.fixed_counters);
    EXPECT_LE(config.gp_width, model->pmu.gp_width);
  }
}

TEST_F(Pitfall, P23_AmdHasFourCountersOrNone) {
  silicon::x86::CpuModel model{};
  model.vendor = Vendor::kAmd;
  for (std::uint8_t counters = 0; counters <= 8; ++counters) {
    model.pmu = {.version = 2, .gp_counters = counters, .gp_width = 48};
    const PmuConfig config = guest_pmu(model);
    EXPECT_TRUE(possible(config));
    EXPECT_EQ(config.version == 0, counters < 4) << unsigned{counters};
    PmuConfig fewer = kAmdV2;
    fewer.gp_counters = counters;
    EXPECT_EQ(possible(fewer), counters >= 4 && counters <= 6) << unsigned{counters};
  }
}

// What speculation does is beyond a test. What can be tested: no index that a guest can name
// reaches anything but its own counters, in either direction.
TEST_F(Pitfall, P24_IndicesThatAGuestControlsStayInsideItsCounters) {
  for (const PmuConfig& config : {kVersion2, intel_config(5), kAmdV2}) {
    make(config);
    const std::uint64_t counters = config.gp_counters;
    std::uint64_t readable = 0;
    for (std::uint64_t low = 0; low < 0x1'0000; ++low) {
      readable += pmu->rdpmc(static_cast<std::uint32_t>(low), true).is_done() ? 1 : 0;
    }
    EXPECT_EQ(readable, counters);
    std::uint64_t fixed = 0;
    for (std::uint64_t low = 0; low < 0x1'0000; ++low) {
      const auto ecx = static_cast<std::uint32_t>(0x4000'0000 | low);
      fixed += pmu->rdpmc(ecx, true).is_done() ? 1 : 0;
    }
    EXPECT_EQ(fixed, config.fixed_counters);
  }
}

TEST_F(Pitfall, P25_DebugControlAndMiscEnableDropKeepOrFaultBitByBit) {
  const std::uint64_t misc = read(msr::IA32_MISC_ENABLE).value();
  for (unsigned n = 0; n < 64; ++n) {
    const bool dropped = n < 2;
    EXPECT_EQ(try_write(msr::IA32_DEBUGCTL, bit(n)), dropped ? Access::done() : Access::fault())
        << n;
    EXPECT_EQ(read(msr::IA32_DEBUGCTL), Access::done(0));
    const bool faults = n == 11 || n == 12;
    const bool kept = faults || n == 7;
    EXPECT_EQ(try_write(msr::IA32_MISC_ENABLE, misc ^ bit(n)),
              faults ? Access::fault() : Access::done())
        << n;
    EXPECT_EQ(read(msr::IA32_MISC_ENABLE), Access::done(kept ? misc : misc ^ bit(n))) << n;
    EXPECT_EQ(try_write(msr::IA32_MISC_ENABLE, misc), Access::done());
  }
}

// Restored state may hold what a guest may not write; writing the same again must fault all the
// same.
TEST_F(Pitfall, P26_ReservedBitsAreCheckedBeforeEquality) {
  EXPECT_EQ(try_write(msr::IA32_PERF_GLOBAL_STATUS, status_msr()), Access::fault());
  EXPECT_EQ(try_write(msr::IA32_PERF_CAPABILITIES, bit(13)), Access::fault());
  write(event_select(0), kInstructions);
  EXPECT_EQ(try_write(event_select(0), kInstructions | bit(63)), Access::fault());
  EXPECT_EQ(try_write(event_select(0), kInstructions | bit(63)), Access::fault()) << "still";
  EXPECT_EQ(read(event_select(0)), Access::done(kInstructions));
}

TEST_F(Pitfall, P27_RestoringRunsNoSideEffectOfAGuestsWrite) {
  host_write(pmc(0), 0x8000'0000);
  EXPECT_EQ(read(pmc(0)), Access::done(0x8000'0000)) << "no sign extension";
  host_write(msr::IA32_PERF_GLOBAL_STATUS, 0x5);
  host_write(msr::IA32_PERF_GLOBAL_OVF_CTRL, 0xf);
  EXPECT_EQ(status_msr(), 0x5u) << "nothing cleared";
  make(intel_config(4));
  host_write(msr::IA32_PERF_GLOBAL_STATUS_SET, 0xf);
  EXPECT_EQ(status_msr(), 0u) << "nothing set";
  host_write(msr::IA32_PERF_CAPABILITIES, bit(13));
}

// AMD has no CPUID bit for "no PMU": the switch is the configuration, for MSRs and RDPMC alike.
TEST_F(Pitfall, P28_PmuThatIsOffIsOffOnAmdToo) {
  make(no_pmu(Vendor::kAmd));
  write(k7_select(0), 0xc0 | kEn | kOs);
  perf.count(5);
  emulate();
  EXPECT_EQ(read(k7_counter(0)), Access::done(0));
  EXPECT_EQ(read(k7_select(0)), Access::done(0));
  EXPECT_EQ(read(core_counter(0)), Access::fault());
  EXPECT_EQ(pmu->rdpmc(0, true), Access::fault());
  EXPECT_EQ(perf.open_events(), 0u);
}

TEST_F(Pitfall, P29_TransactionBitsFollowHleAndRtmInCpuid) {
  constexpr std::uint32_t kHle = 1u << 4, kRtm = 1u << 11;
  for (const silicon::x86::CpuModel* model : silicon::x86::cpu_models()) {
    if (model->vendor != Vendor::kIntel) continue;
    for (const bool tsx : {false, true}) {
      silicon::x86::CpuModel with = *model;
      with.tsx = tsx;
      make(guest_pmu(with));
      silicon::x86::CpuidResult leaf{~0u, ~0u, ~0u, ~0u};
      pmu->adjust_cpuid(0x7, leaf);
      EXPECT_EQ((leaf.ebx & (kHle | kRtm)) != 0, tsx) << "CPUID";
      EXPECT_EQ(leaf.ebx | kHle | kRtm, ~0u) << "no other bit matters";
      EXPECT_EQ(try_write(event_select(0), bit(32)).is_done(), tsx) << "event select";
    }
  }
}

// Bits 35:32: part of the event on AMD, IN_TX and IN_TXCP on Intel.
TEST_F(Pitfall, P30_VendorsDoNotShareAMaskOfTheEvent) {
  PmuConfig tsx = kVersion2;
  tsx.tsx = true;
  make(tsx);
  write(event_select(2), kInstructions | bit(33));
  EXPECT_EQ(perf.of(2)->attr.config, 0xc0 | bit(33));
  EXPECT_EQ(perf.of(2)->attr.period, 0u) << "IN_TXCP";
  EXPECT_EQ(try_write(event_select(2), kInstructions | bit(35)), Access::fault());
  make(kAmdV2);
  write(core_select(2), 0xc0 | kEn | kOs | 0xfULL << 32);
  EXPECT_EQ(perf.of(2)->attr.config, 0xc0 | 0xfULL << 32);
  EXPECT_EQ(perf.of(2)->attr.period, kTurn48) << "event FC0 overflows like any other";
}

// The host's share of a turn and the credited share overflow once between them, whichever completes
// it.
TEST_F(Pitfall, P31_TurnThatHostAndCreditCompleteTogetherOverflowsOnce) {
  for (const std::uint64_t by_host : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}}) {
    make(kVersion2);
    sink = {};
    write(full_pmc(0), kTurn48 - 2);
    write(event_select(0), kInstructions | kInt);
    perf.count(by_host);
    if (by_host < 2) {
      for (std::uint64_t n = by_host; n < 2; ++n) emulate();
    }
    pmu->before_entry();
    emulate();
    pmu->before_entry();
    EXPECT_EQ(sink.raised, 1) << by_host;
    EXPECT_EQ(status_msr(), 1u);
    EXPECT_EQ(pmu->statistics().overflows, 1u);
    EXPECT_EQ(read(pmc(0)), Access::done(1));
  }
}

TEST_F(Pitfall, P31_HostOverflowWhoseSignalIsLateIsNotCreditedAsWell) {
  write(full_pmc(0), kTurn48 - 2);
  write(event_select(0), kInstructions | kInt);
  perf.of(0)->count += 2;  // the signal has not come yet
  emulate();
  EXPECT_EQ(pmu->statistics().overflows, 0u) << "the credit completed no turn";
  pmu->on_overflow(hostperf::EventId{0}, 0);
  pmu->before_entry();
  EXPECT_EQ(pmu->statistics().overflows, 1u);
  EXPECT_EQ(sink.raised, 1);
  EXPECT_EQ(read(pmc(0)), Access::done(1));
}

}  // namespace
}  // namespace vpmu::virt::x86
