// SPDX-License-Identifier: MIT
//
// The PMU that a guest's vCPU sees: MSRs, RDPMC, CPUID, overflow and PMI. Intel architectural
// performance monitoring, versions 1 to 5; AMD K7 and core extension counters and PerfMonV2. With
// KVM's behaviour where the manuals leave room.
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
// A hypervisor whose hardware does not retire the instructions that it intercepts completes them
// itself, and host events do not see them. It calls instruction_emulated() instead, behind
// write_msr() and before before_entry(). One or the other: an instruction counts once.
//
// A counter's value is `value + (host event's count - folded)`, always masked to its width. Host
// events are opened when a counter first runs, kept while it is stopped for a while, and closed by
// the before_entry() after scheduled_in() if the guest no longer uses the counter. A counter that
// has no host event where it should have one stands still and keeps its value; it is tried again at
// the next change of registers and in every time slice.
//
// Not thread-safe, but for gate_changed() and for on_overflow() in signal context: everything they
// touch is atomic.
// Nothing after construction allocates, except for the text of restore()'s errors.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/virt/x86/counter_status.hpp"
#include "vpmu/virt/x86/event_gate.hpp"
#include "vpmu/virt/x86/pmi_sink.hpp"
#include "vpmu/virt/x86/pmu_config.hpp"
#include "vpmu/virt/x86/pmu_state.hpp"

namespace vpmu::virt::x86 {

/// What a hypervisor has completed for the guest. A branch is also an instruction.
enum class EmulatedInstruction : std::uint8_t { kPlain, kBranch };

class Pmu final : public hostperf::OverflowHandler, public EventGateUser {
 public:
  static constexpr std::size_t kMaxGp = PmuState::kMaxGp;
  static constexpr std::size_t kMaxFixed = PmuState::kMaxFixed;

  /// In the state after RESET. `perf` and `sink` must outlive the PMU. `config` must be possible
  /// (possible() in pmu_config.hpp) and offer no more than kMaxGp and kMaxFixed counters.
  Pmu(const PmuConfig& config, hostperf::HostPerf& perf, hostperf::VcpuIndex vcpu, PmiSink& sink);
  ~Pmu();
  Pmu(const Pmu&) = delete;
  Pmu& operator=(const Pmu&) = delete;

  /// RDMSR and WRMSR, of a guest or of its migration (Initiator::kHost). not_mine(): not an MSR of
  /// performance monitoring; IA32_MISC_ENABLE and IA32_DEBUGCTL are handled here. At an instruction
  /// boundary. IA32_PERF_CAPABILITIES is the host's to change until the first scheduled_in(), or
  /// the guest's first RDMSR, WRMSR or RDPMC.
  Access read_msr(MsrIndex msr, Initiator initiator);
  Access write_msr(MsrIndex msr, std::uint64_t value, Initiator initiator);

  /// RDPMC with that ECX. `may_read`: CR4.PCE is set, or CPL is 0, or CR0.PE is clear.
  Access rdpmc(std::uint32_t ecx, bool may_read);

  /// Makes what silicon::x86::cpuid() gave for `leaf` what the guest is to see: leaves 0AH, 1CH and
  /// 80000022H, PDCM in leaf 1, HLE, RTM and architectural LBRs in leaf 7, PerfCtrExtCore in leaf
  /// 80000001H.
  void adjust_cpuid(std::uint32_t leaf, silicon::x86::CpuidResult& result) const;

  /// Makes host events follow the registers, and delivers a pending PMI. At an instruction
  /// boundary: after every access that was done, and otherwise if has_entry_work().
  void before_entry();
  [[nodiscard]] bool has_entry_work() const {
    return reprogram_requested_.load(std::memory_order_relaxed) ||
           pmi_pending_.load(std::memory_order_relaxed);
  }

  /// The vCPU was put onto a host CPU: a new time slice. Counters without a host event are tried
  /// again, unused host events go, both at the next before_entry().
  void scheduled_in();

  /// The hypervisor has completed an instruction for the guest, which the host therefore did not
  /// count: counters of retired instructions and branches advance. After its effects are applied.
  /// A CPU that retires such instructions itself, as this project's interpreter does, must not call
  /// it: they would count twice.
  void instruction_emulated(EmulatedInstruction kind, silicon::Privilege privilege);

