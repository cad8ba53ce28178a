// SPDX-License-Identifier: MIT
//
// Guests of guests. Each level of hypervisors has a register file of PV perf for its guest, and
// counts for it with the registers that it has been given itself: nothing else connects them. The
// lowest counts on a modelled host.
//
// A hypervisor that is a guest turns its guest's events on and off with entries into and exits from
// it, by the MSR lists that the hardware loads there: none of its own instructions are in between.
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/virt/fake_event_gate.hpp"
#include "unit/virt/fake_pv_perf_host.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {
namespace {

using hostperf::EventAttr;
using hostperf::EventCount;
using hostperf::EventId;
using hostperf::EventState;
using hostperf::HostCpu;
using hostperf::OpenError;
using pv::BankMsr;
using pv::Evtsel;
using pv::Msr;
using silicon::Privilege;
using silicon::RawEvent;
using silicon::x86::CpuModel;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}

/// Registers, as a guest accesses them.
class Registers {
 public:
  explicit Registers(PvPerf& pv) : pv_{&pv} {}

  [[nodiscard]] std::uint64_t read(Msr which) const { return read(raw(which)); }
  void write(Msr which, std::uint64_t value) const { write(raw(which), value); }
  [[nodiscard]] std::uint64_t read(unsigned i, BankMsr which) const {
    return read(offset(i, which));
  }
  void write(unsigned i, BankMsr which, std::uint64_t value) const {
    write(offset(i, which), value);
  }
  [[nodiscard]] unsigned events() const { return pv_->config().events; }
  [[nodiscard]] std::uint64_t turn() const { return bit(pv_->config().width); }

 private:
  static std::uint32_t offset(unsigned i, BankMsr which) {
    return raw(Msr::kFirstBank) + pv::kBankMsrs * i + raw(which);
  }
  [[nodiscard]] std::uint64_t read(std::uint32_t offset) const {
    const Access access =
        pv_->read_msr(MsrIndex{pv_->config().msr_base + offset}, Initiator::kGuest);
    EXPECT_TRUE(access.is_done()) << offset;
    return access.value();
  }
  void write(std::uint32_t offset, std::uint64_t value) const {
    const Access access =
        pv_->write_msr(MsrIndex{pv_->config().msr_base + offset}, value, Initiator::kGuest);
    EXPECT_TRUE(access.is_done()) << offset << ' ' << value;
    pv_->before_entry();
  }

  PvPerf* pv_;
};

/// The host perf of a hypervisor that is a guest: events in the registers it has been given. Event
/// 0 is its own business.
class GuestHostPerf final : public hostperf::HostPerf {
 public:
  explicit GuestHostPerf(PvPerf& given) : registers_{given} {}

  /// The same registers on another host, after a migration.
  void moved_to(PvPerf& given) { registers_ = Registers{given}; }

  tl::expected<EventId, OpenError> open(const EventAttr& attr, hostperf::Target,
                                        hostperf::OverflowHandler& handler) override {
    EXPECT_TRUE(attr.pinned && attr.exclude_host);
    for (unsigned i = 1; i < registers_.events(); ++i) {
      if (slots_[i].handler != nullptr) continue;
      slots_[i] = {.handler = &handler, .cookie = attr.cookie, .evtsel = evtsel_of(attr)};
      registers_.write(i, BankMsr::kEvtsel, slots_[i].evtsel.raw);
      set_period(EventId{i}, attr.period);
      return EventId{i};
    }
    return tl::make_unexpected(OpenError::kNoSpace);
  }
  void close(EventId id) override {
    disable(id);
    registers_.write(raw(id), BankMsr::kEvtsel, 0);
    slot(id) = {};
  }
  void enable(EventId id) override {
    slot(id).lost = false;
    set_enabled(id, true);
  }
  void disable(EventId id) override { set_enabled(id, false); }
  void pause(EventId id) override { set_enabled(id, false); }
  void resume(EventId id) override { set_enabled(id, true); }

