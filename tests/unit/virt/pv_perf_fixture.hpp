// SPDX-License-Identifier: MIT
//
// PV perf of one vCPU, either on a fake host perf that the test drives by hand, or on the modelled
// one, with a guest whose instructions are retired by hand as a CPU would. Around it are
// FakePvPerfHost and an LVTPC that masks itself as Intel's does.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "unit/virt/fake_host_perf.hpp"
#include "unit/virt/fake_pv_perf_host.hpp"
#include "unit/virt/pv_events.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {

/// Everything that can be offered, raw events too; W = 48, no minimum period.
inline PvPerfConfig full_pv_perf(unsigned events = 8) {
  PvPerfConfig config;
  using F = pv::Features;
  config.features.raw =
      static_cast<std::uint32_t>(mask_of(F::kPvPerf, F::kArea, F::kBatch, F::kRdpmcTrap, F::kLvtpc,
                                         F::kAutoReload, F::kRaw, F::kScaleTime, F::kHypercalls));
  config.events = static_cast<std::uint8_t>(events);
  config.width = 48;
  config.at_once = 8;
  config.publish_period_us = 1000;
  config.generic_events = (1u << pv::kGenericEvents) - 1;
  config.software_events = (1u << pv::kSoftwareEvents) - 1;
  return config;
}

/// What is the same on every host perf.
class PvPerfOnSomePerf : public testing::Test {
 protected:
  static constexpr std::uint64_t kTurn = std::uint64_t{1} << 48;
  static constexpr std::uint64_t kMs = 1'000'000;
  static constexpr pv::Evtsel kInstructions = pv_event(pv::Generic::kInstructions);
  static constexpr pv::Evtsel kCycles = pv_event(pv::Generic::kCycles);

  PvPerfOnSomePerf() {
    host.on_pmi = [this] {
      host.outcome = lvtpc;
      if (lvtpc != PmiOutcome::kDelivered) return;
      delivered_at.push_back(host.now);
      if (host.last == LvtpcAfterPmi::kMask) lvtpc = PmiOutcome::kMasked;
    };
  }
  void make(const PvPerfConfig& wanted, hostperf::HostPerf& perf) {
    pv.reset();
    pv = std::make_unique<PvPerf>(wanted, PvPerf::Around{.model = &model,
                                                         .perf = &perf,
                                                         .vcpu = hostperf::VcpuIndex{0},
                                                         .host = &host,
                                                         .areas = &areas});
    pv->scheduled_in();
    pv->before_entry();
  }

  [[nodiscard]] MsrIndex msr(std::uint32_t offset) const {
    return MsrIndex{pv->config().msr_base + offset};
  }
  [[nodiscard]] MsrIndex msr(pv::Msr which) const { return msr(raw(which)); }
  [[nodiscard]] MsrIndex msr(unsigned i, pv::BankMsr which) const {
    return msr(raw(pv::Msr::kFirstBank) + pv::kBankMsrs * i + raw(which));
  }

  Access try_read(MsrIndex index) { return pv->read_msr(index, Initiator::kGuest); }
  template <class... Which>
  std::uint64_t read(Which... which) {
    const Access access = try_read(msr(which...));
    EXPECT_TRUE(access.is_done());
    return access.value();
  }
  /// As the machine does it: what was written takes effect before the WRMSR retires.
  Access try_write(MsrIndex index, std::uint64_t value) {
    const Access access = pv->write_msr(index, value, Initiator::kGuest);
    if (access.is_done()) pv->before_entry();
    return access;
  }
  void write(pv::Msr which, std::uint64_t value) {
    EXPECT_EQ(try_write(msr(which), value), Access::done());
  }
  void write(unsigned i, pv::BankMsr which, std::uint64_t value) {
    EXPECT_EQ(try_write(msr(i, which), value), Access::done());
  }
  void select(unsigned i, pv::Evtsel evtsel) { write(i, pv::BankMsr::kEvtsel, evtsel.raw); }
  void set_count(unsigned i, std::uint64_t value) { write(i, pv::BankMsr::kCount, value); }
  std::uint64_t count(unsigned i) { return read(i, pv::BankMsr::kCount); }
  std::uint64_t time_enabled(unsigned i) { return read(i, pv::BankMsr::kTimeEn); }
  std::uint64_t time_running(unsigned i) { return read(i, pv::BankMsr::kTimeRun); }
  pv::State state(unsigned i) { return {{read(i, pv::BankMsr::kState)}}; }
  pv::Code state_code(unsigned i) { return static_cast<pv::Code>(state(i).get(pv::State::kCode)); }
  std::uint64_t status() { return read(pv::Msr::kGlobalStatus); }
  pv::ErrorRegister error() { return {{read(pv::Msr::kError)}}; }
  static constexpr pv::ErrorRegister error_of(pv::Code code, unsigned id = pv::kNoErrorId) {
    pv::ErrorRegister error;
    error.set(pv::ErrorRegister::kCode, static_cast<std::uint64_t>(code));
    error.set(pv::ErrorRegister::kId, id);
    return error;
  }

