// SPDX-License-Identifier: MIT
//
// Where a guest's last branch records are, and that nobody else sees them.
#include "unit/hostperf/small_lbr.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"

namespace vpmu::hostperf {
namespace {

constexpr MsrIndex kSelect = silicon::x86::msr::MSR_LBR_SELECT;
constexpr MsrIndex kTos = silicon::x86::msr::MSR_LASTBRANCH_TOS;
constexpr LbrState kClear{.depth = 4};

constexpr unsigned from_of(unsigned record) {
  return raw(kFourRecords.from) + record;
}

/// Whatever registers there are, through the host perf, of a guest that has them now.
std::vector<std::uint64_t> all_readable(SmallLbrHost& host, EventId guest) {
  std::vector<std::uint64_t> values;
  for (const MsrIndex first : {kFourRecords.from, kFourRecords.to, kFourRecords.info}) {
    for (unsigned n = 0; n < kFourRecords.depth; ++n) {
      values.push_back(host.perf->read_lbr(guest, record_msr(first, n)).value().value());
    }
  }
  values.push_back(host.perf->read_lbr(guest, kSelect).value().value());
  values.push_back(host.perf->read_lbr(guest, kTos).value().value());
  return values;
}

bool all_zero(const std::vector<std::uint64_t>& values) {
  return std::ranges::all_of(values, [](std::uint64_t value) { return value == 0; });
}

// ---- Access -------------------------------------------------------------------------------------

TEST(LbrRecords, AreReadAndWrittenInTheUnitWhileTheEventIsActive) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  host.branch(0, 0x4000);
  EXPECT_EQ(host.perf->read_lbr(guest, kTos), Access::done(1)) << "one further";
  EXPECT_EQ(host.perf->read_lbr(guest, MsrIndex{from_of(1)}), Access::done(0x4000));
  EXPECT_EQ(host.perf->write_lbr(guest, MsrIndex{from_of(3)}, 0x5000), Access::done());
  EXPECT_EQ(host.unit(0).read(MsrIndex{from_of(3)}), 0x5000u);
}

TEST(LbrRecords, FaultForWhatTheRegistersDoNotTake) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  EXPECT_EQ(host.perf->read_lbr(guest, MsrIndex{from_of(4)}), Access::fault());
  EXPECT_EQ(host.perf->write_lbr(guest, MsrIndex{from_of(4)}, 0), Access::fault());
  EXPECT_EQ(host.perf->write_lbr(guest, kSelect, std::uint64_t{1} << 10), Access::fault());
  EXPECT_EQ(host.perf->write_lbr(guest, MsrIndex{from_of(0)}, std::uint64_t{1} << 60),
            Access::fault());
  EXPECT_TRUE(all_zero(all_readable(host, guest)));
}

TEST(LbrRecords, CannotBeAccessedUnlessTheEventIsActive) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.open(kGuestLbr, task(0));
  const auto accessible = [&] {
    const bool read = host.perf->read_lbr(guest, kSelect).has_value();
    EXPECT_EQ(host.perf->write_lbr(guest, kSelect, 0).has_value(), read);
    return read;
  };
  EXPECT_FALSE(accessible()) << "off";
  host.perf->enable(guest);
  EXPECT_TRUE(accessible());
  host.off(0);
  EXPECT_FALSE(accessible()) << "inactive";
  host.on(0, 0);
  host.start(branch_stack(kBranchAny, true), cpu(0));
  EXPECT_FALSE(accessible()) << "in error";
}

// ---- Where they are -----------------------------------------------------------------------------

TEST(LbrRecords, OfANewEventAreClear) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.open(kGuestLbr, task(0));
  EXPECT_EQ(host.perf->lbr_state(guest), kClear);
  host.perf->enable(guest);
  EXPECT_EQ(host.perf->lbr_state(guest), kClear);
  EXPECT_TRUE(all_zero(all_readable(host, guest)));
}

TEST(LbrRecords, AreTheSameWhereverTheyAre) {
  SmallLbrHost host{2, 2};
  const EventId guest = host.start(kGuestLbr, task(0));
  ASSERT_TRUE(host.perf->write_lbr(guest, kSelect, mask_of(LbrSelect::kJcc))->is_done());
  for (const std::uint64_t from : {0x1000u, 0x2000u, 0x3000u, 0x4000u, 0x5000u}) {
    host.call(0, from);
  }
  const LbrState before = host.perf->lbr_state(guest);
  EXPECT_EQ(recorded(kFourRecords, before), (Addresses{0x5000, 0x4000, 0x3000, 0x2000}));
  EXPECT_EQ(before.select, mask_of(LbrSelect::kJcc));
  const auto same = [&] { return host.perf->lbr_state(guest) == before; };

  host.off(0);
  EXPECT_TRUE(same()) << "the task is on no CPU";
  host.on(0, 0);
  EXPECT_TRUE(same());
  host.on(0, 1);
  EXPECT_TRUE(same()) << "on another CPU";
  host.perf->disable(guest);
  EXPECT_TRUE(same()) << "off";
  host.perf->enable(guest);
  EXPECT_TRUE(same());
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(1));
  host.branch(1, 0xbad000);
  EXPECT_TRUE(same()) << "the host has the unit";
  host.perf->close(profiler);
  EXPECT_TRUE(same()) << "nobody has it";
  host.perf->enable(guest);
  EXPECT_TRUE(same()) << "it came back";
  EXPECT_EQ(host.perf->state(guest), EventState::kActive);
}

