// SPDX-License-Identifier: MIT
//
// PV perf, the paravirtual performance interface of one vCPU, ABI version 1.0: CPUID, MSRs, shared
// page, batch doorbell, RDPMC, hypercalls, overflow through LVTPC. docs/abi/pv-perf.md is the
// contract; what it says is not repeated here.
//
// As with the PMU (pmu.hpp), what the guest wrote and what is in effect are kept apart. An access
// that changes what counts only marks events; before_entry() then makes host events agree with the
// registers, one operation for each event however often it was rewritten, writes the page where
// that is due, and delivers the interrupt:
//
//   Access access = pv.write_msr(msr, value, Initiator::kGuest);
//   if (access.is_done()) pv.before_entry();  // before the WRMSR itself retires
//
// and the same behind hypercall(). Before any other guest instruction the machine calls
// before_entry() if has_entry_work(). It asks due_ns() when the guest goes on, and calls
// time_passed() when that time has come.
//
// An event's count is `count + (host event's count - folded)`, modulo 2^W. Host events are pinned
// to the vCPU; one that does not fit, or that the host takes away, shows in STATE, in GLOBAL_STATUS
// and in TIME_EN running ahead of TIME_RUN, and is tried again every millisecond. They are opened
// when an event first runs, and closed when it has been off for a second.
//
// TIME_EN and TIME_RUN pass while the vCPU is on a host CPU, between scheduled_in() and
// scheduled_out().
//
// Not thread-safe, but for gate_changed() and for on_overflow() in signal context: everything they
// touch is atomic. Nothing after construction allocates, except for the text of restore()'s errors.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <tl/expected.hpp>

#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/counter_status.hpp"
#include "vpmu/virt/x86/event_gate.hpp"
#include "vpmu/virt/x86/pv_perf_abi.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"
#include "vpmu/virt/x86/pv_perf_host.hpp"
#include "vpmu/virt/x86/pv_perf_state.hpp"

namespace vpmu::virt::x86 {

class PvPerfEvents;
struct PvPerfMeaning;
class PvPerfPage;

/// Told how the guest's events are doing, for reports.
class PvPerfObserver {
 public:
  /// From now on event `event` is `status`, and was not before or was so with another EVTSEL. As
  /// CounterObserver::counter_changed().
  virtual void pv_event_changed(unsigned event, CounterStatus status, pv::Evtsel evtsel) = 0;

 protected:
  ~PvPerfObserver() = default;
};

class PvPerf final : public hostperf::OverflowHandler, public EventGateUser {
 public:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  /// What it stands on; all must outlive it.
  struct Around {
    /// Of the host: what types 0 and 1 mean there. Need not be what the guest's CPUID says.
    const silicon::x86::CpuModel* model;
    hostperf::HostPerf* perf;
    hostperf::VcpuIndex vcpu;
    PvPerfHost* host;
    PvPerfAreas* areas;
    /// Which raw events (type 2) the guest may name at all, besides what the event filter says;
    /// null: all that the CPU model's own table has, which are core-local.
    const EventGate* raw_events = nullptr;
    /// What LVTPC does with its mask bit is the guest's CPU vendor's.
    silicon::x86::Vendor guest_vendor = silicon::x86::Vendor::kIntel;
  };

  /// In the state after RESET. `config` must be possible and offered.
  PvPerf(const PvPerfConfig& config, const Around& around);
  ~PvPerf();
  PvPerf(const PvPerf&) = delete;
  PvPerf& operator=(const PvPerf&) = delete;

  // ---- What the guest does ----------------------------------------------------------------------

  /// RDMSR and WRMSR, of a guest or of its migration. Initiator::kHost also writes ERROR as it was,
  /// and AREA as it was elsewhere: the page keeps its content.
  Access read_msr(MsrIndex msr, Initiator initiator);
  Access write_msr(MsrIndex msr, std::uint64_t value, Initiator initiator);

  /// RDPMC with that ECX. `may_read` as in Pmu::rdpmc(). `has_pmu`: the guest's CPUID.0AH has a
  /// version; without one ECX may also be the event's number. not_mine(): ECX is none of ours.
  Access rdpmc(std::uint32_t ecx, bool may_read, bool has_pmu);

  struct Hypercall {
    std::uint64_t number;                    ///< RAX
    std::array<std::uint64_t, 4> arguments;  ///< RBX, RCX, RDX, RSI
    bool long_mode;  ///< false: only 32 bits of each count, and of the result
    bool user;       ///< CPL is not 0
  };
  /// done(): what RAX gets. not_mine(): not one of ours, or not offered.
  Access hypercall(const Hypercall& call);