  std::optional<EventCount> read(EventId id) override {
    const Slot& read = slot(id);
    const std::uint64_t count = registers_.read(raw(id), BankMsr::kCount);
    return EventCount{.value = read.counted + ((count - read.armed_at) & (registers_.turn() - 1)),
                      .time_enabled_ns = registers_.read(raw(id), BankMsr::kTimeEn),
                      .time_running_ns = registers_.read(raw(id), BankMsr::kTimeRun)};
  }
  void set_period(EventId id, std::uint64_t period) override {
    Slot& armed = slot(id);
    armed.counted = read(id)->value;
    armed.period = period;
    armed.evtsel.set(Evtsel::kInt, period != 0 ? 1 : 0);
    armed.armed_at = period == 0 ? 0 : registers_.turn() - std::min(period, registers_.turn());
    registers_.write(raw(id), BankMsr::kCount, armed.armed_at);
    registers_.write(raw(id), BankMsr::kEvtsel, armed.evtsel.raw);
  }
  [[nodiscard]] EventState state(EventId id) const override {
    const Slot& asked = slots_[raw(id)];
    if (asked.evtsel.get(Evtsel::kEn) == 0) return EventState::kOff;
    return asked.lost ? EventState::kError : EventState::kActive;
  }
  [[nodiscard]] HostCpu cpu(EventId) const override { return HostCpu{0}; }

  /// What the MSR lists do.
  void guest_entered() { switch_guest_events(true); }
  void guest_left() {
    for (unsigned i = 1; i < registers_.events(); ++i) {
      if (slots_[i].handler == nullptr) continue;
      const pv::State was{{registers_.read(i, BankMsr::kState)}};
      slots_[i].lost |= was.get(pv::State::kNotStarted) != 0 || was.get(pv::State::kRefused) != 0;
    }
    switch_guest_events(false);
  }

  /// The hypervisor's handler of its own LVTPC's interrupt.
  void interrupted() {
    const std::uint64_t wrapped = registers_.read(Msr::kGlobalStatus) & (bit(32) - 1);
    registers_.write(Msr::kStatusReset, wrapped);
    for (unsigned i = 1; i < registers_.events(); ++i) {
      if ((wrapped >> i & 1) == 0 || slots_[i].handler == nullptr) continue;
      // The next overflow is a period behind this one.
      const std::uint64_t past = registers_.read(i, BankMsr::kCount), period = slots_[i].period;
      set_period(EventId{i}, period - past % period);
      slots_[i].period = period;
      slots_[i].handler->on_overflow(EventId{i}, slots_[i].cookie);
    }
  }
  [[nodiscard]] unsigned open_events() const {
    unsigned open = 0;
    for (const Slot& each : slots_) open += each.handler != nullptr ? 1 : 0;
    return open;
  }

 private:
  struct Slot {
    hostperf::OverflowHandler* handler = nullptr;
    std::uint64_t cookie = 0;
    Evtsel evtsel;
    std::uint64_t period = 0;
    std::uint64_t counted = 0;   ///< up to when it was armed last
    std::uint64_t armed_at = 0;  ///< COUNT then
    bool lost = false;           ///< did not count while the guest ran
  };
  Slot& slot(EventId id) { return slots_[raw(id)]; }

  /// As this hypervisor's kernel does it: what it knows as a portable event it asks for as such.
  static Evtsel evtsel_of(const EventAttr& attr) {
    struct Known {
      std::uint64_t config;
      pv::Generic event;
    };
    constexpr Known kKnown[] = {{0x00c0, pv::Generic::kInstructions},
                                {0x003c, pv::Generic::kCycles},
                                {0x00c4, pv::Generic::kBranches}};
    Evtsel evtsel;
    evtsel.set(Evtsel::kType, static_cast<std::uint64_t>(pv::Type::kRaw));
    evtsel.set(Evtsel::kCode, (attr.config & 0xff) | (attr.config >> 8 & 0xff) << 12);
    for (const Known& known : kKnown) {
      if (known.config != attr.config) continue;
      evtsel.set(Evtsel::kType, static_cast<std::uint64_t>(pv::Type::kGeneric));
      evtsel.set(Evtsel::kCode, static_cast<std::uint64_t>(known.event));
    }
    evtsel.set(Evtsel::kUsr, attr.exclude_user ? 0 : 1);
    evtsel.set(Evtsel::kOs, attr.exclude_kernel ? 0 : 1);
    return evtsel;
  }
  void set_enabled(EventId id, bool on) {
    slot(id).evtsel.set(Evtsel::kEn, on ? 1 : 0);
    registers_.write(raw(id), BankMsr::kEvtsel, slot(id).evtsel.raw);
  }
  void switch_guest_events(bool on) {
    const std::uint64_t own = registers_.read(Msr::kGlobalCtrl) & 1;
    std::uint64_t guests = 0;
    for (unsigned i = 1; i < registers_.events(); ++i) {
      if (slots_[i].handler != nullptr) guests |= bit(i);
    }
    registers_.write(Msr::kGlobalCtrl, on ? own | guests : own);
  }

