// SPDX-License-Identifier: MIT
//
// The last branch records that a guest sees, on a fake host perf. The guest accesses registers as a
// machine's does: directly unless the MSR bitmap says that this exits.
#pragma once

#include <memory>
#include <vector>

#include "unit/virt/pmu_fixture.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"
#include "vpmu/virt/x86/lbr.hpp"

namespace vpmu::virt::x86 {

namespace msr = silicon::x86::msr;

inline constexpr silicon::x86::LbrModel kFlags16{.format = silicon::x86::LbrFormat::kEipFlags2,
                                                 .depth = 16,
                                                 .call_stack = true,
                                                 .from = msr::MSR_LASTBRANCH_0_FROM_IP,
                                                 .to = msr::MSR_LASTBRANCH_0_TO_IP};
inline constexpr silicon::x86::LbrModel kInfo32{.format = silicon::x86::LbrFormat::kInfo,
                                                .depth = 32,
                                                .call_stack = true,
                                                .tsx = true,
                                                .from = msr::MSR_LASTBRANCH_0_FROM_IP,
                                                .to = msr::MSR_LASTBRANCH_0_TO_IP,
                                                .info = msr::MSR_LBR_INFO_0};
inline constexpr silicon::x86::LbrModel kArchitectural32{
    .format = silicon::x86::LbrFormat::kArchitectural,
    .depth = 32,
    .depths = 0b1011,
    .call_stack = true,
    .from = msr::IA32_LBR_0_FROM_IP,
    .to = msr::IA32_LBR_0_TO_IP,
    .info = msr::IA32_LBR_0_INFO};

/// A PMU of that version that offers LBRs of that model.
constexpr PmuConfig offering(const silicon::x86::LbrModel& model, std::uint8_t version) {
  PmuConfig config = intel_config(version);
  config.perf_capabilities |= static_cast<std::uint64_t>(model.format);
  return config;
}

class CountingObserver final : public LbrObserver {
 public:
  void lbr_lost(hostperf::VcpuIndex vcpu) override { told.push_back(vcpu); }
  std::vector<hostperf::VcpuIndex> told;
};

class LbrFixture : public PmuFixture {
 protected:
  static constexpr std::uint64_t kLbrOn = 1, kFreezeLbrs = 1 << 11, kFrozen = 1ULL << 58;
  static constexpr std::uint64_t kLbrCtlOn = 0x7f'0007;  ///< IA32_LBR_CTL: everything

  LbrFixture() { make_lbr(kInfo32, 2); }
  ~LbrFixture() override { lbr.reset(); }

  void make_lbr(const silicon::x86::LbrModel& model, std::uint8_t version) {
    make_lbr(model, offering(model, version));
  }
  void make_lbr(const silicon::x86::LbrModel& host, const PmuConfig& config) {
    lbr.reset();
    make(config);
    perf.model = host;
    lbr = std::make_unique<Lbr>(*pmu, perf, hostperf::VcpuIndex{3});
    lbr->set_observer(&observer);
  }
  [[nodiscard]] bool architectural() const { return perf.model.architectural(); }

  MsrIndex from(unsigned i) const { return plus(perf.model.from, i); }
  MsrIndex to(unsigned i) const { return plus(perf.model.to, i); }
  MsrIndex info(unsigned i) const { return plus(perf.model.info, i); }

  /// Every register that the guest has.
  std::vector<MsrIndex> registers() const {
    std::vector<MsrIndex> all{architectural() ? msr::IA32_LBR_CTL : msr::MSR_LBR_SELECT,
                              architectural() ? msr::IA32_LBR_DEPTH : msr::MSR_LASTBRANCH_TOS};
    for (unsigned i = 0; i < perf.model.depth; ++i) {
      all.push_back(from(i));
      all.push_back(to(i));
      if (perf.model.has_info()) all.push_back(info(i));
    }
    return all;
  }

  void enter() {
    pmu->before_entry();
    lbr->before_entry();
  }
  /// A new time slice, and its first entry.
  void new_slice() {
    pmu->scheduled_in();
    lbr->scheduled_in();
    enter();
  }
  void slices(int count) {
    for (int n = 0; n < count; ++n) new_slice();
  }

  /// RDMSR of the guest; what it gets, and goes on.
  Access rdmsr(MsrIndex msr) {
    const Access access = lbr->msr_bitmap().intercepts_read(msr)
                              ? lbr->read_msr(msr, Initiator::kGuest)
                              : perf.read_lbr(lbr->event(), msr).value();
    enter();
    return access;
  }
  Access wrmsr(MsrIndex msr, std::uint64_t value) {
    const Access access = lbr->msr_bitmap().intercepts_write(msr)
                              ? lbr->write_msr(msr, value, Initiator::kGuest)
                              : perf.write_lbr(lbr->event(), msr, value).value();
    enter();
    return access;
  }
  void debugctl(std::uint64_t value) {
    EXPECT_EQ(pmu->write_msr(msr::IA32_DEBUGCTL, value, Initiator::kGuest), Access::done());
    enter();
  }
  std::uint64_t debugctl() { return pmu->read_msr(msr::IA32_DEBUGCTL, Initiator::kGuest).value(); }
  /// Switches recording on, as the records' kind wants it.
  void switch_on() {
    if (architectural()) {
      EXPECT_EQ(wrmsr(msr::IA32_LBR_CTL, kLbrCtlOn), Access::done());
    } else {
      debugctl(kLbrOn);
    }
  }
  void switch_off() {
    if (architectural()) {
      EXPECT_EQ(wrmsr(msr::IA32_LBR_CTL, 0), Access::done());
    } else {
      debugctl(0);
    }
  }
  /// A branch of the guest retires, at the cycle of that number too: its CPU records it if it is
  /// to.
  void branch(std::uint64_t from, std::uint64_t to) {
    if (!lbr->recording()) return;
    perf.unit(lbr->event())
        .record({.from = from,
                 .to = to,
                 .next = from + 2,
                 .cycle = from,
                 .type = silicon::x86::BranchType::kDirectJump});
  }
  Access host_read_lbr(MsrIndex msr) { return lbr->read_msr(msr, Initiator::kHost); }
  Access host_write_lbr(MsrIndex msr, std::uint64_t value) {
    return lbr->write_msr(msr, value, Initiator::kHost);
  }
  /// Is it so of all of the guest's registers?
  bool all_intercepted(bool intercepted) const {
    for (const MsrIndex each : registers()) {
      if (lbr->msr_bitmap().intercepts_read(each) != intercepted) return false;
      if (lbr->msr_bitmap().intercepts_write(each) != intercepted) return false;
    }
    return true;
  }
  [[nodiscard]] hostperf::EventState event_state() const { return perf.state(lbr->event()); }
  [[nodiscard]] bool has_event() const { return lbr->event() != hostperf::kNoEvent; }

  std::unique_ptr<Lbr> lbr;
  CountingObserver observer;
};

}  // namespace vpmu::virt::x86
