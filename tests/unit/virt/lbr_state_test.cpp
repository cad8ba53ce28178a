// SPDX-License-Identifier: MIT
//
// Last branch records move with their guest: by save() and restore(), and register by register.
#include <functional>

#include <gtest/gtest.h>

#include "unit/virt/lbr_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using hostperf::EventState;
using hostperf::OpenError;
using silicon::x86::LbrModel;

constexpr std::uint64_t kSource = 0x401000, kTarget = 0x402000;

/// A guest and the host that it is on.
class Host : public LbrFixture {
 public:
  Host() = default;
  void TestBody() override {}
  using LbrFixture::all_intercepted;
  using LbrFixture::architectural;
  using LbrFixture::branch;
  using LbrFixture::debugctl;
  using LbrFixture::enter;
  using LbrFixture::from;
  using LbrFixture::has_event;
  using LbrFixture::host_read_lbr;
  using LbrFixture::host_write_lbr;
  using LbrFixture::info;
  using LbrFixture::lbr;
  using LbrFixture::make_lbr;
  using LbrFixture::new_slice;
  using LbrFixture::perf;
  using LbrFixture::pmu;
  using LbrFixture::rdmsr;
  using LbrFixture::registers;
  using LbrFixture::slices;
  using LbrFixture::switch_off;
  using LbrFixture::switch_on;
  using LbrFixture::to;
  using LbrFixture::wrmsr;

  void arrive(const PmuState& pmu_state, const VirtualLbrState& state) {
    const auto pmu_restored = pmu->restore(pmu_state);
    ASSERT_TRUE(pmu_restored.has_value()) << pmu_restored.error().message;
    const auto restored = lbr->restore(state);
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
  }
};

void move(Host& here, Host& there) {
  there.make_lbr(here.perf.model, here.pmu->config());
  there.perf.lbr_taken = here.perf.lbr_taken;
  there.perf.refuse_lbr = here.perf.refuse_lbr;
  there.arrive(here.pmu->save(), here.lbr->save());
}

/// All that a guest can find out, and what its host would report.
void expect_same(Host& here, Host& there) {
  EXPECT_EQ(there.lbr->save(), here.lbr->save());
  EXPECT_EQ(there.lbr->passed_through(), here.lbr->passed_through());
  EXPECT_EQ(there.lbr->recording(), here.lbr->recording());
  EXPECT_EQ(there.lbr->msr_bitmap(), here.lbr->msr_bitmap());
  EXPECT_EQ(there.has_event(), here.has_event());
}