TEST(LbrRecords, OfTheHostAreNeverTheGuests) {
  constexpr std::uint64_t kPlanted = 0xfeed'0000;
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(0));
  for (unsigned n = 0; n < 10; ++n) host.branch(0, kPlanted + n * 16);
  EXPECT_EQ(host.perf->lbr_state(guest), kClear);
  EXPECT_FALSE(host.perf->read_lbr(guest, kTos));
  host.perf->close(profiler);
  EXPECT_EQ(host.unit(0).save(), kClear) << "gone with the event";
  EXPECT_EQ(host.perf->lbr_state(guest), kClear);
  host.perf->enable(guest);
  EXPECT_TRUE(all_zero(all_readable(host, guest)));
}

TEST(LbrRecords, OfAGuestAreNeverAnothers) {
  SmallLbrHost host{2, 1};
  const EventId first = host.start(kGuestLbr, task(0));
  const EventId second = host.start(kGuestLbr, task(1));
  host.perf->write_lbr(first, kSelect, mask_of(LbrSelect::kFarBranch));
  for (unsigned n = 1; n < 10; ++n) host.branch(0, n << 12);
  host.on(1, 0);
  EXPECT_TRUE(all_zero(all_readable(host, second)));
  host.branch(0, 0x77000);
  host.on(0, 0);
  EXPECT_EQ(recorded(kFourRecords, host.perf->lbr_state(first)),
            (Addresses{0x9000, 0x8000, 0x7000, 0x6000}));
  host.on(1, 0);
  EXPECT_EQ(recorded(kFourRecords, host.perf->lbr_state(second)), Addresses{0x77000});
}

TEST(LbrRecords, OfAGuestAreNotTheHosts) {
  SmallLbrHost host{1, 1};
  host.start(kGuestLbr, task(0));
  host.branch(0, 0x1000);
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(0));
  EXPECT_EQ(host.seen(profiler), Addresses{});
}

TEST(LbrRecords, GoWithTheEvent) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  host.branch(0, 0x1000);
  host.perf->close(guest);
  const EventId next = host.start(kGuestLbr, task(0));
  ASSERT_EQ(next, guest) << "at the same place";
  EXPECT_EQ(host.perf->lbr_state(next), kClear);
  host.perf->close(next);
  const EventId last = host.open(kGuestLbr, task(0));
  EXPECT_EQ(host.perf->lbr_state(last), kClear);
}

TEST(LbrRecords, OfAnEventOfTheCpuDoNotStayForAnotherGuest) {
  SmallLbrHost host{2, 1};
  const EventId guest = host.start(kGuestLbr, cpu(0));
  host.branch(0, 0x1000);
  EXPECT_EQ(recorded(kFourRecords, host.perf->lbr_state(guest)), Addresses{0x1000});
  host.on(1, 0);
  EXPECT_TRUE(all_zero(all_readable(host, guest)));
  host.branch(0, 0x2000);
  host.perf->disable(guest);
  EXPECT_EQ(host.perf->lbr_state(guest), kClear);
  host.on(0, 0);
  host.perf->enable(guest);
  EXPECT_TRUE(all_zero(all_readable(host, guest)));
}

// ---- set_lbr_state() ----------------------------------------------------------------------------

LbrState some_state() {
  LbrState state{.select = 0x1, .tos = 2, .depth = 4, .cycle = 5};
  for (unsigned n = 0; n < 4; ++n) state.records[n] = {n * 0x100 + 1, n * 0x100 + 2, n};
  return state;
}

