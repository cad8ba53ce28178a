// SPDX-License-Identifier: MIT
//
// The PMU that a guest's vCPU sees on Arm: PMUv3 of Armv8.0 to Armv8.5 with EL1 and EL0, its system
// registers and its overflow interrupt. With KVM's behaviour where the manual leaves room.
//
// What the guest wrote and what is in effect are kept apart. A write that changes what counts only
// marks counters; before_entry() then makes host events and the interrupt agree with the registers:
//
//   Access access = pmu.write_register(which, value, privilege, Initiator::kGuest);
//   if (access.is_done()) pmu.before_entry();  // before the MSR itself retires
//
// With that order the MSR that starts a counter is counted and the one that stops it is not. Before
// any other guest instruction the machine calls before_entry() if has_entry_work().
//
// Host events are opened when a counter first runs, kept while it is stopped for a while, and
// closed by the before_entry() after scheduled_in() if the guest no longer uses the counter. A
// counter that has no host event where it should have one stands still and keeps its value; it is
// tried again at the next change of registers and in every time slice.
//
// SW_INCR and CHAIN take no host event: the PMU counts them itself.
//
// Not thread-safe, but for gate_changed() and for on_overflow() in signal context: everything they
// touch is atomic. Nothing after construction allocates, except for the text of restore()'s errors.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/virt/arm64/event_gate.hpp"
#include "vpmu/virt/arm64/overflow_sink.hpp"
#include "vpmu/virt/arm64/pmu_config.hpp"
#include "vpmu/virt/arm64/pmu_state.hpp"
#include "vpmu/virt/counter_event.hpp"
#include "vpmu/virt/counter_status.hpp"

namespace vpmu::virt::arm64 {

/// `n` < 31.
constexpr CounterIndex event_counter(unsigned n) {
  return static_cast<CounterIndex>(n);
}
inline constexpr CounterIndex kCycleCounter{31};

class Pmu final : public hostperf::OverflowHandler {
 public:
  /// After reset. `perf` and `sink` must outlive the PMU. `config` must be possible (possible() in
  /// pmu_config.hpp).
  Pmu(const PmuConfig& config, hostperf::HostPerf& perf, hostperf::VcpuIndex vcpu,
      OverflowSink& sink);
  ~Pmu();
  Pmu(const Pmu&) = delete;
  Pmu& operator=(const Pmu&) = delete;

  /// MRS and MSR, of a guest at EL0 (kUser) or EL1, or of its migration (Initiator::kHost). At an
  /// instruction boundary. fault(): undefined. trap(): at EL0, and PMUSERENR_EL0 does not permit
  /// it. not_mine(): not a register of performance monitoring. The host sets PMOVSSET_EL0 and its
  /// like to the value that it writes, and writes PMCR_EL0 without resetting anything.
  Access read_register(silicon::arm64::SystemRegister which, silicon::Privilege privilege,
                       Initiator initiator);
  Access write_register(silicon::arm64::SystemRegister which, std::uint64_t value,
                        silicon::Privilege privilege, Initiator initiator);

  /// Makes host events and the interrupt follow the registers. At an instruction boundary: after
  /// every access that was done, and otherwise if has_entry_work().
  void before_entry();
  [[nodiscard]] bool has_entry_work() const { return entry_work_.load(std::memory_order_relaxed); }

  /// The vCPU was put onto a host CPU: a new time slice. Counters without a host event are tried
  /// again, unused host events go, both at the next before_entry().
  void scheduled_in();

  /// Which events the guest may count; null: all. `gate` must outlive its use here. From the next
  /// guest instruction on, for what counts already too: the vCPU must come by before_entry().
  void set_event_gate(const EventGate* gate);
  /// The gate's answers have changed: as if it had been set anew. On any thread.
  void gate_changed();

  /// A reset of the vCPU; the gate stays. What the manual leaves unknown is 0.
  void reset();

  /// At an instruction boundary. An overflow of which the host has counted the last instruction is
  /// in it.
  [[nodiscard]] PmuState save();
  /// On a fresh PMU. The error says what does not fit; the PMU is then as it was. Set gate and
  /// observer before.
  Result<void> restore(const PmuState& state);

  [[nodiscard]] const PmuConfig& config() const { return config_; }
  /// Null: nobody. Must outlive its use here.
  void set_observer(CounterObserver* observer) { observer_ = observer; }
  [[nodiscard]] CounterStatus status(CounterIndex counter) const;
  /// As a guest would read it, without the access.
  [[nodiscard]] std::uint64_t value(CounterIndex counter) const;
  /// What the counter is to count: its event number.
  [[nodiscard]] std::uint16_t event(CounterIndex counter) const;
  /// The overflow interrupt, as last told to the sink.
  [[nodiscard]] bool overflow_line() const { return asserted_; }
  [[nodiscard]] const PmuStatistics& statistics() const { return statistics_; }

  void on_overflow(hostperf::EventId event, std::uint64_t cookie) override;