  void set_event_gate(const EventGate* gate) override;
  void gate_changed() override;

  /// AMD: EFER.SVME of the vCPU, and whether it runs a guest of its own (between VMRUN and
  /// #VMEXIT): what Guest-Only and Host-Only depend on.
  void set_svm(bool svme, bool guest_mode);

  /// RESET. INIT leaves a PMU alone. Gate and SVM mode stay.
  void reset();

  /// At an instruction boundary. What is pending (a PMI, an overflow of which the host has counted
  /// the last instruction) is in it and happens where it is restored.
  [[nodiscard]] PmuState save();
  /// On a fresh PMU. The error says what does not fit; the PMU is then as it was. Set gate and
  /// observer before.
  Result<void> restore(const PmuState& state);

  [[nodiscard]] const PmuConfig& config() const { return config_; }
  /// Registers that decide what the last branch records (lbr.hpp) do.
  [[nodiscard]] std::uint64_t perf_capabilities() const { return perf_capabilities_; }
  [[nodiscard]] std::uint64_t debug_control() const { return debug_control_; }
  [[nodiscard]] std::uint64_t global_status() const {
    return global_status_.load(std::memory_order_relaxed);
  }
  /// Null: nobody. Must outlive its use here.
  void set_observer(CounterObserver* observer) { observer_ = observer; }
  [[nodiscard]] CounterStatus status(CounterIndex counter) const;
  /// As a guest would read it, without the access.
  [[nodiscard]] std::uint64_t value(CounterIndex counter) const;
  [[nodiscard]] PmuStatistics statistics() const;

  void on_overflow(hostperf::EventId event, std::uint64_t cookie) override;

 private:
  /// What is the same for general-purpose and fixed counters.
  struct Counter {
    std::uint64_t value = 0;   ///< when the event's count was `folded`; masked to the width
    std::uint64_t folded = 0;  ///< what of the event's count is in `value`
    hostperf::EventId event = hostperf::kNoEvent;
    /// What `event` was opened for.
    std::uint64_t config = 0;
    bool user = false;
    bool kernel = false;
    bool touched = false;  ///< accessed through an MSR in this time slice
    CounterStatus status = CounterStatus::kOff;
    std::uint64_t status_config = 0;  ///< what `status` was said of
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

  // pmu_msrs.cpp: what is the same for both vendors.
  [[nodiscard]] bool is_intel() const { return config_.vendor == silicon::x86::Vendor::kIntel; }
  [[nodiscard]] Target decode(MsrIndex msr) const;
  [[nodiscard]] std::uint64_t inuse() const;
  [[nodiscard]] bool can_be_perf_capabilities(std::uint64_t value) const;
  Access write_perf_capabilities(std::uint64_t value, Initiator initiator);
  void set_perf_capabilities(std::uint64_t value);
  [[nodiscard]] std::uint64_t writable_debug_control(std::uint64_t perf_capabilities) const;
  Access write_misc_enable(std::uint64_t value, Initiator initiator);
  Access write_debug_control(std::uint64_t value);
  void set_counter(CounterIndex index, std::uint64_t value);
  void set_event_select(unsigned i, std::uint64_t value);
  void set_fixed_control(std::uint64_t value);
  void set_global_control(std::uint64_t value);
  void change_global_status(std::uint64_t clear, std::uint64_t set);

  // pmu_msrs_intel.cpp, pmu_msrs_amd.cpp: which register an MSR is, and which writes it takes.
  [[nodiscard]] Target decode_intel(MsrIndex msr) const;
  [[nodiscard]] Target decode_amd(MsrIndex msr) const;
  Access write_intel(Target target, std::uint64_t value, Initiator initiator);
  Access write_amd(Target target, std::uint64_t value, Initiator initiator);
  [[nodiscard]] std::uint64_t writable_event_select(unsigned i) const;

  // pmu_counters.cpp: what the registers say.
  [[nodiscard]] Counter& counter(CounterIndex index);
  [[nodiscard]] const Counter& counter(CounterIndex index) const;
  [[nodiscard]] std::uint64_t mask(CounterIndex index) const;
  [[nodiscard]] bool interrupts(CounterIndex index) const;
  [[nodiscard]] Programme programme(CounterIndex index) const;
  [[nodiscard]] silicon::x86::EventSelector event_of(unsigned gp) const;
  [[nodiscard]] bool locally_enabled(CounterIndex index) const;
  [[nodiscard]] bool in_counted_mode(unsigned gp) const;
  [[nodiscard]] bool enabled(CounterIndex index) const;
  [[nodiscard]] bool admitted(CounterIndex index) const;
  [[nodiscard]] std::uint64_t all_counters() const { return global_control_writable_; }

