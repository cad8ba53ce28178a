// SPDX-License-Identifier: MIT
//
// The PMU that a guest's vCPU sees: MSRs, RDPMC, CPUID, overflow and PMI. Intel architectural
// performance monitoring version 1 and 2, with KVM's behaviour where the manual leaves room.
//
// What the guest wrote and what is in effect are kept apart. A write that changes what counts only
// marks counters; before_entry() then makes host events agree with the registers. So:
//
//   Access access = pmu.write_msr(msr, value, Initiator::kGuest);
//   if (access.is_done()) pmu.before_entry();  // before the WRMSR itself retires
//
// With that order the WRMSR that starts a counter is counted and the one that stops it is not.
// Before any other guest instruction the machine calls before_entry() if has_entry_work().
//
// A counter's value is `value + (host event's count - folded)`, always masked to its width. Host
// events are opened when a counter first runs, kept while it is stopped for a while, and closed by
// the before_entry() after scheduled_in() if the guest no longer uses the counter.
//
// Not thread-safe, but for on_overflow() in signal context: everything it touches is atomic.
// Nothing after construction allocates.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"
#include "vpmu/virt/x86/pmi_sink.hpp"
#include "vpmu/virt/x86/pmu_config.hpp"

namespace vpmu::virt::x86 {

/// A counter by its bit in IA32_PERF_GLOBAL_CTRL: general-purpose i is i, fixed k is 32 + k.
enum class CounterIndex : std::uint8_t {};
constexpr CounterIndex gp_counter(unsigned i) {
  return static_cast<CounterIndex>(i);
}
constexpr CounterIndex fixed_counter(unsigned k) {
  return static_cast<CounterIndex>(silicon::x86::GlobalStatus::kFixed0 + k);
}

/// Whether a counter does what the guest asked of it. Only for reports: the guest cannot see it.
enum class CounterStatus : std::uint8_t {
  kOff,               ///< not enabled, locally or globally
  kCounting,          ///< what the guest asked for
  kUnsupportedEvent,  ///< enabled, but the host cannot count the event: stands still
  kStarved,           ///< enabled, but the host has no counter for it: stands still
  kDenied,            ///< enabled, but the guest may not count the event: stands still
};
/// The name that reports use, e.g. "unsupported event". Never null.
const char* name(CounterStatus status);

struct PmuStatistics {
  std::uint64_t overflows = 0;    ///< of all counters, whether or not they ask for an interrupt
  std::uint64_t pmis_raised = 0;  ///< sent to LVTPC: one for all overflows between two entries
  std::uint64_t pmis_delivered = 0;
  std::uint64_t pmis_masked = 0;
  std::uint64_t pmis_rejected = 0;
};

class Pmu final : public hostperf::OverflowHandler {
 public:
  static constexpr std::size_t kMaxGp = 8;
  static constexpr std::size_t kMaxFixed = 4;

  /// In the state after RESET. `perf` and `sink` must outlive the PMU. `config` must not offer more
  /// than kMaxGp and kMaxFixed counters.
  Pmu(const PmuConfig& config, hostperf::HostPerf& perf, hostperf::VcpuIndex vcpu, PmiSink& sink);
  ~Pmu();
  Pmu(const Pmu&) = delete;
  Pmu& operator=(const Pmu&) = delete;

  /// RDMSR and WRMSR, of a guest or of its migration (Initiator::kHost). not_mine(): not an MSR of
  /// performance monitoring; IA32_MISC_ENABLE and IA32_DEBUGCTL are handled here. At an instruction
  /// boundary.
  Access read_msr(MsrIndex msr, Initiator initiator);
  Access write_msr(MsrIndex msr, std::uint64_t value, Initiator initiator);

  /// RDPMC with that ECX. `may_read`: CR4.PCE is set, or CPL is 0, or CR0.PE is clear.
  Access rdpmc(std::uint32_t ecx, bool may_read);

  /// Makes what silicon::x86::cpuid() gave for `leaf` what the guest is to see: leaf 0AH, and PDCM
  /// in leaf 1.
  void adjust_cpuid(std::uint32_t leaf, silicon::x86::CpuidResult& result) const;

  /// Makes host events follow the registers, and delivers a pending PMI. At an instruction
  /// boundary: after every access that was done, and otherwise if has_entry_work().
  void before_entry();
  [[nodiscard]] bool has_entry_work() const {
    return reprogram_requested_.load(std::memory_order_relaxed) ||
           pmi_pending_.load(std::memory_order_relaxed);
  }