TEST(LbrRecords, CanBeSetWhereverTheyAre) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.open(kGuestLbr, task(0));
  const LbrState state = some_state();
  EXPECT_TRUE(host.perf->set_lbr_state(guest, state)) << "off";
  EXPECT_EQ(host.perf->lbr_state(guest), state);
  host.perf->enable(guest);
  EXPECT_EQ(host.perf->lbr_state(guest), state);
  EXPECT_EQ(host.unit(0).save(), state);

  EXPECT_TRUE(host.perf->set_lbr_state(guest, kClear)) << "active";
  EXPECT_EQ(host.unit(0).save(), kClear);
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(0));
  const LbrState hosts = host.unit(0).save();
  EXPECT_TRUE(host.perf->set_lbr_state(guest, state)) << "in error";
  EXPECT_EQ(host.unit(0).save(), hosts);
  host.perf->close(profiler);
  host.perf->enable(guest);
  EXPECT_EQ(host.unit(0).save(), state);
}

TEST(LbrRecords, ThatWereSetReplaceWhatTheUnitStillHolds) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  host.branch(0, 0x1000);
  host.off(0);
  LbrState state = host.perf->lbr_state(guest);
  state.select = mask_of(LbrSelect::kNearRet);  // all else, the newest record too, is the same
  EXPECT_TRUE(host.perf->set_lbr_state(guest, state));
  host.on(0, 0);
  EXPECT_EQ(host.perf->read_lbr(guest, kSelect), Access::done(state.select));
}

TEST(LbrRecords, AreNotSetToWhatTheRegistersCannotHold) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.open(kGuestLbr, task(0));
  const LbrState state = some_state();
  ASSERT_TRUE(host.perf->set_lbr_state(guest, state));
  LbrState wrong = kClear;
  wrong.depth = 8;
  LbrState reserved = kClear;
  reserved.select = std::uint64_t{1} << 20;
  LbrState tos = kClear;
  tos.tos = 4;
  for (const LbrState& bad : {wrong, reserved, tos}) {
    EXPECT_FALSE(host.perf->set_lbr_state(guest, bad));
    EXPECT_EQ(host.perf->lbr_state(guest), state);
  }
  host.perf->enable(guest);
  for (const LbrState& bad : {wrong, reserved, tos}) {
    EXPECT_FALSE(host.perf->set_lbr_state(guest, bad));
    EXPECT_EQ(host.perf->lbr_state(guest), state);
  }
}

// ---- Snapshots ----------------------------------------------------------------------------------

TEST(LbrRecords, ComeBackFromASnapshotHoweverItIsPutTogether) {
  SmallLbrHost host{2, 1};
  const EventId first = host.start(kGuestLbr, task(0));
  const EventId second = host.start(kGuestLbr, task(1));
  host.retire(0, 7);
  host.branch(0, 0x1000);
  host.on(1, 0);
  host.branch(0, 0x2000);
  const std::array states{host.perf->lbr_state(first), host.perf->lbr_state(second)};
  const HostCpuState cpu_state = host.perf->save(HostCpu{0});

  for (const bool cpu_before_records : {true, false}) {
    SmallLbrHost copy{2, 1};
    const std::array events{copy.start(kGuestLbr, task(0)), copy.start(kGuestLbr, task(1))};
    if (cpu_before_records) copy.perf->restore(HostCpu{0}, cpu_state);
    for (std::size_t n = 0; n < 2; ++n) {
      EXPECT_TRUE(copy.perf->set_lbr_state(events[n], states[n]));
      copy.perf->set_past(events[n], host.perf->past(n == 0 ? first : second));
    }
    if (!cpu_before_records) copy.perf->restore(HostCpu{0}, cpu_state);
    for (std::size_t n = 0; n < 2; ++n) {
      EXPECT_EQ(copy.perf->lbr_state(events[n]), states[n]);
      EXPECT_EQ(copy.perf->past(events[n]), host.perf->past(n == 0 ? first : second));
    }
    EXPECT_EQ(copy.unit(0).save(), states[1]) << "vCPU 1 is on the CPU";
    copy.on(0, 0);
    EXPECT_EQ(copy.unit(0).save(), states[0]);
  }
}

TEST(LbrRecords, OfAProfilerAreEmptyAfterASnapshot) {
  SmallLbrHost host{1, 1};
  const EventId profiler = host.start(branch_stack(kBranchAny), cpu(0));
  host.start(branch_stack(kBranchCall), cpu(0));
  host.branch(0, 0x1000);
  EXPECT_EQ(host.seen(profiler), Addresses{0x1000});
  const HostCpuState state = host.perf->save(HostCpu{0});
  SmallLbrHost copy{1, 1};
  const EventId calls_copy = copy.start(branch_stack(kBranchAny), cpu(0));
  copy.start(branch_stack(kBranchCall), cpu(0));
  copy.perf->restore(HostCpu{0}, state);
  EXPECT_EQ(copy.perf->state(calls_copy), EventState::kActive);
  EXPECT_EQ(copy.seen(calls_copy), Addresses{});
}

}  // namespace
}  // namespace vpmu::hostperf
