// SPDX-License-Identifier: MIT
//
// The last branch records that a guest's vCPU sees. They are the host CPU's own: while the guest's
// LBR event is active on the host's perf, the guest reads and writes the registers itself, without
// exits. Otherwise its accesses exit, and it never sees what is not its own.
//
//             no event                        event exists
//           +----------+  access, or LBR := 1  +----------+   active    +--------------+
//           |  idle    |---------------------->|   held   |------------>| passed       |
//           |          |<----------------------| or lost  |<------------| through      |
//           +----------+  lazy release, reset  +----------+  not active +--------------+
//
//   idle            every access exits; it creates the event, and then finds the guest's registers
//   passed through  no access exits
//   held            the event is active and the vCPU has not entered since
//   lost            the host has the unit (or the event could not be created): reads give 0, writes
//                   are dropped, nothing is recorded, and nothing faults that would not otherwise
//
// A guest gets its records back when the unit comes back: a lost event is tried again in every time
// slice. Recording follows: an embedder lets the CPU record (VM entry loads IA32_DEBUGCTL.LBR or
// IA32_LBR_CTL) while recording() says so.
//
// How a guest accesses the registers is decided once per entry, as late as possible:
//
//   lbr.before_entry();                       // after Pmu::before_entry()
//   vmcs.msr_bitmap = &lbr.msr_bitmap();      // the address never changes
//
// The event is given back in the second time slice in a row in which the guest did not record and
// made no access that exits; its registers are kept, so that it can still read them.
//
// What makes it differ from KVM: records survive a loss and a migration, a lost event is tried
// again, the host may read the registers of a guest that does not own the unit, architectural LBRs,
// and freezing by GLOBAL_STATUS from PMU version 4 on.
//
// Not thread-safe. Nothing after construction allocates, except for the text of restore()'s errors.
#pragma once

#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/hostperf/lbr_host.hpp"
#include "vpmu/silicon/x86/lbr_model.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"
#include "vpmu/virt/x86/msr_bitmap.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::virt::x86 {

/// What has happened so far; nothing ever goes back.
struct LbrStatistics {
  std::uint64_t entries_passed_through = 0;  ///< before_entry() with the registers the guest's
  std::uint64_t intercepted_reads = 0;       ///< of the guest, also those that found nothing
  std::uint64_t intercepted_writes = 0;
  std::uint64_t dummy_accesses = 0;  ///< of these: read 0 or were dropped
  std::uint64_t events_created = 0;
  std::uint64_t creation_failures = 0;
  std::uint64_t events_released = 0;  ///< lazily
  std::uint64_t reclaims = 0;         ///< times the host took the unit
  std::uint64_t regains = 0;          ///< times it came back
  std::uint64_t warnings = 0;         ///< given to the observer
  std::uint64_t warnings_suppressed = 0;

  friend bool operator==(const LbrStatistics&, const LbrStatistics&) = default;
};

/// All that moves with the guest. The registers' own checks are LbrStack's.
struct VirtualLbrState {
  silicon::x86::LbrModel model{};  ///< of the host that it was saved on; must be the same
  silicon::x86::LbrState registers{};
  bool has_event = false;
  bool lost = false;     ///< the event was not active when the vCPU last entered
  bool touched = false;  ///< an access exited in this time slice
  std::uint8_t idle_slices = 0;
  LbrStatistics statistics{};
  friend bool operator==(const VirtualLbrState&, const VirtualLbrState&) = default;
};

/// Told that a guest wants its records and does not have them. At most kWarnings times in
/// kWarningSlices time slices of a vCPU.
class LbrObserver {
 public:
  virtual void lbr_lost(hostperf::VcpuIndex vcpu) = 0;

 protected:
  ~LbrObserver() = default;
};

class Lbr final : private hostperf::OverflowHandler {
 public:
  static constexpr unsigned kWarnings = 10;
  static constexpr unsigned kWarningSlices = 1000;
  /// The event goes in this time slice without use.
  static constexpr unsigned kIdleSlices = 2;

  /// `pmu` says what the guest is offered: LBRs if IA32_PERF_CAPABILITIES has a format and the host
  /// has LBRs of that format. All must outlive it; it must go before `pmu`.
  Lbr(Pmu& pmu, hostperf::HostPerf& perf, hostperf::VcpuIndex vcpu);
  ~Lbr();
  Lbr(const Lbr&) = delete;
  Lbr& operator=(const Lbr&) = delete;

  /// False: the guest has no LBRs, and all its accesses are not_mine().
  [[nodiscard]] bool offered() const;

  /// RDMSR and WRMSR that exited, of a guest, or of its migration (Initiator::kHost: the guest's
  /// registers wherever they are, and no event is created). not_mine(): no register of these LBRs,
  /// also a record beyond the depth.
  Access read_msr(MsrIndex msr, Initiator initiator);
  Access write_msr(MsrIndex msr, std::uint64_t value, Initiator initiator);

  /// Before the guest goes on: decides whether its accesses exit from now on.
  void before_entry();
  [[nodiscard]] const MsrBitmap& msr_bitmap() const { return bitmap_; }
  [[nodiscard]] bool passed_through() const { return passed_through_; }
  /// Since the last before_entry(): the CPU is to record while the guest runs. A write to
  /// IA32_LBR_CTL that does not exit changes what it records, not this.
  [[nodiscard]] bool recording() const { return recording_; }

  /// The vCPU was put onto a host CPU: a new time slice.
  void scheduled_in();
  /// RESET; INIT leaves LBRs alone.
  void reset();

  [[nodiscard]] VirtualLbrState save() const;
  /// On a fresh one. The error says what does not fit; nothing has changed then.
  Result<void> restore(const VirtualLbrState& state);

  void set_observer(LbrObserver* observer) { observer_ = observer; }
  [[nodiscard]] const LbrStatistics& statistics() const { return statistics_; }
  /// Null: none is open.
  [[nodiscard]] hostperf::EventId event() const { return event_; }

 private:
  void on_overflow(hostperf::EventId, std::uint64_t) override {}
  // The implementation's own part is to be laid out by whoever writes lbr.cpp.

  Pmu& pmu_;
  hostperf::HostPerf& perf_;
  hostperf::VcpuIndex vcpu_;
  hostperf::EventId event_ = hostperf::kNoEvent;
  bool passed_through_ = false;
  bool recording_ = false;
  LbrObserver* observer_ = nullptr;
  LbrStatistics statistics_;
  MsrBitmap bitmap_;
};

}  // namespace vpmu::virt::x86