  /// Time passes, in which the vCPU is looked after as the machine does.
  void pass(std::uint64_t ns) {
    const std::uint64_t end = host.now + ns;
    while (pv->due_ns(false) <= end) {
      host.now = std::max(host.now, pv->due_ns(false));
      pv->time_passed();
      pv->before_entry();
    }
    host.now = end;
  }
  /// A handler's last act.
  void unmask() { lvtpc = PmiOutcome::kDelivered; }
  [[nodiscard]] int delivered() const { return static_cast<int>(delivered_at.size()); }

  const silicon::x86::CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  FakePvPerfHost host;
  PvPerfAreas areas;
  PmiOutcome lvtpc = PmiOutcome::kDelivered;  ///< what becomes of the next interrupt
  std::vector<std::uint64_t> delivered_at;    ///< ns
  std::unique_ptr<PvPerf> pv;
};

class PvPerfOnFakePerf : public PvPerfOnSomePerf {
 protected:
  PvPerfOnFakePerf() { make(full_pv_perf()); }
  ~PvPerfOnFakePerf() override { pv.reset(); }
  void make(const PvPerfConfig& config) { PvPerfOnSomePerf::make(config, perf); }
  /// The events that run count so many, and what overflows is looked at.
  void count_more(std::uint64_t n) {
    perf.count(n);
    pv->before_entry();
  }
  using PvPerfOnSomePerf::count;

  hostperf::FakeHostPerf perf;
};

class PvPerfOnModelledPerf : public PvPerfOnSomePerf {
 protected:
  PvPerfOnModelledPerf() { make(full_pv_perf()); }
  ~PvPerfOnModelledPerf() override { pv.reset(); }
  void make(const PvPerfConfig& config) { PvPerfOnSomePerf::make(config, perf); }

  static constexpr std::uint64_t kCyclesOfAnInstruction = 2;
  /// One instruction that does nothing but retire.
  void step(silicon::Privilege privilege = silicon::Privilege::kKernel) {
    using silicon::RawEvent;
    if (pv->has_entry_work()) pv->before_entry();
    totals.add(RawEvent::kInstructions, privilege, 1);
    totals.add(RawEvent::kCycles, privilege, kCyclesOfAnInstruction);
    totals.add(RawEvent::kReferenceCycles, privilege, kCyclesOfAnInstruction);
    ++executed;
    deadlines.fire_due();
    if (pv->has_entry_work()) pv->before_entry();
  }
  void steps(std::uint64_t n) {
    for (; n > 0; --n) step();
  }
  /// Counted or not, as the machine's WRMSR is.
  void wrmsr(MsrIndex index, std::uint64_t value) {
    ASSERT_EQ(try_write(index, value), Access::done());
    step();
  }

  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array<hostperf::ModelledVcpu, 1> vcpus{hostperf::ModelledVcpu{&totals, &deadlines}};
  hostperf::ModelledHostPerf perf{model, vcpus};
  std::uint64_t executed = 0;
};

}  // namespace vpmu::virt::x86