TEST(LbrState, TheGuestGoesOnAsItWouldHaveWhateverWasGoingOn) {
  struct Case {
    const char* name;
    std::function<void(Host&)> before;
  };
  const Case cases[] = {
      {"nothing", [](Host&) {}},
      {"host's registers", [](Host& h) { (void)h.host_write_lbr(h.from(1), 0x55); }},
      {"held", [](Host& h) { (void)h.lbr->read_msr(h.from(0), Initiator::kGuest); }},
      {"recording", [](Host& h) { h.switch_on(); }},
      {"off again", [](Host& h) { h.switch_on(), h.switch_off(); }},
      {"idle once, with a record",
       [](Host& h) { h.switch_on(), h.branch(kSource, kTarget), h.switch_off(), h.slices(2); }},
      {"idle once", [](Host& h) { h.switch_on(), h.switch_off(), h.slices(2); }},
      {"released", [](Host& h) { h.switch_on(), h.switch_off(), h.slices(3); }},
      {"not entered", [](Host& h) { h.switch_on(), h.pmu->scheduled_in(), h.lbr->scheduled_in(); }},
      {"lost", [](Host& h) { h.switch_on(), h.perf.take_lbr(), h.enter(); }},
      {"lost unseen", [](Host& h) { h.switch_on(), h.perf.take_lbr(); }},
      {"lost at once", [](Host& h) { h.perf.take_lbr(), h.switch_on(); }},
      {"lost, and free",
       [](Host& h) { h.switch_on(), h.perf.take_lbr(), h.enter(), h.perf.give_lbr(); }},
      {"lost unseen, and free",
       [](Host& h) { h.switch_on(), h.perf.take_lbr(), h.perf.give_lbr(); }},
      {"refused", [](Host& h) { h.perf.refuse_lbr = OpenError::kBusy, h.switch_on(); }},
      {"refused, and free",
       [](Host& h) {
         h.perf.refuse_lbr = OpenError::kBusy, h.switch_on(), h.perf.refuse_lbr.reset();
       }},
      {"switched on unseen",
       [](Host& h) {
         h.perf.refuse_lbr = OpenError::kBusy;
         (void)h.rdmsr(h.from(0));
         (void)h.pmu->write_msr(msr::IA32_DEBUGCTL, 1, Initiator::kGuest);
       }},
      {"warned",
       [](Host& h) {
         h.switch_on(), h.perf.take_lbr();
         for (int n = 0; n < 8; ++n) h.new_slice();
       }},
  };
  const std::function<void(Host&)> steps[] = {
      [](Host& h) { h.enter(); },
      [](Host& h) { (void)h.rdmsr(h.from(0)); },
      [](Host& h) { h.branch(kSource, kTarget); },
      [](Host& h) { h.new_slice(); },
      [](Host& h) { h.perf.give_lbr(), h.enter(); },
      [](Host& h) { h.new_slice(); },
      [](Host& h) { (void)h.wrmsr(h.to(0), 0x77); },
      [](Host& h) { h.new_slice(); },
      [](Host& h) { h.perf.refuse_lbr.reset(), h.new_slice(); },
      [](Host& h) { h.new_slice(); },
  };
  for (const LbrModel& model : {kFlags16, kInfo32, kArchitectural32}) {
    for (const Case& each : cases) {
      SCOPED_TRACE(each.name);
      Host here, there;
      here.make_lbr(model, 4);
      each.before(here);
      move(here, there);
      EXPECT_EQ(there.lbr->save(), here.lbr->save());
      int n = 0;
      for (const auto& step : steps) {
        SCOPED_TRACE(n++);
        step(here);
        step(there);
        expect_same(here, there);
        for (const MsrIndex msr : here.registers()) {
          EXPECT_EQ(there.host_read_lbr(msr), here.host_read_lbr(msr));
        }
      }
    }
  }
}

TEST(LbrState, RecordsArriveAlsoBehindAZeroOne) {
  for (const LbrModel& model : {kFlags16, kInfo32, kArchitectural32}) {
    Host here, there;
    here.make_lbr(model, 4);
    here.switch_on();
    for (unsigned i = 0; i < model.depth; ++i) {
      if (i == 2) continue;
      EXPECT_EQ(here.wrmsr(here.from(i), kSource + i), Access::done());
      EXPECT_EQ(here.wrmsr(here.to(i), kTarget + i), Access::done());
      if (!model.has_info()) continue;
      EXPECT_EQ(here.wrmsr(here.info(i), i), Access::done());
    }
    move(here, there);
    there.enter();
    for (unsigned i = 0; i < model.depth; ++i) {
      if (model.has_info()) {
        EXPECT_EQ(there.rdmsr(there.info(i)), Access::done(i == 2 ? 0 : i));
      }
      EXPECT_EQ(there.rdmsr(there.from(i)), Access::done(i == 2 ? 0 : kSource + i));
      EXPECT_EQ(there.rdmsr(there.to(i)), Access::done(i == 2 ? 0 : kTarget + i));
    }
  }
}

