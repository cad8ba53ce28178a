// SPDX-License-Identifier: MIT
//
// Instructions that a hypervisor completes for the guest, and the gate that says which events may
// be counted.
#include "unit/virt/fake_event_gate.hpp"
#include "unit/virt/pmu_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;
using silicon::Privilege;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr std::uint64_t kTurn48 = bit(48);
constexpr auto kPlain = EmulatedInstruction::kPlain;
constexpr auto kBranch = EmulatedInstruction::kBranch;

class PmuCredit : public PmuFixture {
 protected:
  void emulate(EmulatedInstruction kind, Privilege privilege = Privilege::kKernel) {
    pmu->instruction_emulated(kind, privilege);
  }
  std::uint64_t status_msr() { return read(msr::IA32_PERF_GLOBAL_STATUS).value(); }
};

// ---- Which counters -----------------------------------------------------------------------------

TEST_F(PmuCredit, SelectorsOfInstructionsAndBranchesAreCredited) {
  struct Case {
    std::uint64_t select;
    unsigned plain, branch;
  };
  const Case intel[] = {
      {0x00c0, 1, 1},
      {0x00c4, 0, 1},
      {0x01c0, 0, 0},
      {0x01c4, 0, 0},
      {0x003c, 0, 0},
      {0x00c2, 0, 0},
      {0x00c0 | bit(18) | bit(19) | bit(23) | 0x0500'0000, 1, 1},
  };
  for (const Case& each : intel) {
    make(kVersion2);
    write(event_select(1), each.select | kEn | kOs | kUsr);
    emulate(kPlain);
    EXPECT_EQ(read(pmc(1)), Access::done(each.plain)) << std::hex << each.select;
    emulate(kBranch);
    EXPECT_EQ(read(pmc(1)), Access::done(each.plain + each.branch)) << std::hex << each.select;
  }
  const Case amd[] = {{0x00c0, 1, 1},        {0x00c2, 0, 1},        {0x00c4, 0, 0},
                      {0x1'0000'00c0, 0, 0}, {0x2'0000'00c2, 0, 0}, {0x00c0 | bit(18), 1, 1}};
  for (const Case& each : amd) {
    make(kAmdV2);
    write(core_select(1), each.select | kEn | kOs | kUsr);
    emulate(kPlain);
    emulate(kBranch);
    EXPECT_EQ(read(core_counter(1)), Access::done(each.plain + each.branch))
        << std::hex << each.select;
  }
}

TEST_F(PmuCredit, TransactionalSelectorsNeverMatch) {
  PmuConfig config = kVersion2;
  config.tsx = true;
  make(config);
  for (const unsigned transactional : {32u, 33u}) {
    write(event_select(2), kInstructions | bit(transactional));
    emulate(kPlain);
    EXPECT_EQ(read(pmc(2)), Access::done(0)) << transactional;
  }
}

TEST_F(PmuCredit, FixedCounterOfInstructionsIsCreditedAndNoOther) {
  write(msr::IA32_PERF_GLOBAL_CTRL, 0x7ULL << 32);
  write(msr::IA32_FIXED_CTR_CTRL, 0x333);
  emulate(kPlain);
  emulate(kBranch);
  EXPECT_EQ(read(fixed(0)), Access::done(2));
  EXPECT_EQ(read(fixed(1)), Access::done(0));
  EXPECT_EQ(read(fixed(2)), Access::done(0));
}

TEST_F(PmuCredit, EnablesAndPrivilegeDecide) {
  struct Case {
    std::uint64_t select;
    std::uint64_t global;
    Privilege privilege;
    unsigned credit;
  };
  const std::uint64_t en = 0xc0 | kEn;
  const Case cases[] = {
      {en | kOs, 1, Privilege::kKernel, 1},  {en | kOs, 1, Privilege::kUser, 0},
      {en | kUsr, 1, Privilege::kKernel, 0}, {en | kUsr, 1, Privilege::kUser, 1},
      {en, 1, Privilege::kKernel, 0},        {en | kOs, 0, Privilege::kKernel, 0},
      {en | kOs, 2, Privilege::kKernel, 0},  {0xc0 | kOs, 1, Privilege::kKernel, 0},
  };
  for (const Case& each : cases) {
    make(kVersion2);
    write(event_select(0), each.select);
    write(msr::IA32_PERF_GLOBAL_CTRL, each.global);
    emulate(kPlain, each.privilege);
    EXPECT_EQ(read(pmc(0)), Access::done(each.credit)) << std::hex << each.select;
  }
}

// ---- When ---------------------------------------------------------------------------------------

TEST_F(PmuCredit, EnablingWrmsrIsCreditedAndDisablingOneIsNot) {
  write(event_select(0), kInstructions);
  write(msr::IA32_PERF_GLOBAL_CTRL, 0);
  const std::uint64_t before = read(pmc(0)).value();
  write_emulated(msr::IA32_PERF_GLOBAL_CTRL, 1);
  EXPECT_EQ(read(pmc(0)), Access::done(before + 1));
  write_emulated(msr::IA32_PERF_GLOBAL_CTRL, 0);
  EXPECT_EQ(read(pmc(0)), Access::done(before + 1));
}

TEST_F(PmuCredit, CreditIsVisibleAtOnceBesideWhatTheHostCounted) {
  write(event_select(0), kInstructions);
  perf.count(10);
  emulate(kPlain);
  EXPECT_EQ(pmu->rdpmc(0, true), Access::done(11));
  perf.count(10);
  EXPECT_EQ(pmu->rdpmc(0, true), Access::done(21));
}

TEST_F(PmuCredit, CounterWithoutAHostEventIsCreditedToo) {
  perf.no_room = true;
  write(event_select(0), kInstructions);
  emulate(kPlain);
  EXPECT_EQ(read(pmc(0)), Access::done(1));
}

TEST_F(PmuCredit, HostEventOverflowsEarlierByWhatWasCredited) {
  write(full_pmc(0), kTurn48 - 10);
  write(event_select(0), kInstructions);
  perf.count(2);
  emulate(kPlain);
  emulate(kPlain);
  EXPECT_TRUE(pmu->has_entry_work());
  pmu->before_entry();
  EXPECT_EQ(perf.of(0)->attr.period, 6u);
  perf.count(5);
  EXPECT_EQ(status_msr(), 0u);
  perf.count(1);
  EXPECT_EQ(status_msr(), 1u);
}

TEST_F(PmuCredit, OverflowByCreditSetsStatusAtTheCreditAndInterruptsOnce) {
  write(full_pmc(0), kTurn48 - 1);
  write(event_select(0), kInstructions | kInt);
  emulate(kPlain);
  EXPECT_EQ(status_msr(), 1u);
  EXPECT_EQ(read(pmc(0)), Access::done(0));
  pmu->before_entry();
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 1);
  EXPECT_EQ(perf.of(0)->attr.period, kTurn48);
  EXPECT_EQ(pmu->statistics().overflows, 1u);
}

