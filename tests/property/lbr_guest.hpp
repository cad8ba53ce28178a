// SPDX-License-Identifier: MIT
//
// One vCPU with its PMU and last branch records on a modelled host, driven as the machine drives
// it, in lockstep with what they must do: a reference of either, and the rules of virt/x86/lbr.hpp
// about events, pass-through, time slices and statistics, worked out anew beside them.
//
// Whether the guest's event is active is the host's business, and asked of it; that it is if nobody
// is in the way is checked where the event is tried again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "property/counting.hpp"
#include "property/guest_lbr_setups.hpp"
#include "property/lbr_host_events.hpp"
#include "property/reference_lbr.hpp"
#include "property/reference_pmu.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/virt/x86/lbr.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::property {

class LbrGuest {
 public:
  using Difference = std::optional<std::string>;

  /// What migrates.
  struct State {
    virt::x86::PmuState pmu;
    virt::x86::VirtualLbrState lbr;
  };

  LbrGuest(const GuestLbrSetup& setup, unsigned number);
  LbrGuest(const LbrGuest&) = delete;
  LbrGuest& operator=(const LbrGuest&) = delete;

  [[nodiscard]] hostperf::ModelledVcpu silicon();
  [[nodiscard]] std::optional<unsigned> cpu() const { return cpu_; }
  [[nodiscard]] std::uint64_t cycles() const { return cycles_; }

  /// A fresh PMU and fresh records on that host, which must outlive them.
  void attach(hostperf::ModelledHostPerf& perf, LbrHostEvents& host, std::optional<unsigned> cpu);
  void remove_devices();
  /// The same, and their state, which is only there if `detach()` says nothing.
  Difference detach(State& state);
  Difference restore(const State& state);

  Difference read(std::uint32_t msr);
  Difference write(std::uint32_t msr, std::uint64_t value);
  Difference host_read(std::uint32_t msr);
  Difference host_write(std::uint32_t msr, std::uint64_t value);
  /// A branch retires, at address `place`.
  Difference retire(std::uint32_t drawn, std::uint32_t place);
  /// A counter overflows.
  Difference overflow();
  void scheduled_in(unsigned cpu);
  void scheduled_out() { cpu_.reset(); }
  Difference reset();
  /// Records elsewhere are given the state with one field XORed by `by`: they hold it, or are left
  /// as they were.
  Difference restore_damaged(std::uint32_t field, std::uint64_t by);

  /// Something was done to the host: what of a call stack it may leave out is left out here too.
  void settle();
  /// All that can be read, by the host and in the unit.
  Difference compare_all();

 private:
  class Observer final : public virt::x86::LbrObserver {
   public:
    void lbr_lost(hostperf::VcpuIndex) override { ++calls; }
    std::uint64_t calls = 0;
  };

  /// The vCPU's CPU, which holds back all branches for as long as it may.
  class Source final : public silicon::x86::BranchSource {
   public:
    void record_into(silicon::x86::LbrStack* unit);
    [[nodiscard]] bool records() const { return unit_ != nullptr; }
    void hold(const silicon::x86::TakenBranch& branch) { held_.push_back(branch); }
    void hand_over_branches() override;

   private:
    silicon::x86::LbrStack* unit_ = nullptr;
    std::vector<silicon::x86::TakenBranch> held_;
  };

  [[nodiscard]] bool offered();
  [[nodiscard]] bool exists(std::uint32_t msr);
  [[nodiscard]] bool wants_to_record();
  [[nodiscard]] bool has_event() const;
  [[nodiscard]] bool event_is_active() const;
  [[nodiscard]] silicon::x86::LbrStack* unit() const;
  [[nodiscard]] bool host_records() const;

  Difference access(std::uint32_t msr, const std::uint64_t* value);
  Difference access_pmu(std::uint32_t msr, const std::uint64_t* value, Initiator initiator);
  Difference access_unit(std::uint32_t msr, const std::uint64_t* value);
  Difference access_intercepted(std::uint32_t msr, const std::uint64_t* value);
  Difference host_access(std::uint32_t msr, const std::uint64_t* value);
  Access own(std::uint32_t msr, const std::uint64_t* value);

  Difference enter();
  Difference enter_pmu();
  void begin_time_slice();
  void end_time_slice();
  Difference check_time_slice() const;
  Difference check_entry();
  void note_loss();
  void note_refusals();
  Difference compare_registers();
  [[nodiscard]] Difference compare_statistics() const;

  const GuestLbrSetup& setup_;
  const unsigned number_;
  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  CountingSink sink_;
  Observer observer_;
  /// With every register passed through, and with none.
  virt::x86::MsrBitmap open_bitmap_, closed_bitmap_;

  hostperf::ModelledHostPerf* modelled_ = nullptr;
  LbrHostEvents* host_ = nullptr;
  std::unique_ptr<CountingHostPerf> perf_;
  std::unique_ptr<virt::x86::Pmu> pmu_;
  std::unique_ptr<virt::x86::Lbr> lbr_;
  std::optional<unsigned> cpu_;
  Source source_;

  ReferencePmu reference_pmu_;
  ReferenceLbr own_;
  const std::vector<std::uint32_t> registers_;
  std::uint64_t pmis_ = 0;
  std::uint64_t cycles_ = 0;

  // What must be so, by the rules.
  bool new_slice_ = false;
  /// In this time slice: an access exited or a branch was recorded; recording was switched on, as
  /// architectural records are without an exit, and so perhaps without anybody's knowledge.
  bool used_ = false, switched_on_ = false;
  bool refused_ = false;  ///< an event could not be had in this time slice
  bool lost_ = false;
  /// Time slices without use, in a row: at least, at most.
  unsigned idle_slices_ = 0, idle_slices_at_most_ = 0;
  /// What this entry must have done, if it began a time slice.
  enum class Due : std::uint8_t { kNothing, kKeep, kRelease, kEither };
  Due due_ = Due::kNothing;
  virt::x86::LbrStatistics expected_;
  std::uint64_t opened_ = 0;  ///< of `perf_`'s, those that are in `expected_`
  std::uint64_t refusals_ = 0;
};

}  // namespace vpmu::property