// KVM's list of MSRs to save has none of the records, and had no IA32_DEBUGCTL for years.
TEST(LbrState, MovesRegisterByRegisterAsWell) {
  for (const LbrModel& model : {kFlags16, kInfo32, kArchitectural32}) {
    for (const bool lost : {false, true}) {
      Host here, there;
      here.make_lbr(model, 4);
      here.debugctl(1 | 1 << 11);
      here.switch_on();
      if (!here.architectural()) {
        EXPECT_EQ(here.wrmsr(msr::MSR_LBR_SELECT, 0x3c5), Access::done());
        EXPECT_EQ(here.wrmsr(msr::MSR_LASTBRANCH_TOS, 5), Access::done());
      }
      for (unsigned i = 0; i < model.depth; ++i) {
        EXPECT_EQ(here.wrmsr(here.from(i), kSource + i), Access::done());
        EXPECT_EQ(here.wrmsr(here.to(i), kTarget + i), Access::done());
        if (!model.has_info()) continue;
        EXPECT_EQ(here.wrmsr(here.info(i), i), Access::done());
      }
      if (lost) here.perf.take_lbr();
      here.enter();

      there.make_lbr(model, 4);
      // Capabilities first, IA32_DEBUGCTL last.
      std::vector<MsrIndex> pmu_first{msr::IA32_PERF_CAPABILITIES}, pmu_last{msr::IA32_DEBUGCTL};
      const auto copy_of_pmu = [&](const std::vector<MsrIndex>& list) {
        for (const MsrIndex msr : list) {
          const Access value = here.pmu->read_msr(msr, Initiator::kHost);
          ASSERT_TRUE(value.is_done());
          EXPECT_EQ(there.pmu->write_msr(msr, value.value(), Initiator::kHost), Access::done());
        }
      };
      copy_of_pmu(pmu_first);
      for (const MsrIndex msr : here.registers()) {
        const Access value = here.host_read_lbr(msr);
        ASSERT_TRUE(value.is_done());
        EXPECT_EQ(there.host_write_lbr(msr, value.value()), Access::done());
      }
      copy_of_pmu(pmu_last);
      EXPECT_FALSE(there.has_event());
      there.enter();

      EXPECT_TRUE(there.lbr->recording());
      EXPECT_EQ(there.debugctl(), here.debugctl());
      for (const MsrIndex msr : here.registers()) {
        EXPECT_EQ(there.rdmsr(msr), here.host_read_lbr(msr)) << raw(msr);
        EXPECT_FALSE(msr != msr::MSR_LBR_SELECT && msr != msr::IA32_LBR_CTL &&
                     raw(msr) != raw(model.info) && there.rdmsr(msr) == Access::done(0))
            << raw(msr);
      }
    }
  }
}

TEST(LbrState, TheFormatMoves) {
  Host here, there;
  here.make_lbr(kInfo32, 2);
  EXPECT_EQ(here.pmu->write_msr(msr::IA32_PERF_CAPABILITIES, 1 << 13, Initiator::kHost),
            Access::done());
  here.enter();
  move(here, there);
  EXPECT_FALSE(there.lbr->offered());
  EXPECT_EQ(there.pmu->perf_capabilities(), 1u << 13);
  EXPECT_EQ(there.pmu->write_msr(msr::IA32_PERF_CAPABILITIES, 1 << 13 | 5, Initiator::kHost),
            Access::done())
      << "the guest has not run";
  here.pmu->scheduled_in();
  move(here, there);
  EXPECT_EQ(there.pmu->write_msr(msr::IA32_PERF_CAPABILITIES, 1 << 13 | 5, Initiator::kHost),
            Access::fault());
}

TEST(LbrState, AHostThatCannotGiveTheEventKeepsTheRegisters) {
  Host here, there;
  here.switch_on();
  here.branch(kSource, kTarget);
  there.perf.refuse_lbr = OpenError::kBusy;
  there.arrive(here.pmu->save(), here.lbr->save());
  there.enter();
  EXPECT_EQ(there.rdmsr(there.from(1)), Access::done(0));
  EXPECT_EQ(there.host_read_lbr(there.from(1)), Access::done(kSource));
  there.perf.refuse_lbr.reset();
  there.new_slice();
  EXPECT_EQ(there.rdmsr(there.from(1)), Access::done(kSource));
}