  Registers registers_;
  std::array<Slot, pv::kMaxEvents> slots_{};
};

/// One hypervisor: its perf, and the register file that its guest has.
struct Level {
  Level(const PvPerfConfig& config, const CpuModel& model, hostperf::HostPerf& perf)
      : pv{config,
           {.model = &model,
            .perf = &perf,
            .vcpu = hostperf::VcpuIndex{0},
            .host = &around,
            .areas = &areas}} {
    around.on_pmi = [this] { ++interrupts; };
    pv.scheduled_in();
    pv.before_entry();
  }

  FakePvPerfHost around;
  PvPerfAreas areas;
  int interrupts = 0;  ///< that its guest has not handled yet
  PvPerf pv;
};

struct Silicon {
  explicit Silicon(const CpuModel& model) : perf{model, vcpus} {}
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array<hostperf::ModelledVcpu, 1> vcpus{hostperf::ModelledVcpu{&totals, &deadlines}};
  hostperf::ModelledHostPerf perf;
};

const CpuModel& icelake() {
  return *silicon::x86::find_cpu_model("icelake-server");
}
const CpuModel& zen4() {
  return *silicon::x86::find_cpu_model("zen4");
}
PvPerfConfig config(PvPerfRequest request) {
  request.interrupts_per_ms = 1'000'000;
  return offer_pv_perf(icelake(), request).value();
}

/// L0 with its guest L1, and so on. Every hypervisor but L0 thinks that it is on an Ice Lake.
class PvPerfNested : public testing::Test {
 protected:
  explicit PvPerfNested(unsigned depth = 2) : depth_{depth} {
    levels.push_back(std::make_unique<Level>(offers[0], icelake(), silicon->perf));
    for (unsigned n = 1; n < depth; ++n) {
      perfs.push_back(std::make_unique<GuestHostPerf>(levels.back()->pv));
      levels.push_back(std::make_unique<Level>(offers[n], icelake(), *perfs.back()));
    }
  }
  ~PvPerfNested() override {
    while (!levels.empty()) levels.pop_back();
  }
  /// What the innermost guest has.
  Level& top() { return *levels.back(); }
  Registers registers() { return Registers{top().pv}; }
  static Evtsel event(pv::Generic code, bool interrupts = false) {
    Evtsel evtsel;
    evtsel.set(Evtsel::kCode, static_cast<std::uint64_t>(code));
    evtsel.set(Evtsel::kUsr, 1);
    evtsel.set(Evtsel::kOs, 1);
    evtsel.set(Evtsel::kEn, 1);
    evtsel.set(Evtsel::kInt, interrupts ? 1 : 0);
    return evtsel;
  }

