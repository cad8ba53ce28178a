// SPDX-License-Identifier: MIT
//
// Last branch records when tasks change on a host CPU: what is saved, put back and left out, and
// how many registers that takes.
#include "unit/hostperf/small_lbr.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"

namespace vpmu::hostperf {
namespace {

constexpr MsrIndex kSelect = silicon::x86::msr::MSR_LBR_SELECT;
constexpr std::uint64_t kCallStack = 0x3c5;

// FROM, TO and INFO of each record; LBR_SELECT and LBR_TOS.
constexpr std::uint64_t kAllMsrs = 4 * 3 + 2;

TEST(LbrSwitch, LbrSelectComesBackWithTheRecords) {
  SmallLbrHost host{2, 1};
  const EventId first = host.start(kGuestLbr, task(0));
  const EventId second = host.start(kGuestLbr, task(1));
  constexpr std::uint64_t kFilter = mask_of(LbrSelect::kJcc, LbrSelect::kCplEq0);
  ASSERT_TRUE(host.perf->write_lbr(first, kSelect, kFilter)->is_done());
  host.on(1, 0);
  EXPECT_EQ(host.perf->read_lbr(second, kSelect), Access::done(0)) << "not the other's";
  ASSERT_TRUE(host.perf->write_lbr(second, kSelect, kCallStack)->is_done());
  host.on(0, 0);
  EXPECT_EQ(host.perf->read_lbr(first, kSelect), Access::done(kFilter));
  host.branch(0, 0x1000, BranchType::kConditional);
  host.branch(0, 0x2000, BranchType::kDirectJump);
  EXPECT_EQ(recorded(kFourRecords, host.perf->lbr_state(first)), Addresses{0x2000})
      << "and it filters";
  host.on(1, 0);
  EXPECT_EQ(host.perf->read_lbr(second, kSelect), Access::done(kCallStack));
}

TEST(LbrSwitch, ARingIsSavedCompletelyThoughAnEntryIsEmpty) {
  SmallLbrHost host{2, 1};
  const EventId first = host.start(kGuestLbr, task(0));
  host.start(kGuestLbr, task(1));
  for (const std::uint64_t from : {0x1000u, 0x2000u, 0x3000u, 0x4000u}) host.branch(0, from);
  // LBR_TOS is 0 now: the record before the newest is 3.
  const MsrIndex second_newest = record_msr(kFourRecords.from, 3);
  ASSERT_TRUE(host.perf->write_lbr(first, second_newest, 0)->is_done());
  const LbrState before = host.perf->lbr_state(first);
  host.on(1, 0);
  EXPECT_EQ(host.switches(0).saved_msrs, kAllMsrs);
  host.branch(0, 0x9000);
  host.on(0, 0);
  EXPECT_EQ(host.perf->lbr_state(first), before);
  EXPECT_EQ(recorded(kFourRecords, before), (Addresses{0x4000, 0x2000, 0x1000}));
}

TEST(LbrSwitch, ACallStackIsSavedUpToItsEnd) {
  SmallLbrHost host{2, 1};
  const EventId first = host.start(kGuestLbr, task(0));
  host.start(kGuestLbr, task(1));
  ASSERT_TRUE(host.perf->write_lbr(first, kSelect, kCallStack)->is_done());
  host.call(0, 0x1000);
  host.call(0, 0x2000);
  host.call(0, 0x3000);
  host.branch(0, 0x3500, BranchType::kReturn);
  const LbrState before = host.perf->lbr_state(first);
  ASSERT_EQ(recorded(kFourRecords, before), (Addresses{0x2000, 0x1000}));
  host.on(1, 0);
  EXPECT_EQ(host.switches(0).saved_msrs, 2 * 3 + 2u);
  host.call(0, 0x9000);
  host.on(0, 0);
  EXPECT_EQ(host.perf->lbr_state(first), before);
  EXPECT_EQ(host.switches(0).restored_msrs, kAllMsrs) << "the rest is cleared";
}

TEST(LbrSwitch, WhatIsBehindTheEndOfACallStackIsGoneHoweverTheTaskComesBack) {
  for (const bool another_between : {false, true}) {
    SmallLbrHost host{2, 1};
    const EventId first = host.start(kGuestLbr, task(0));
    host.start(kGuestLbr, task(1));
    for (const std::uint64_t from : {0x1000u, 0x2000u, 0x3000u, 0x4000u}) host.branch(0, from);
    host.perf->write_lbr(first, record_msr(kFourRecords.from, 3), 0);
    host.perf->write_lbr(first, kSelect, kCallStack);
    host.off(0);
    if (another_between) host.on(1, 0);
    host.on(0, 0);
    EXPECT_EQ(recorded(kFourRecords, host.perf->lbr_state(first)), Addresses{0x4000});
  }
}

// ---- Registers that need not be put back --------------------------------------------------------

TEST(LbrSwitch, NothingIsPutBackIfTheSameTaskComesAgain) {
  SmallLbrHost host{2, 1};
  const EventId first = host.start(kGuestLbr, task(0));
  host.branch(0, 0x1000);
  const LbrState before = host.perf->lbr_state(first);
  const LbrSwitches at_first = host.switches(0);
  host.off(0);
  host.on(1, 0);  // has no such event
  host.on(0, 0);
  EXPECT_EQ(host.perf->lbr_state(first), before);
  const LbrSwitches& now = host.switches(0);
  EXPECT_EQ(now.switches - at_first.switches, 2u) << "its leaving and its coming";
  EXPECT_EQ(now.saved_msrs - at_first.saved_msrs, kAllMsrs);
  EXPECT_EQ(now.skipped_restores, 1u);
  EXPECT_EQ(now.restored_msrs, 0u);
  EXPECT_EQ(now.resets, at_first.resets);
}

TEST(LbrSwitch, RegistersArePutBackIfSomebodyElseHadTheUnit) {
  SmallLbrHost host{2, 1};
  const EventId first = host.start(kGuestLbr, task(0));
  host.start(kGuestLbr, task(1));
  host.branch(0, 0x1000);
  const LbrState before = host.perf->lbr_state(first);
  host.on(1, 0);
  // The other one makes its newest record look the same.
  host.branch(0, 0x1000);
  host.unit(0).write(kSelect, mask_of(LbrSelect::kJcc));
  host.on(0, 0);
  EXPECT_EQ(host.perf->lbr_state(first), before);
  EXPECT_EQ(host.switches(0).skipped_restores, 0u);
  EXPECT_EQ(host.switches(0).restored_msrs, kAllMsrs);
}

TEST(LbrSwitch, RegistersArePutBackIfAProfilerHadTheUnit) {
  SmallLbrHost host{1, 1};
  const EventId first = host.start(kGuestLbr, task(0));
  host.branch(0, 0x1000);
  const LbrState before = host.perf->lbr_state(first);
  host.off(0);
  host.perf->close(host.start(branch_stack(kBranchAny), cpu(0)));
  host.on(0, 0);
  EXPECT_EQ(host.perf->lbr_state(first), before);
  EXPECT_EQ(host.switches(0).skipped_restores, 0u);
}

TEST(LbrSwitch, RegistersArePutBackIfTheTaskWasOnAnotherCpuSince) {
  SmallLbrHost host{1, 2};
  const EventId guest = host.start(kGuestLbr, task(0));
  host.branch(0, 0x1000);
  host.on(0, 1);
  host.branch(1, 0x2000);
  host.on(0, 0);
  EXPECT_EQ(recorded(kFourRecords, host.perf->lbr_state(guest)), (Addresses{0x2000, 0x1000}));
  EXPECT_EQ(host.switches(0).skipped_restores, 0u) << "what is still there is too old";
  EXPECT_EQ(host.switches(0).restored_msrs, kAllMsrs);
  EXPECT_EQ(host.switches(1).restored_msrs, kAllMsrs);
}

TEST(LbrSwitch, RegistersThatChangedOnAnotherCpuArePutBackThoughTheNewestRecordDidNot) {
  SmallLbrHost host{1, 2};
  const EventId guest = host.start(kGuestLbr, task(0));
  host.branch(0, 0x1000);
  host.on(0, 1);
  ASSERT_TRUE(host.perf->write_lbr(guest, kSelect, mask_of(LbrSelect::kJcc))->is_done());
  host.on(0, 0);
  EXPECT_EQ(host.perf->read_lbr(guest, kSelect), Access::done(mask_of(LbrSelect::kJcc)));
  EXPECT_EQ(host.switches(0).skipped_restores, 0u);
}

TEST(LbrSwitch, RegistersArePutBackIfTheCpuHasLostThem) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  host.branch(0, 0x1000);
  const LbrState before = host.perf->lbr_state(guest);
  host.off(0);
  host.unit(0).reset();  // as a deep sleep does
  host.on(0, 0);
  EXPECT_EQ(host.perf->lbr_state(guest), before);
  EXPECT_EQ(host.switches(0).skipped_restores, 0u);
}

// ---- Cost ---------------------------------------------------------------------------------------

TEST(LbrSwitch, AUnitThatNobodyUsesCostsNothing) {
  SmallLbrHost host{2, 1};
  host.start({.config = kBranches}, task(0));
  for (int n = 0; n < 5; ++n) {
    host.on(1, 0);
    host.on(0, 0);
  }
  EXPECT_EQ(host.switches(0), LbrSwitches{});
}

TEST(LbrSwitch, ANewOwnerCostsOneReset) {
  SmallLbrHost host{1, 1};
  host.start(kGuestLbr, task(0));
  EXPECT_EQ(host.switches(0), LbrSwitches{.resets = 1});
}

TEST(LbrSwitch, RecordsWithoutInfoMoveFewerRegisters) {
  LbrModel without_info = kFourRecords;
  without_info.format = silicon::x86::LbrFormat::kEipFlags;
  without_info.info = MsrIndex{0};
  SmallLbrHost host{2, 1, 1'000, small_model(without_info)};
  host.start(kGuestLbr, task(0));
  host.start(kGuestLbr, task(1));
  host.on(1, 0);
  host.on(0, 0);
  EXPECT_EQ(host.switches(0).saved_msrs, 2 * (4 * 2 + 2u));
  EXPECT_EQ(host.switches(0).restored_msrs, 4 * 2 + 2u);
}

// ---- Cycles -------------------------------------------------------------------------------------

std::uint64_t cycles_of_newest(SmallLbrHost& host, std::uint64_t vcpu_cycle) {
  host.unit(0).record({.from = 1, .to = 2, .cycle = vcpu_cycle, .ends_in = Privilege::kUser});
  return silicon::x86::LbrInfo{{host.unit(0).newest(0).info}}.get(silicon::x86::LbrInfo::kCycles);
}

TEST(LbrSwitch, CyclesAreCountedByTheVcpusOwnClock) {
  SmallLbrHost host{2, 1};
  host.retire(0, 1'000);
  host.start(kGuestLbr, task(0));
  host.start(kGuestLbr, task(1));
  EXPECT_EQ(cycles_of_newest(host, 1'010), 10u) << "since it got the unit";
  host.retire(0, 10);
  host.on(1, 0);
  EXPECT_EQ(cycles_of_newest(host, 3), 3u);
  host.on(0, 0);
  EXPECT_EQ(cycles_of_newest(host, 1'015), 5u) << "since its last branch";
}

TEST(LbrSwitch, CyclesOfAProfilersRecordsBeginWithTheTask) {
  SmallLbrHost host{2, 1};
  host.retire(0, 500);
  host.start(branch_stack(kBranchAny, true), cpu(0));
  EXPECT_EQ(cycles_of_newest(host, 520), 20u);
  host.retire(1, 40);
  host.on(1, 0);
  EXPECT_EQ(cycles_of_newest(host, 42), 2u);
}

// ---- Architectural ------------------------------------------------------------------------------

TEST(LbrSwitch, ArchitecturalRecordsMoveWithLbrCtlAndLbrDepth) {
  using silicon::x86::LbrCtl;
  namespace msr = silicon::x86::msr;
  SmallLbrHost host{2, 1, 1'000, small_model(kArchitecturalRecords)};
  const EventId first = host.start(kGuestLbr, task(0));
  const EventId second = host.start(kGuestLbr, task(1));
  constexpr std::uint64_t kCtl =
      mask_of(LbrCtl::kEn, LbrCtl::kOs, LbrCtl::kUsr, LbrCtl::kJcc, LbrCtl::kNearRelCall);
  ASSERT_TRUE(host.perf->write_lbr(first, msr::IA32_LBR_DEPTH, 8)->is_done());
  ASSERT_TRUE(host.perf->write_lbr(first, msr::IA32_LBR_CTL, kCtl)->is_done());
  host.branch(0, 0x1000);
  host.branch(0, 0x2000);
  const LbrState before = host.perf->lbr_state(first);
  host.on(1, 0);
  EXPECT_EQ(host.switches(0).saved_msrs, 8 * 3 + 2u);
  EXPECT_EQ(host.perf->lbr_state(second), LbrState{.depth = 16});
  EXPECT_FALSE(host.unit(0).enabled());
  host.on(0, 0);
  EXPECT_EQ(host.perf->read_lbr(first, msr::IA32_LBR_CTL), Access::done(kCtl));
  EXPECT_EQ(host.perf->read_lbr(first, msr::IA32_LBR_DEPTH), Access::done(8));
  EXPECT_EQ(host.perf->lbr_state(first), before);
  EXPECT_EQ(recorded(kArchitecturalRecords, before), (Addresses{0x2000, 0x1000}));
}

TEST(LbrSwitch, ArchitecturalCallStacksEndWhereTheyEnd) {
  using silicon::x86::LbrCtl;
  namespace msr = silicon::x86::msr;
  SmallLbrHost host{2, 1, 1'000, small_model(kArchitecturalRecords)};
  const EventId first = host.start(kGuestLbr, task(0));
  host.start(kGuestLbr, task(1));
  ASSERT_TRUE(host.perf
                  ->write_lbr(first, msr::IA32_LBR_CTL,
                              mask_of(LbrCtl::kEn, LbrCtl::kUsr, LbrCtl::kCallStack,
                                      LbrCtl::kNearRelCall, LbrCtl::kNearRet))
                  ->is_done());
  host.call(0, 0x1000);
  host.call(0, 0x2000);
  const LbrState before = host.perf->lbr_state(first);
  host.on(1, 0);
  EXPECT_EQ(host.switches(0).saved_msrs, 2 * 3 + 2u);
  host.on(0, 0);
  EXPECT_EQ(host.switches(0).restored_msrs, 16 * 3 + 2u);
  EXPECT_EQ(host.perf->lbr_state(first), before);
}

}  // namespace
}  // namespace vpmu::hostperf