// ---- What does not fit --------------------------------------------------------------------------

TEST(LbrState, CapabilitiesThatThePmuDoesNotHaveAreRefused) {
  struct Case {
    std::uint64_t capabilities, debug_control;
    bool fits;
  };
  const Case cases[] = {
      {1 << 13 | 5, 1 | 1 << 11, true},
      {5, 1, true},
      {1 << 13, 0, true},
      {0, 0, true},
      {1 << 13 | 4, 0, false},
      {1 << 13 | 1, 0, false},
      {1 << 12, 0, false},
      {1 << 13, 1, false},
      {0, 1 << 11, false},
      {5, 2, false},
  };
  for (const Case& each : cases) {
    Host host;
    PmuState state = host.pmu->save();
    const PmuState before = state;
    state.perf_capabilities = each.capabilities;
    state.debug_control = each.debug_control;
    EXPECT_EQ(host.pmu->restore(state).has_value(), each.fits)
        << std::hex << each.capabilities << ", " << each.debug_control;
    EXPECT_EQ(host.pmu->save(), each.fits ? state : before);
  }
}

void expect_refused(Host& host, const VirtualLbrState& state, const char* says) {
  const VirtualLbrState before = host.lbr->save();
  const std::size_t events = host.perf.open_events();
  const auto restored = host.lbr->restore(state);
  ASSERT_FALSE(restored.has_value()) << says;
  EXPECT_NE(restored.error().message.find(says), std::string::npos) << restored.error().message;
  EXPECT_EQ(restored.error().message.find('\n'), std::string::npos);
  EXPECT_EQ(host.lbr->save(), before);
  EXPECT_EQ(host.perf.open_events(), events);
}

TEST(LbrState, OtherRecordsAreRefused) {
  for (const LbrModel& saved : {kFlags16, kInfo32, kArchitectural32}) {
    for (const LbrModel& found : {kFlags16, kInfo32, kArchitectural32}) {
      Host here, there;
      here.make_lbr(saved, 4);
      here.switch_on();
      there.make_lbr(found, 4);
      if (saved == found) continue;
      expect_refused(there, here.lbr->save(), "other last branch records");
    }
  }
  Host here, without;
  here.switch_on();
  without.make_lbr(kInfo32, intel_config(2));
  expect_refused(without, here.lbr->save(), "this guest has (none)");
  expect_refused(here, without.lbr->save(), "(none) than this guest has");
}

TEST(LbrState, WhatNoGuestCouldHaveIsRefusedAndChangesNothing) {
  const std::function<void(VirtualLbrState&)> changes[] = {
      [](VirtualLbrState& s) { s.registers.select = 1 << 10; },
      [](VirtualLbrState& s) { s.registers.tos = 32; },
      [](VirtualLbrState& s) { s.registers.depth = 16; },
      [](VirtualLbrState& s) { s.registers.records[3].from = 1ULL << 60; },
      [](VirtualLbrState& s) { s.registers.records[31].to = 1ULL << 50; },
      [](VirtualLbrState& s) { s.registers.records[0].info = 1ULL << 40; },
      [](VirtualLbrState& s) { s.has_event = true, s.idle_slices = Lbr::kIdleSlices; },
      [](VirtualLbrState& s) { s.idle_slices = 1; },
      [](VirtualLbrState& s) { s.warned = Lbr::kWarnings + 1; },
      [](VirtualLbrState& s) { s.warning_slices = Lbr::kWarningSlices; },
  };
  for (const auto& change : changes) {
    Host host;
    (void)host.host_write_lbr(host.from(3), 0x1234);
    VirtualLbrState state = host.lbr->save();
    change(state);
    expect_refused(host, state, "");
  }
  Host without;
  without.make_lbr(kInfo32, intel_config(2));
  VirtualLbrState state = without.lbr->save();
  state.has_event = true;
  expect_refused(without, state, "has no last branch records");
}

}  // namespace
}  // namespace vpmu::virt::x86