  // pmu_counters.cpp: values and host events.
  [[nodiscard]] std::uint64_t read_counter(CounterIndex index);
  void fold(CounterIndex index);
  [[nodiscard]] std::uint64_t period(CounterIndex index) const;
  void request_reprogram(std::uint64_t counters);
  /// False: host perf has no room now; to be tried again.
  bool reprogram(CounterIndex index);
  bool start(CounterIndex index, Programme wanted);
  hostperf::EventState rearm(CounterIndex index);
  void stop(CounterIndex index, CounterStatus why);
  bool open_event(CounterIndex index, Programme wanted);
  void close_event(CounterIndex index);
  void close_unused_events();
  void set_status(CounterIndex index, CounterStatus status, std::uint64_t config);
  [[nodiscard]] bool is_lost(const Counter& checked) const;
  /// Looks which counters the host has taken away.
  void look_for_lost_events();
  void note_creditable(CounterIndex index);
  void credit(CounterIndex index);

  // pmu_state.cpp
  [[nodiscard]] Result<void> check(const PmuState& state) const;

  // pmu.cpp: entry, overflow, PMI.
  void follow_registers();
  void overflowed(CounterIndex index);
  void deliver_pmi();
  void freeze_counters();
  void freeze_lbrs();

  const PmuConfig config_;
  hostperf::HostPerf& perf_;
  const hostperf::VcpuIndex vcpu_;
  PmiSink& sink_;
  const EventGate* gate_ = nullptr;
  CounterObserver* observer_ = nullptr;

  // What the guest may write; everything else is reserved.
  std::uint64_t global_control_writable_ = 0;
  std::uint64_t global_status_valid_ = 0;
  std::uint64_t fixed_control_writable_ = 0;
  std::uint64_t event_select_writable_ = 0;
  std::uint64_t debug_control_writable_ = 0;
  std::uint64_t freezing_status_ = 0;  ///< bits of GLOBAL_STATUS that stop all counters

  // What the guest wrote.
  std::array<std::uint64_t, kMaxGp> event_select_{};
  std::uint64_t fixed_control_ = 0;
  std::uint64_t global_control_ = 0;
  std::atomic<std::uint64_t> global_status_ = 0;
  std::uint64_t misc_enable_ = 0;
  std::uint64_t debug_control_ = 0;
  std::uint64_t perf_capabilities_;
  bool ran_ = false;  ///< the guest may know IA32_PERF_CAPABILITIES: it stays
  bool svme_ = false;
  bool guest_mode_ = false;

  // What is in effect.
  std::array<Counter, kMaxGp> gp_{};
  std::array<Counter, kMaxFixed> fixed_{};
  std::uint64_t counting_ = 0;  ///< counters whose status is kCounting, by GLOBAL_CTRL bit

  /// Locally enabled counters of retired instructions and of retired branches, as far as selectors
  /// say: whether they may count is asked anew for each instruction.
  std::uint64_t instruction_counters_ = 0;
  std::uint64_t branch_counters_ = 0;

  /// Counters whose host events do not follow the registers yet, by GLOBAL_CTRL bit. A counter that
  /// host perf has no room for stays in it without a request.
  std::atomic<std::uint64_t> reprogram_ = 0;
  std::atomic<bool> reprogram_requested_ = false;
  std::atomic<bool> gate_changed_ = false;  ///< every counter is to be reprogrammed
  std::atomic<bool> pmi_pending_ = false;
  std::atomic<std::uint64_t> overflows_ = 0;
  /// Counters that were credited: the host event overflows too late. Unlike in `reprogram_`, an
  /// overflow of theirs is one.
  std::uint64_t credited_ = 0;
  bool new_time_slice_ = false;
  bool host_schedule_changed_ =
      false;  ///< an event was enabled: others may have lost their counter
  PmuStatistics statistics_;
};

}  // namespace vpmu::virt::x86
