// SPDX-License-Identifier: MIT
//
// One vCPU of a PC: the CPU that executes, its local APIC and PMU, what it retired, and the
// hypervisor between it and the devices, which counts every access that would have been an exit.
//
// A vCPU belongs to its machine: it is made before the first run, then given its PMU, and runs when
// the machine says so. While it runs it is the machine's source of time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "machine/devices/cpu_signals.hpp"
#include "machine/devices/local_apic.hpp"
#include "machine/guest_machine.hpp"
#include "machine/pc/board.hpp"
#include "machine/pc/counter_log.hpp"
#include "machine/pc/plain_msrs.hpp"
#include "machine/pc/trace_sink.hpp"
#include "machine/pc/vcpu_pv_perf.hpp"
#include "machine/turn_time.hpp"
#include "machine/turns.hpp"
#include "machine/x86/cpu.hpp"
#include "machine/x86/environment.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/cycle_conditions.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/memory_model.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/exit_stats.hpp"
#include "vpmu/virt/running_vcpu.hpp"
#include "vpmu/virt/x86/event_filter_slot.hpp"
#include "vpmu/virt/x86/lbr.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::machine {

/// Accesses to last branch records that did not exit, because they were passed through.
struct DirectLbrAccesses {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  friend bool operator==(const DirectLbrAccesses&, const DirectLbrAccesses&) = default;
};

/// Everything of a vCPU. INIT and SIPI are never pending between two runs.
struct VcpuState {
  silicon::RetireTotals::State retired{};
  virt::ExitStats::State exits{};
  x86::CpuState cpu;
  LocalApic::State apic;
  PlainMsrs::State plain_msrs;
  virt::x86::PmuState pmu;
  CounterLog::State counter_log;
  silicon::CycleConditions::State conditions;
  virt::x86::VirtualLbrState lbr;  ///< without what the CPU holds back
  DirectLbrAccesses direct_lbr;
  std::optional<VcpuPvPerf::State> pv_perf;  ///< if it is offered
  friend bool operator==(const VcpuState&, const VcpuState&) = default;
};