TEST_F(PmuCredit, OverflowByCreditIsKeptIfTheCounterIsStoppedBeforeTheEntry) {
  write(full_pmc(0), kTurn48 - 1);
  write(event_select(0), kInstructions | kInt);
  emulate(kPlain);
  EXPECT_EQ(pmu->write_msr(event_select(0), 0, Initiator::kGuest), Access::done());
  pmu->before_entry();
  EXPECT_EQ(status_msr(), 1u);
  EXPECT_EQ(sink.raised, 1);
}

// ---- The gate -----------------------------------------------------------------------------------

TEST_F(PmuCredit, GateStopsRunningCountersBeforeTheNextInstructionAndTheyKeepTheirValue) {
  FakeEventGate gate;
  write(event_select(0), kInstructions);
  write(msr::IA32_PERF_GLOBAL_CTRL, 1 | bit(32));
  write(msr::IA32_FIXED_CTR_CTRL, 0x3);
  perf.count(5);
  gate.denied = {{0xc0, 0x00}};
  gate.denied_fixed = 1;
  const int requests = sink.requests;
  pmu->set_event_gate(&gate);
  EXPECT_TRUE(pmu->has_entry_work());
  EXPECT_GT(sink.requests, requests);
  pmu->before_entry();
  perf.count(7);
  EXPECT_EQ(read(pmc(0)), Access::done(5));
  EXPECT_EQ(pmu->rdpmc(0x4000'0000, true), Access::done(5));
  EXPECT_EQ(read(event_select(0)), Access::done(kInstructions)) << "reads as it was written";
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kDenied);
  EXPECT_EQ(pmu->status(fixed_counter(0)), CounterStatus::kDenied);
  EXPECT_FALSE(pmu->has_entry_work()) << "a denied counter is not tried again";
  pmu->set_event_gate(nullptr);
  pmu->before_entry();
  perf.count(1);
  EXPECT_EQ(read(pmc(0)), Access::done(6)) << "it goes on from there";
}

TEST_F(PmuCredit, DeniedCounterIsNotProgrammedAtAll) {
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}};
  pmu->set_event_gate(&gate);
  write(event_select(0), kInstructions);
  EXPECT_EQ(perf.open_events(), 0u);
  write(event_select(0), kBranches);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting) << "another event is allowed";
}

TEST_F(PmuCredit, GateSeesEventAndUnitMaskAndNothingElse) {
  FakeEventGate gate;
  gate.denied = {{0x2e, 0x41}};
  pmu->set_event_gate(&gate);
  write(event_select(0), 0x412e | kEn | kOs | kInt | bit(18) | bit(23) | 0x0700'0000);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kDenied);
  write(event_select(1), 0x402e | kEn | kOs);
  EXPECT_EQ(pmu->status(gp_counter(1)), CounterStatus::kCounting);
}

TEST_F(PmuCredit, FixedCountersAndEventsAreDeniedSeparately) {
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}};
  pmu->set_event_gate(&gate);
  write(msr::IA32_PERF_GLOBAL_CTRL, 1 | bit(32));
  write(msr::IA32_FIXED_CTR_CTRL, 0x3);
  write(event_select(0), kInstructions);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kDenied);
  EXPECT_EQ(pmu->status(fixed_counter(0)), CounterStatus::kCounting);
}

TEST_F(PmuCredit, WithoutPmuAGateIsNoWork) {
  make(no_pmu(silicon::x86::Vendor::kIntel));
  FakeEventGate gate;
  pmu->set_event_gate(&gate);
  emulate(kBranch);
  EXPECT_FALSE(pmu->has_entry_work());
}

}  // namespace
}  // namespace vpmu::virt::x86