 private:
  struct Counter {
    std::uint64_t value = 0;  ///< but for what `host` counted and was not asked for
    std::uint64_t type = 0;   ///< PMEVTYPER<n>_EL0, or PMCCFILTR_EL0
    CounterEvent host;
    bool touched = false;  ///< accessed in this time slice
    CounterStatus status = CounterStatus::kOff;
    std::uint16_t status_event = 0;  ///< what `status` was said of
  };
  /// What a counter has become.
  struct Advanced {
    std::uint64_t value;
    std::uint8_t undivided;
  };
  /// What a register is.
  struct Target {
    enum class Kind : std::uint8_t;
    Kind kind;
    CounterIndex counter{};
  };
  struct Rule;

  // pmu_registers.cpp
  [[nodiscard]] Target decode(silicon::arm64::SystemRegister which) const;
  [[nodiscard]] static Target decode_numbered(silicon::arm64::SystemRegister which);
  [[nodiscard]] static Rule rule(Target target, bool write);
  [[nodiscard]] Access permission(Target target, bool write, silicon::Privilege privilege) const;
  [[nodiscard]] bool exists(Target target) const;
  void write(Target target, std::uint64_t value, silicon::Privilege privilege);
  bool write_whole(Target target, std::uint64_t value);
  [[nodiscard]] std::uint64_t control() const;
  void write_control(std::uint64_t value);
  void set_control(std::uint64_t value);
  void set_enabled(std::uint64_t counters);
  void set_type(CounterIndex index, std::uint64_t value);
  void set_counter(CounterIndex index, std::uint64_t value);
  void software_increment(std::uint64_t counters, silicon::Privilege privilege);
  [[nodiscard]] std::uint64_t common_events(unsigned word) const;

  // pmu_counters.cpp: what the registers say.
  [[nodiscard]] Counter& counter(CounterIndex index) {
    return counters_[static_cast<std::size_t>(index)];
  }
  [[nodiscard]] const Counter& counter(CounterIndex index) const {
    return counters_[static_cast<std::size_t>(index)];
  }
  [[nodiscard]] std::uint64_t mask(CounterIndex index) const;
  [[nodiscard]] std::uint64_t overflow_mask(CounterIndex index) const;
  [[nodiscard]] bool divides(CounterIndex index) const;
  [[nodiscard]] bool enabled(CounterIndex index) const;
  [[nodiscard]] bool chains(CounterIndex index) const;
  [[nodiscard]] hostperf::EventAttr attr(CounterIndex index) const;
  [[nodiscard]] std::uint64_t period(CounterIndex index) const;
  [[nodiscard]] std::uint64_t writable_type(CounterIndex index) const;

  // pmu_counters.cpp: values and host events.
  [[nodiscard]] Advanced advanced(CounterIndex index, std::uint64_t count) const;
  void fold(CounterIndex index);
  void count_one(CounterIndex index);
  void overflowed(CounterIndex index);
  void request_reprogram(std::uint64_t counters);
  /// False: host perf has no room now; to be tried again.
  [[nodiscard]] bool offers(std::uint16_t event) const;
  bool reprogram(CounterIndex index);
  bool start(CounterIndex index);
  void stop(CounterIndex index, CounterStatus why);
  void close_event(CounterIndex index);
  void close_unused_events();
  void set_status(CounterIndex index, CounterStatus status, std::uint16_t event);
  /// Looks which counters the host has taken away.
  void look_for_lost_events();

  // pmu_state.cpp
  [[nodiscard]] Result<void> check(const PmuState& state) const;

  // pmu.cpp: entry, overflow, interrupt.
  void settle_overflows();
  void follow_registers();
  void update_line();

  const PmuConfig config_;
  hostperf::HostPerf& perf_;
  const hostperf::VcpuIndex vcpu_;
  OverflowSink& sink_;
  const EventGate* gate_ = nullptr;
  CounterObserver* observer_ = nullptr;
  std::uint64_t all_counters_ = 0;      ///< those that exist
  std::uint64_t control_writable_ = 0;  ///< of PMCR_EL0, and kept

  // What the guest wrote.
  std::uint64_t control_ = 0;
  std::uint64_t enabled_ = 0;
  std::uint64_t overflowed_ = 0;
  std::uint64_t interrupting_ = 0;
  std::uint64_t selected_ = 0;
  std::uint64_t user_enable_ = 0;

  // What is in effect.
  std::array<Counter, PmuState::kCounters> counters_{};
  std::uint64_t counting_ = 0;  ///< counters whose status is kCounting
  std::uint8_t undivided_ = 0;  ///< cycles that the divider holds back
  bool asserted_ = false;

  /// Counters whose host events have overflowed, which the registers do not say yet.
  std::atomic<std::uint64_t> unsettled_ = 0;
  /// Counters whose host events do not follow the registers yet. A counter that host perf has no
  /// room for stays in it without a request.
  std::atomic<std::uint64_t> reprogram_ = 0;
  std::atomic<bool> gate_changed_ = false;  ///< every counter is to be reprogrammed
  std::atomic<bool> entry_work_ = false;
  bool new_time_slice_ = false;
  /// An event was enabled: others may have lost their counter.
  bool host_schedule_changed_ = false;
  PmuStatistics statistics_;
};

}  // namespace vpmu::virt::arm64