  /// The vCPU was put onto a host CPU: a new time slice. Unused host events go at the next
  /// before_entry().
  void scheduled_in();

  /// RESET. INIT leaves a PMU alone.
  void reset();

  [[nodiscard]] const PmuConfig& config() const { return config_; }
  [[nodiscard]] CounterStatus status(CounterIndex counter) const;
  [[nodiscard]] PmuStatistics statistics() const;

  void on_overflow(hostperf::EventId event, std::uint64_t cookie) override;

 private:
  /// What is the same for general-purpose and fixed counters.
  struct Counter {
    std::uint64_t value = 0;   ///< when the event's count was `folded`; masked to the width
    std::uint64_t folded = 0;  ///< what of the event's count is in `value`
    hostperf::EventId event = hostperf::kNoEvent;
    /// What `event` was opened for, and how the last attempt to program it ended.
    std::uint64_t config = 0;
    bool user = false;
    bool kernel = false;
    CounterStatus status = CounterStatus::kOff;
    bool touched = false;  ///< accessed through an MSR in this time slice
  };
  /// What a counter is to count, worked out from the registers.
  struct Programme {
    std::uint64_t config;
    bool user;
    bool kernel;
  };
  struct Target {
    enum class Kind : std::uint8_t;
    Kind kind;
    std::uint8_t index = 0;
  };

  // pmu_msrs.cpp: which register an MSR is, and what its reads and writes do.
  [[nodiscard]] Target decode(MsrIndex msr) const;
  [[nodiscard]] Target decode_absent(MsrIndex msr) const;
  Access write_counter(CounterIndex index, std::uint64_t value);
  Access write_event_select(unsigned i, std::uint64_t value);
  Access write_fixed_control(std::uint64_t value);
  Access write_global_control(std::uint64_t value);
  Access write_misc_enable(std::uint64_t value, Initiator initiator);
  Access write_debug_control(std::uint64_t value);

  // pmu_counters.cpp: from registers to host events and back.
  [[nodiscard]] Counter& counter(CounterIndex index);
  [[nodiscard]] const Counter& counter(CounterIndex index) const;
  [[nodiscard]] std::uint64_t mask(CounterIndex index) const;
  [[nodiscard]] bool interrupts(CounterIndex index) const;
  [[nodiscard]] Programme programme(CounterIndex index) const;
  [[nodiscard]] bool locally_enabled(CounterIndex index) const;
  /// The one predicate: whether a counter is to count now.
  [[nodiscard]] bool may_count(CounterIndex index) const;
  [[nodiscard]] std::uint64_t read_counter(CounterIndex index) const;
  void fold(CounterIndex index);
  void request_reprogram(std::uint64_t counters);
  /// False: host perf has no room now; to be tried again.
  bool reprogram(CounterIndex index);
  bool start(CounterIndex index, Programme wanted);
  bool open_event(CounterIndex index, Programme wanted);
  void close_event(CounterIndex index);
  void close_unused_events();
  void deliver_pmi();
  [[nodiscard]] std::uint64_t all_counters() const { return global_control_writable_; }

  const PmuConfig config_;
  hostperf::HostPerf& perf_;
  const hostperf::VcpuIndex vcpu_;
  PmiSink& sink_;

  // What the guest may write; everything else is reserved.
  std::uint64_t global_control_writable_ = 0;
  std::uint64_t global_status_valid_ = 0;
  std::uint64_t fixed_control_writable_ = 0;
  std::uint64_t event_select_writable_ = 0;

  // What the guest wrote.
  std::array<silicon::x86::EventSelect, kMaxGp> event_select_{};
  std::uint64_t fixed_control_ = 0;
  std::uint64_t global_control_ = 0;
  std::atomic<std::uint64_t> global_status_ = 0;
  std::uint64_t misc_enable_ = 0;
  std::uint64_t debug_control_ = 0;

  // What is in effect.
  std::array<Counter, kMaxGp> gp_{};
  std::array<Counter, kMaxFixed> fixed_{};

  /// Counters whose host events do not follow the registers yet, by GLOBAL_CTRL bit. A counter that
  /// host perf has no room for stays in it without a request.
  std::atomic<std::uint64_t> reprogram_ = 0;
  std::atomic<bool> reprogram_requested_ = false;
  std::atomic<bool> pmi_pending_ = false;
  std::atomic<std::uint64_t> overflows_ = 0;
  bool new_time_slice_ = false;
  PmuStatistics statistics_;
};

}  // namespace vpmu::virt::x86