class Vcpu final : public TurnTaker,
                   public ObservedVcpu,
                   private x86::Environment,
                   private CpuSignals,
                   private virt::x86::PmiSink,
                   private virt::GuestContext {
 public:
  struct Config {
    const silicon::x86::CpuModel* model;
    silicon::x86::Topology topology;  ///< APIC ID 0 is the boot CPU
    TraceSink* trace = nullptr;
    FilterLog* filters = nullptr;  ///< is told of every denial
    virt::x86::LbrObserver* lbr_observer = nullptr;
    bool pass_lbr_through = true;  ///< false: this hypervisor has no MSR bitmap
  };

  /// Reset; all but the boot CPU wait for their start-up IPI. `board` must outlive the vCPU.
  Vcpu(const Config& config, Board& board);
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;

  /// Once, before the first run. `perf` must stay until detach_pmu().
  void attach_pmu(const virt::x86::PmuConfig& config, hostperf::ModelledHostPerf& perf);
  /// Once, behind attach_pmu(): the guest is offered PV perf. `areas` is the VM's, `host` the
  /// host's CPU model; `raw_events` as in virt::x86::PvPerf::Around. All must stay until
  /// detach_pmu().
  void attach_pv_perf(const virt::x86::PvPerfConfig& config, virt::x86::PvPerfAreas& areas,
                      const silicon::x86::CpuModel& host, const virt::x86::EventGate* raw_events);
  /// The PMU and PV perf give their host events back. The vCPU does not run any more.
  void detach_pmu();

  // TurnTaker
  void scheduled_in(hostperf::HostCpu cpu) override;
  void scheduled_out() override;
  CpuExit run(std::uint64_t instructions, std::uint64_t until, bool resumes) override;
  void request_exit() override { cpu_.request_exit(); }
  [[nodiscard]] bool runnable() override;
  [[nodiscard]] std::uint64_t instructions() const override {
    return totals_.read(silicon::RawEvent::kInstructions, silicon::kAllPrivileges);
  }

  // ObservedVcpu. Linear addresses.
  [[nodiscard]] const silicon::RetireTotals& totals() const override { return totals_; }
  [[nodiscard]] Place last_retired() const override;
  std::size_t call_chain(std::span<std::uint64_t> chain) const override;
  std::size_t call_chain_of_last(std::span<std::uint64_t> chain) const override;

  /// What the guest's PMU and PV perf have put off until the vCPU runs is done now.
  void program_counters() { enter_pmu(); }

  [[nodiscard]] unsigned index() const { return config_.topology.apic_id; }

  [[nodiscard]] x86::Cpu& cpu() { return cpu_; }
  [[nodiscard]] const x86::Cpu& cpu() const { return cpu_; }
  [[nodiscard]] LocalApic& apic() { return apic_; }
  [[nodiscard]] silicon::RetireTotals& totals() { return totals_; }
  [[nodiscard]] silicon::Deadlines& deadlines() { return deadlines_; }
  [[nodiscard]] silicon::CycleConditions& conditions() { return conditions_; }
  [[nodiscard]] silicon::MemoryModel& memory_model() { return memory_model_; }
  [[nodiscard]] const virt::x86::Pmu& pmu() const { return *pmu_; }
  [[nodiscard]] const virt::x86::Lbr& lbr() const { return *lbr_; }
  [[nodiscard]] const DirectLbrAccesses& direct_lbr() const { return direct_lbr_; }
  /// Null: the guest is not offered PV perf.
  [[nodiscard]] const VcpuPvPerf* pv_perf() const { return pv_perf_ ? &*pv_perf_ : nullptr; }
  /// From now on `slot` says which events the guest may count. Once, before the first run; `slot`
  /// must stay until detach_pmu().
  void attach_filter(virt::x86::EventFilterSlot& slot);
  /// There is another filter: it is told which counters and events are denied already.
  void note_denied() const;
  [[nodiscard]] const CounterLog& counter_log() const { return counter_log_; }
  [[nodiscard]] const virt::ExitStats& exits() const { return exits_; }

  [[nodiscard]] VcpuState save();
  /// On a vCPU that has not run yet, with the clock and the board restored before.
  Result<void> restore(const VcpuState& state);
  /// After restore(), when everybody who counts on this vCPU is back: what they watch was true, or
  /// was not, as it was then.
  Result<void> restore_conditions(const silicon::CycleConditions::State& saved);

 private:
  // x86::Environment
  x86::CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) override;
  Access read_msr(MsrIndex msr) override;
  Access write_msr(MsrIndex msr, std::uint64_t value) override;
  Access rdpmc(std::uint32_t index, bool may_read) override;
  void control_register_write() override;
  void debug_register_access() override;
  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;
  std::uint64_t read_mmio(std::uint64_t address, unsigned bytes) override;
  void write_mmio(std::uint64_t address, unsigned bytes, std::uint64_t value) override;
  std::uint64_t now() override { return time_.now(); }
  void before_entry() override { enter(false); }
  void tsc_moved(std::uint64_t offset) override { apic_.set_tsc_offset(offset); }
  Access hypercall(const x86::Hypercall& call) override;
  bool interrupt_waiting() override;
  std::uint8_t acknowledge_interrupt() override;
  void nmi_taken() override;
  std::uint8_t task_priority() override { return apic_.task_priority(); }
  void set_task_priority(std::uint8_t priority_class) override;

  // CpuSignals. INIT and SIPI of a running vCPU wait for the end of its instruction.
  void nmi() override;
  void init() override;
  void sipi(std::uint8_t vector) override;
  void wake() override;

  // virt::x86::PmiSink
  virt::x86::PmiOutcome raise_pmi(virt::x86::LvtpcAfterPmi after) override;
  void request_entry_work() override {}  // before_entry() follows at the same boundary

  // virt::GuestContext. Linear addresses.
  [[nodiscard]] bool in_user_mode() const noexcept override { return cpu_.place().user; }
  [[nodiscard]] std::uint64_t instruction_pointer() const noexcept override {
    return cpu_.place().linear;
  }
  [[nodiscard]] std::uint32_t vcpu_index() const noexcept override { return index(); }

  /// What the guest does makes it leave. It enters again when this goes.
  class Exit;

  Access dispatch_read_msr(MsrIndex msr);
  Access dispatch_write_msr(MsrIndex msr, std::uint64_t value);
  /// What RAX gets, of a call whose registers are as wide as its mode has them.
  [[nodiscard]] std::int64_t dispatch_hypercall(const x86::Hypercall& call);
  void record(virt::ExitReason reason);
  [[nodiscard]] TraceSink::Where where();
  /// A device may have armed a timer earlier than this turn's end.
  void after_device_access() { time_.look_at_timers(); }
  void apply_signals();
  x86::Cpu::Exit run_cpu(std::uint64_t instructions, std::uint64_t until);
  void enter_pmu();
  void enter(bool resumes);
  /// Of the host CPU that the vCPU is on.
  [[nodiscard]] silicon::x86::LbrStack* lbr_unit() const { return perf_->lbr_unit(host_cpu_); }
  Access traced_read(MsrIndex msr, Access access);
  Access traced_write(MsrIndex msr, std::uint64_t value, Access access);
  Access read_directly(MsrIndex msr);
  Access write_directly(MsrIndex msr, std::uint64_t value);

  const Config config_;
  Board& board_;
  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  silicon::CycleConditions conditions_{totals_};
  silicon::MemoryModel memory_model_;
  PlainMsrs plain_msrs_;
  virt::ExitStats exits_;
  x86::Cpu cpu_;
  TurnTime<x86::Cpu> time_{board_.clock, cpu_};
  CounterLog counter_log_;
  LocalApic apic_;
  hostperf::ModelledHostPerf* perf_ = nullptr;
  hostperf::HostCpu host_cpu_{};  ///< that the vCPU is on, or was on last
  std::optional<virt::x86::Pmu> pmu_;
  std::optional<virt::x86::Lbr> lbr_;
  std::optional<VcpuPvPerf> pv_perf_;
  DirectLbrAccesses direct_lbr_;

  bool init_pending_ = false;
  std::optional<std::uint8_t> sipi_pending_;
};

}  // namespace vpmu::machine
