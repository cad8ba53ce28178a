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
// slice. One that could not be created is, too, and also when the guest switches recording on.
// Recording follows: an embedder lets the CPU record (VM entry loads IA32_DEBUGCTL.LBR or
// IA32_LBR_CTL) while recording() says so.
//
// How a guest accesses the registers is decided once per entry, as late as possible:
//
//   lbr.before_entry();                       // after Pmu::before_entry()
//   vmcs.msr_bitmap = &lbr.msr_bitmap();      // the address never changes
//
// The event is given back once two time slices in a row have passed in which the guest did not
// record and made no access that exits; its registers are kept, so that it can still read them.
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
  std::uint64_t reclaims = 0;         ///< times an event was found without the unit
  std::uint64_t regains = 0;          ///< times such an event was found with it again
  std::uint64_t warnings = 0;         ///< for the observer
  std::uint64_t warnings_suppressed = 0;

  friend bool operator==(const LbrStatistics&, const LbrStatistics&) = default;
};

/// All that moves with the guest. The registers' own checks are LbrStack's.
struct VirtualLbrState {
  silicon::x86::LbrModel model{};  ///< of the host that it was saved on; must be the same
  silicon::x86::LbrState registers{};
  bool has_event = false;
  /// The event was without the unit when last looked at; without event: it could not be created.
  bool lost = false;
  bool touched = false;         ///< an access exited, or the guest recorded, in this time slice
  bool new_time_slice = false;  ///< since the last entry
  bool was_on = false;          ///< IA32_DEBUGCTL.LBR at the last entry
  std::uint8_t idle_slices = 0;
  std::uint64_t recorded_until = 0;  ///< LbrState::cycle when the time slice began
  std::uint8_t warned = 0;           ///< warnings in this run of kWarningSlices
  std::uint16_t warning_slices = 0;  ///< of which so many have passed
  LbrStatistics statistics{};
  friend bool operator==(const VirtualLbrState&, const VirtualLbrState&) = default;
};

/// Told that a guest wants its records and does not have them, before each entry where that is so;
/// but at most Lbr::kWarnings times in Lbr::kWarningSlices time slices of a vCPU.
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
  /// The event goes when so many in a row have passed without use.
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
  void before_entry() {
    if (changed()) {
      decide(true);
    } else if (passed_through_) {
      ++statistics_.entries_passed_through;
    } else if (unwell_) {
      warn();
    }
  }
  /// The same where there was no exit: the guest goes on behind a pause of whoever runs it, or
  /// where it was moved to. Not an entry in statistics, and nobody is warned.
  void resume() {
    if (changed()) decide(false);
  }
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
  /// On a fresh one, whose PMU has been restored. The error says what does not fit; nothing has
  /// changed then.
  Result<void> restore(const VirtualLbrState& state);

  void set_observer(LbrObserver* observer) { observer_ = observer; }
  [[nodiscard]] const LbrStatistics& statistics() const { return statistics_; }
  /// Null: none is open.
  [[nodiscard]] hostperf::EventId event() const { return event_; }

 private:
  void on_overflow(hostperf::EventId, std::uint64_t) override {}

  // What the registers say.
  [[nodiscard]] std::uint64_t controls() const;
  [[nodiscard]] bool switched_on() const;
  [[nodiscard]] bool wants_to_record() const;
  [[nodiscard]] std::uint64_t control(MsrIndex msr) const;
  [[nodiscard]] bool exists(MsrIndex msr) const;
  [[nodiscard]] silicon::x86::LbrState registers() const;
  Access access_by_host(MsrIndex msr, const std::uint64_t* value);

  // The event.
  [[nodiscard]] bool is_active() const {
    return event_ != hostperf::kNoEvent && perf_.state(event_) == hostperf::EventState::kActive;
  }
  /// Unless there is one, or one was not to be had and `again` does not say to try.
  void want_event(bool again);
  [[nodiscard]] bool open_event();
  void close_event();
  /// Notes whether the host has taken the unit, or given it back.
  void follow_event();

  [[nodiscard]] Result<void> check(const VirtualLbrState& state) const;

  // Entry.
  [[nodiscard]] bool changed() const {
    return look_ || controls() != entered_with_ || is_active() != passed_through_;
  }
  void decide(bool is_entry);
  void begin_time_slice();
  void pass_through(bool through);
  void warn();

  Pmu& pmu_;
  hostperf::HostPerf& perf_;
  const hostperf::VcpuIndex vcpu_;
  const silicon::x86::LbrModel model_;  ///< the host's
  LbrObserver* observer_ = nullptr;

  hostperf::EventId event_ = hostperf::kNoEvent;
  bool passed_through_ = false;
  bool recording_ = false;
  bool look_ = true;     ///< something has happened since the last entry
  bool unwell_ = false;  ///< at the last entry the guest wanted its records and did not have them
  std::uint64_t entered_with_ = 0;  ///< controls() at the last entry

  // As in VirtualLbrState.
  bool lost_ = false;
  bool touched_ = false;
  bool new_time_slice_ = false;
  std::uint8_t idle_slices_ = 0;
  std::uint64_t recorded_until_ = 0;
  std::uint8_t warned_ = 0;
  std::uint16_t warning_slices_ = 0;
  silicon::x86::LbrState kept_{};  ///< the guest's registers while there is no event
  LbrStatistics statistics_;
  MsrBitmap bitmap_;
};

/// Bits of registers that change what before_entry() decides, each at a place of its own.
inline std::uint64_t Lbr::controls() const {
  using silicon::x86::DebugCtl;
  using silicon::x86::GlobalStatus;
  using silicon::x86::PerfCapabilities;
  constexpr unsigned kFormat = 8;
  return (pmu_.debug_control() & mask_of(DebugCtl::kLbr)) |
         (pmu_.global_status() & mask_of(GlobalStatus::kLbrFrz)) |
         (pmu_.perf_capabilities() & mask_of(PerfCapabilities::kLbrFormat)) << kFormat;
}

}  // namespace vpmu::virt::x86