  /// One instruction of whoever is running, two cycles.
  void retire(Privilege privilege) {
    silicon->totals.add(RawEvent::kInstructions, privilege, 1);
    silicon->totals.add(RawEvent::kCycles, privilege, 2);
    for (auto& level : levels) level->around.now += 2;
    silicon->deadlines.fire_due();
    if (levels[0]->pv.has_entry_work()) levels[0]->pv.before_entry();
  }
  /// Instructions of L1's.
  void run_l1(int instructions) {
    for (; instructions > 0; --instructions) retire(Privilege::kKernel);
  }
  /// Instructions of the innermost guest's.
  void run(int instructions, Privilege privilege = Privilege::kKernel) {
    enter();
    for (; instructions > 0; --instructions) {
      retire(privilege);
      if (levels[0]->interrupts == 0) continue;
      leave();
      enter();
    }
    leave();
  }
  /// From the inside to the outside: each one's changes become its hypervisor's work.
  void enter() {
    for (std::size_t n = perfs.size(); n > 0; --n) {
      if (levels[n]->pv.has_entry_work()) levels[n]->pv.before_entry();
      perfs[n - 1]->guest_entered();
    }
  }
  /// Down to L1, which handles its interrupt, then its guest, and so on.
  void leave() {
    for (std::size_t n = 0; n < perfs.size(); ++n) {
      perfs[n]->guest_left();
      if (std::exchange(levels[n]->interrupts, 0) != 0) perfs[n]->interrupted();
      if (levels[n + 1]->pv.has_entry_work()) levels[n + 1]->pv.before_entry();
    }
  }

  const unsigned depth_;
  const std::array<PvPerfConfig, 3> offers{config({.events = 8u, .pool = true}),
                                           config({.events = 6u, .msr_base = 0x40008000u}),
                                           config({.events = 4u, .width = 52u})};
  std::unique_ptr<Silicon> silicon = std::make_unique<Silicon>(icelake());
  std::vector<std::unique_ptr<GuestHostPerf>> perfs;  ///< of L1 and on
  std::vector<std::unique_ptr<Level>> levels;
};

TEST_F(PvPerfNested, CountsAreTheInnermostGuestsAlone) {
  registers().write(0, BankMsr::kEvtsel, event(pv::Generic::kInstructions).raw);
  registers().write(1, BankMsr::kEvtsel, event(pv::Generic::kCycles).raw);
  registers().write(Msr::kGlobalCtrl, 3);
  run_l1(5);
  run(100);
  run_l1(70);
  run(11);
  run_l1(9);
  EXPECT_EQ(registers().read(0, BankMsr::kCount), 111u);
  EXPECT_EQ(registers().read(1, BankMsr::kCount), 222u);
  registers().write(Msr::kGlobalCtrl, 0);
  run(50);
  EXPECT_EQ(registers().read(0, BankMsr::kCount), 111u);
  EXPECT_EQ(top().interrupts, 0);
}

TEST_F(PvPerfNested, PrivilegesAreTheInnermostGuests) {
  Evtsel user = event(pv::Generic::kInstructions);
  user.set(Evtsel::kOs, 0);
  Evtsel kernel = event(pv::Generic::kInstructions);
  kernel.set(Evtsel::kUsr, 0);
  registers().write(0, BankMsr::kEvtsel, user.raw);
  registers().write(1, BankMsr::kEvtsel, kernel.raw);
  registers().write(Msr::kGlobalCtrl, 3);
  run(30, Privilege::kUser);
  run(12, Privilege::kKernel);
  EXPECT_EQ(registers().read(0, BankMsr::kCount), 30u);
  EXPECT_EQ(registers().read(1, BankMsr::kCount), 12u);
}

TEST_F(PvPerfNested, OverflowsInterruptOnExactlyTheRightInstruction) {
  constexpr std::uint64_t kPeriod = 37;
  registers().write(0, BankMsr::kEvtsel, event(pv::Generic::kInstructions, true).raw);
  registers().write(0, BankMsr::kCount, bit(48) - kPeriod);
  registers().write(0, BankMsr::kPeriod, kPeriod);
  registers().write(Msr::kGlobalCtrl, 1);
  for (int sample = 0; sample < 100; ++sample) {
    run(static_cast<int>(kPeriod) - 1);
    ASSERT_EQ(top().interrupts, 0) << sample;
    run_l1(sample);
    run(1);
    ASSERT_EQ(std::exchange(top().interrupts, 0), 1) << sample;
    ASSERT_EQ(registers().read(Msr::kGlobalStatus), 1u);
    ASSERT_EQ(registers().read(0, BankMsr::kCount), bit(48) - kPeriod);
    registers().write(Msr::kStatusReset, 1);
  }
  EXPECT_EQ(top().pv.statistics().overflows, 100u);
}