  // ---- What the hypervisor does -----------------------------------------------------------------

  void before_entry();
  [[nodiscard]] bool has_entry_work() const {
    return work_requested_.load(std::memory_order_relaxed);
  }
  /// When before_entry() has something to do though nobody accessed anything, by
  /// PvPerfHost::now_ns(): the page is due, the rate limit's tick ends, an event is to be tried
  /// again, an unused host event closed. kNever: nothing. `halted`: of a vCPU that sleeps, only
  /// what may wake it.
  [[nodiscard]] std::uint64_t due_ns(bool halted) const;
  /// due_ns() has come: there may be entry work.
  void time_passed();

  /// The vCPU was put onto a host CPU, or a new time slice of it begins there: the moment to see
  /// what the host has taken away.
  void scheduled_in();
  /// It was taken off it.
  void scheduled_out();

  /// Something that only the hypervisor can count (type 3) happened `n` times, or for n ns, while
  /// the guest was at that privilege. Cheap if no event counts it: counts().
  void count(pv::Software what, std::uint64_t n, silicon::Privilege privilege);
  [[nodiscard]] bool counts(pv::Software what) const {
    return (software_running_ >> static_cast<unsigned>(what) & 1) != 0;
  }

  /// As the PMU's: Pmu::set_event_gate(), Pmu::gate_changed().
  void set_event_gate(const EventGate* gate) override;
  void gate_changed() override;

  /// RESET. INIT leaves PV perf alone. The gate stays.
  void reset();

  /// At an instruction boundary.
  [[nodiscard]] PvPerfState save();
  /// On a fresh one. The error says what does not fit (fits() in pv_perf_config.hpp, too); it is
  /// then as it was. Set gate and observer before. An interrupt that GLOBAL_STATUS calls for is
  /// not raised again.
  Result<void> restore(const PvPerfState& state);

  // ---- What reports want to know ----------------------------------------------------------------

  [[nodiscard]] const PvPerfConfig& config() const { return config_; }
  /// Null: nobody. Must outlive its use here.
  void set_observer(PvPerfObserver* observer) { observer_ = observer; }
  [[nodiscard]] CounterStatus status(unsigned event) const;
  /// Registers as the guest would read them, without the access.
  [[nodiscard]] std::uint64_t value(unsigned event) const;
  [[nodiscard]] pv::Evtsel evtsel(unsigned event) const { return events_[event].evtsel; }
  [[nodiscard]] std::uint64_t period(unsigned event) const { return events_[event].period; }
  struct Times {
    std::uint64_t enabled_ns;
    std::uint64_t running_ns;
  };
  [[nodiscard]] Times times(unsigned event) const;
  [[nodiscard]] pv::State state(unsigned event) const;
  [[nodiscard]] std::uint64_t global_ctrl() const { return global_ctrl_; }
  [[nodiscard]] std::uint64_t global_status() const { return global_status_; }
  [[nodiscard]] pv::ErrorRegister error() const { return error_; }
  /// What the guest's event is on this host, for people; none if the hypervisor counts it by itself
  /// (type 3), or nobody does.
  struct HostEvent {
    silicon::x86::EventSelector selector;
    /// The counter that an event filter is asked about: a fixed one if only that can count it,
    /// otherwise any general-purpose one.
    CounterIndex asked;
  };
  [[nodiscard]] std::optional<HostEvent> host_event(pv::Evtsel evtsel) const;
  [[nodiscard]] const PvPerfStatistics& statistics() const { return statistics_; }
  /// Host events that are open now, never more than config().events.
  [[nodiscard]] unsigned open_host_events() const;

  void on_overflow(hostperf::EventId event, std::uint64_t cookie) override;

 private:
  /// A bit for each event.
  using EventSet = std::uint32_t;

  struct Event {
    pv::Evtsel evtsel;
    std::uint64_t count = 0;         ///< when the host event's count was `folded`
    std::uint64_t period = 0;        ///< PERIOD
    std::uint64_t time_enabled = 0;  ///< ns, up to `passed_at`
    std::uint64_t time_running = 0;  ///< ns, up to `passed_at`
    std::uint64_t passed_at = 0;     ///< ns; of an enabled event

    hostperf::EventId host = hostperf::kNoEvent;
    std::uint64_t folded = 0;          ///< what of the host event's count is in `count`
    std::uint64_t folded_running = 0;  ///< ns the host event had run then
    /// The host event overflows when its count is `overflows_at`; not if that is not set.
    std::optional<std::uint64_t> overflows_at{};
    /// What `host` was opened for.
    std::uint64_t host_config = 0;
    bool host_user = false;
    bool host_kernel = false;
    std::uint64_t off_since = 0;  ///< ns; of an open host event that is off