TEST_F(PvPerfNested, TwoPeriodsOverflowEachOnItsOwn) {
  for (const unsigned i : {0u, 1u}) {
    registers().write(i, BankMsr::kEvtsel, event(pv::Generic::kInstructions, true).raw);
    registers().write(i, BankMsr::kCount, bit(48) - (i == 0 ? 30 : 70));
    registers().write(i, BankMsr::kPeriod, i == 0 ? 30 : 70);
  }
  registers().write(Msr::kGlobalCtrl, 3);
  for (int executed = 1; executed <= 1000; ++executed) {
    run(1);
    const std::uint64_t wrapped = (executed % 30 == 0 ? 1u : 0u) | (executed % 70 == 0 ? 2u : 0u);
    ASSERT_EQ(registers().read(Msr::kGlobalStatus), wrapped) << executed;
    ASSERT_EQ(std::exchange(top().interrupts, 0), wrapped != 0 ? 1 : 0) << executed;
    if (wrapped != 0) registers().write(Msr::kStatusReset, wrapped);
  }
}

TEST_F(PvPerfNested, EventOfL1sOwnCountsBothAndKnowsNothingOfTheGuests) {
  const Registers own{levels[0]->pv};
  own.write(0, BankMsr::kEvtsel, event(pv::Generic::kInstructions).raw);
  own.write(Msr::kGlobalCtrl, 1);
  registers().write(0, BankMsr::kEvtsel, event(pv::Generic::kInstructions).raw);
  registers().write(Msr::kGlobalCtrl, 1);
  run_l1(10);
  run(20);
  run_l1(3);
  EXPECT_EQ(own.read(0, BankMsr::kCount), 33u);
  EXPECT_EQ(registers().read(0, BankMsr::kCount), 20u);
}

TEST_F(PvPerfNested, RegisterFilesHaveNothingInCommon) {
  // L1 offers its own, elsewhere, and smaller: what L0 gave L1 is not there for L2.
  PvPerf& l2 = top().pv;
  EXPECT_EQ(l2.read_msr(MsrIndex{0x40005000}, Initiator::kGuest), Access::not_mine());
  EXPECT_TRUE(l2.read_msr(MsrIndex{0x40008000}, Initiator::kGuest).is_done());
  EXPECT_EQ(l2.read_msr(MsrIndex{0x40008100 + 8 * 6}, Initiator::kGuest), Access::fault());
  // Unused, the one below is as it was after RESET.
  const PvPerfState below = levels[0]->pv.save();
  registers().write(3, BankMsr::kCount, 12345);
  EXPECT_EQ(levels[0]->pv.save(), below);
  EXPECT_EQ(perfs[0]->open_events(), 0u);
}

TEST_F(PvPerfNested, HostEventsAreBoundedAtEveryLevel) {
  for (unsigned i = 0; i < 6; ++i) {
    registers().write(i, BankMsr::kEvtsel, event(pv::Generic::kInstructions).raw);
  }
  registers().write(Msr::kGlobalCtrl, 0x3f);
  run(10);
  for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(registers().read(i, BankMsr::kCount), 10u) << i;
  EXPECT_EQ(top().pv.open_host_events(), 6u);
  EXPECT_EQ(levels[0]->pv.open_host_events(), 6u);
}

TEST_F(PvPerfNested, WhatStarvesAtTheBottomShowsAtTheTop) {
  registers().write(0, BankMsr::kEvtsel, event(pv::Generic::kCycles).raw);
  registers().write(Msr::kGlobalCtrl, 1);
  run(10);
  // The host takes all that can count cycles, for itself.
  struct Nobody final : hostperf::OverflowHandler {
    void on_overflow(EventId, std::uint64_t) override {}
  } nobody;
  std::vector<EventId> taken;
  for (int n = 0; n < 9; ++n) {
    taken.push_back(*silicon->perf.open({.config = 0x3c, .pinned = true},
                                        hostperf::Target::of(HostCpu{0}), nobody));
    silicon->perf.enable(taken.back());
  }
  run(10);
  run(10);
  const pv::State state{{registers().read(0, BankMsr::kState)}};
  EXPECT_EQ(state.get(pv::State::kNotStarted), 1u);
  EXPECT_EQ(static_cast<pv::Code>(state.get(pv::State::kCode)), pv::Code::kBusy);
  EXPECT_NE(registers().read(Msr::kGlobalStatus) & bit(62), 0u);
  EXPECT_EQ(registers().read(0, BankMsr::kCount), 20u);
  // And comes back, tried again after a millisecond.
  for (const EventId each : taken) silicon->perf.close(each);
  for (auto& level : levels) {
    level->around.now += 1'000'000;
    level->pv.time_passed();
    level->pv.before_entry();
  }
  run(10);
  EXPECT_EQ(registers().read(0, BankMsr::kCount), 40u);
}