    CounterStatus status = CounterStatus::kOff;
    pv::Evtsel status_evtsel;       ///< what `status` was said of
    pv::Code code = pv::Code::kOk;  ///< in STATE
    bool throttled = false;
    /// It reloads and overflowed again though GLOBAL_STATUS said so already: until that is reset,
    /// nobody waits for its overflows.
    bool unheeded = false;

    bool called = false;           ///< open by hypercall
    std::uint64_t call_event = 0;  ///< guest-physical, or PvPerfState::kGone
    std::uint64_t call_read_format = 0;
  };

  // pv_perf_registers.cpp: which register an MSR is, and which writes it takes.
  struct Target;
  [[nodiscard]] Target decode(MsrIndex msr) const;
  [[nodiscard]] EventSet all_events() const;
  [[nodiscard]] std::uint64_t mask() const;  ///< of COUNT
  [[nodiscard]] std::uint64_t status_bits() const;
  Access read_global(pv::Msr msr);
  Access read_bank(unsigned i, pv::BankMsr msr);
  Access write_global(pv::Msr msr, std::uint64_t value, Initiator initiator);
  Access write_error(std::uint64_t value, Initiator initiator);
  Access write_bank(unsigned i, pv::BankMsr msr, std::uint64_t value);
  /// kOk, or what makes it unacceptable.
  [[nodiscard]] pv::Code check_count(std::uint64_t value) const;
  [[nodiscard]] pv::Code check_period(std::uint64_t value) const;

  // pv_perf_counters.cpp: what an event has counted, and the host event behind it. Setters take
  // values that were checked, and only mark what is to be done at the next entry.
  void set_event_select(unsigned i, pv::Evtsel value);
  void set_count(unsigned i, std::uint64_t value);
  void set_period(unsigned i, std::uint64_t value);
  void set_times(unsigned i, Times value);
  void set_global_control(EventSet value);
  [[nodiscard]] bool enabled(unsigned i) const;
  [[nodiscard]] bool any_enabled() const;
  [[nodiscard]] bool reloads(const Event& event) const;
  /// Has a host event that should be counting.
  [[nodiscard]] bool is_hosted(unsigned i) const;
  [[nodiscard]] bool is_lost(const Event& event) const;
  /// Brings count, times and state up to now; notes overflows.
  void fold(unsigned i);
  void fold(unsigned i, std::uint64_t now);
  void fold_host_event(unsigned i, std::uint64_t now);
  void pass(unsigned i, std::uint64_t now, bool lost,
            const std::optional<hostperf::EventCount>& count);
  struct Turn;
  [[nodiscard]] Turn turn(const Event& event, std::uint64_t n) const;
  [[nodiscard]] std::uint64_t later_count(const Event& event, std::uint64_t n) const;
  [[nodiscard]] Times times_at(unsigned i, std::uint64_t now, bool lost,
                               const std::optional<hostperf::EventCount>& count) const;
  /// The event has counted `n` more: wraps, reloads, notes an overflow.
  void advance(unsigned i, std::uint64_t n);
  void overflowed(unsigned i);
  /// Folds the events, which are about to be changed, and has them looked at at the next entry.
  void touch(EventSet events);
  void mark(EventSet events);
  void follow_registers();
  void judge_anew();
  [[nodiscard]] bool may_start(unsigned i);
  void start(unsigned i);
  void start_host_event(unsigned i, const PvPerfMeaning& meaning);
  void stop(unsigned i, CounterStatus why, pv::Code code);
  [[nodiscard]] bool open_host_event(unsigned i, std::uint64_t config);
  [[nodiscard]] std::uint64_t host_period(const Event& event) const;
  void arm(unsigned i);
  void park_host_event(unsigned i);
  void close_host_event(unsigned i);
  void close_idle_host_events();
  void starve(unsigned i, pv::Code code);
  void set_status(unsigned i, CounterStatus status, pv::Code code);
  [[nodiscard]] static pv::State state_of(const Event& event, CounterStatus status, pv::Code code);
  void note_software_events();
  void look_for_lost_events();

  // pv_perf.cpp: entry, time, GLOBAL_STATUS, interrupts.
  void enter();
  void tell_calls();
  void set_error(pv::Code code, std::uint8_t id);
  void reset_status(std::uint64_t bits);
  [[nodiscard]] EventSet interrupting() const;
  [[nodiscard]] bool may_interrupt();
  void raise_interrupt();
  void end_tick(std::uint64_t now);
  void request_work();