TEST_F(PvPerfNested, FilterOfL0HoldsForEverybodyAbove) {
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}};
  levels[0]->pv.set_event_gate(&gate);
  registers().write(0, BankMsr::kEvtsel, event(pv::Generic::kInstructions).raw);
  registers().write(1, BankMsr::kEvtsel, event(pv::Generic::kCycles).raw);
  registers().write(Msr::kGlobalCtrl, 3);
  run(10);
  EXPECT_EQ(registers().read(0, BankMsr::kCount), 0u);
  EXPECT_EQ(registers().read(1, BankMsr::kCount), 20u);
}

/// L1 moves with all that is in it, as a guest: L0 knows nothing of L2.
TEST_F(PvPerfNested, L1MovesToAnotherCpuWithItsGuestSampling) {
  constexpr std::uint64_t kPeriod = 50;
  registers().write(0, BankMsr::kEvtsel, event(pv::Generic::kInstructions, true).raw);
  registers().write(0, BankMsr::kCount, bit(48) - kPeriod);
  registers().write(0, BankMsr::kPeriod, kPeriod);
  registers().write(1, BankMsr::kEvtsel, event(pv::Generic::kInstructions).raw);
  registers().write(Msr::kGlobalCtrl, 3);
  int executed = 0, samples = 0;
  for (int move = 0; move < 200; ++move) {
    const int more = move % 17;
    run(more);
    executed += more;
    samples += std::exchange(top().interrupts, 0);
    ASSERT_EQ(samples, executed / static_cast<int>(kPeriod)) << move;
    ASSERT_EQ(registers().read(1, BankMsr::kCount), static_cast<std::uint64_t>(executed));
    if (registers().read(Msr::kGlobalStatus) != 0) registers().write(Msr::kStatusReset, 1);

    const CpuModel& next = move % 2 == 0 ? zen4() : icelake();
    auto there = std::make_unique<Silicon>(next);
    auto level = std::make_unique<Level>(offers[0], next, there->perf);
    level->around.now = levels[0]->around.now;
    const auto restored = level->pv.restore(levels[0]->pv.save());
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
    perfs[0]->moved_to(level->pv);
    levels[0] = std::move(level);
    silicon = std::move(there);
    levels[0]->pv.before_entry();
  }
  EXPECT_GT(samples, 20);
}

class PvPerfNestedTwice : public PvPerfNested {
 protected:
  PvPerfNestedTwice() : PvPerfNested{3} {}
};

TEST_F(PvPerfNestedTwice, GuestOfAGuestOfAGuestSamplesExactly) {
  constexpr std::uint64_t kPeriod = 23;
  registers().write(0, BankMsr::kEvtsel, event(pv::Generic::kInstructions, true).raw);
  registers().write(0, BankMsr::kCount, bit(52) - kPeriod);
  registers().write(0, BankMsr::kPeriod, kPeriod);
  registers().write(2, BankMsr::kEvtsel, event(pv::Generic::kCycles).raw);
  registers().write(Msr::kGlobalCtrl, 5);
  for (int sample = 0; sample < 20; ++sample) {
    run(static_cast<int>(kPeriod) - 1);
    ASSERT_EQ(top().interrupts, 0) << sample;
    run_l1(5);
    run(1);
    ASSERT_EQ(std::exchange(top().interrupts, 0), 1) << sample;
    registers().write(Msr::kStatusReset, 1);
  }
  EXPECT_EQ(registers().read(2, BankMsr::kCount), 20 * kPeriod * 2);
}

}  // namespace
}  // namespace vpmu::virt::x86