  // pv_perf_batch.cpp: AREA, BATCH, publication.
  Access write_area(std::uint64_t value, Initiator initiator);
  Access write_batch(pv::Batch batch);
  void load(EventSet events);
  /// kOk, or what makes it unacceptable.
  [[nodiscard]] pv::Code check(const pv::CommandRecord& command) const;
  void refuse_batch(pv::Code code, std::uint16_t id);
  [[nodiscard]] pv::EventRecord record(unsigned i) const;
  /// Folds all events and writes the page, if there is one. If it is no RAM any more AREA is
  /// cleared, E_GPA. At the next entry when publish_requested_ is set or publish_due_ has come,
  /// behind the reprogramming of events and before the interrupt.
  void publish();
  /// While an event is enabled the page is due a period from now, if it is not due already. To be
  /// called wherever events may have become enabled: at entry, behind the reprogramming of events.
  void schedule_publication();

  // pv_perf_calls.cpp: hypercalls.
  [[nodiscard]] std::int64_t dispatch(const Hypercall& call);
  [[nodiscard]] std::int64_t call(pv::Call call, unsigned id);
  [[nodiscard]] std::int64_t open_call(std::uint64_t address);
  [[nodiscard]] tl::expected<void, pv::CallError> check_call(const pv::CallAttr& attr) const;
  void set_up_call(unsigned i, const pv::CallAttr& attr, std::uint64_t event_address);
  void close_call(unsigned i);
  void acknowledge(unsigned i);
  [[nodiscard]] std::uint8_t* call_memory(unsigned i);
  /// The event's CallEvent is to be written at the next entry. False: it is no RAM any more.
  [[nodiscard]] bool tell_call(unsigned i);
  void write_call_event(unsigned i);

  // pv_perf_state.cpp
  [[nodiscard]] bool countable(pv::Evtsel evtsel) const;
  [[nodiscard]] Result<void> check(const PvPerfState& state) const;
  [[nodiscard]] Result<void> check_globals(const PvPerfState& state) const;
  [[nodiscard]] Result<void> check_event(unsigned i, const PvPerfState::Event& event) const;
  [[nodiscard]] Result<void> check_meaning(unsigned i, const PvPerfState& state) const;
  void restore_event(unsigned i, const PvPerfState::Event& saved);

  const PvPerfConfig config_;
  const Around around_;
  const EventGate* gate_ = nullptr;
  PvPerfObserver* observer_ = nullptr;
  const std::unique_ptr<const PvPerfEvents> meanings_;  ///< of EVTSEL on this host
  const std::unique_ptr<PvPerfPage> page_;

  // What the guest wrote, and sees.
  std::array<Event, pv::kMaxEvents> events_{};
  EventSet global_ctrl_ = 0;
  std::uint64_t global_status_ = 0;
  pv::ErrorRegister error_;
  std::uint32_t batch_seq_ = 0;
  pv::Code batch_code_ = pv::Code::kOk;
  std::uint16_t batch_id_ = pv::kNoId;

  // What is in effect.
  EventSet running_ = 0;                ///< whose status is kCounting
  EventSet software_ = 0;               ///< of these, those that no host event counts
  EventSet starved_ = 0;                ///< to be tried again every millisecond
  EventSet ran_elsewhere_ = 0;          ///< until the guest was moved here, and not started yet
  std::uint32_t software_running_ = 0;  ///< by pv::Software
  bool scheduled_ = false;              ///< on a host CPU: times pass
  EventSet touched_ = 0;                ///< folded since the guest last ran
  EventSet reprogram_ = 0;              ///< whose host events do not follow the registers yet
  EventSet tell_calls_ = 0;             ///< overflowed: their CallEvent is to be written
  bool publish_requested_ = false;
  bool interrupt_pending_ = false;
  bool host_schedule_changed_ = false;  ///< others may have lost their counter

  // Time, in ns by PvPerfHost::now_ns().
  std::uint64_t publish_due_ = kNever;
  std::uint64_t retry_due_ = kNever;
  std::uint64_t close_due_ = kNever;
  std::uint64_t tick_ = 0;  ///< begin of the rate limit's millisecond
  std::uint32_t interrupts_in_tick_ = 0;
  bool interrupt_held_back_ = false;

  /// Set by on_overflow(), gate_changed() and others: before_entry() has work.
  std::atomic<bool> work_requested_ = false;
  std::atomic<EventSet> overflowed_ = 0;  ///< host events that reached their period
  std::atomic<bool> gate_changed_ = false;
  PvPerfStatistics statistics_;
};

}  // namespace vpmu::virt::x86
