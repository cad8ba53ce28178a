// SPDX-License-Identifier: MIT
//
// One vCPU of an arm64 board: the CPU that executes, its timers, its share of the interrupt
// controller and its PMU, what it retired, and the hypervisor between it and the devices, which
// counts every access that would have been an exit: device memory, calls, waiting, and of the
// system registers those that KVM keeps for itself (the PMU's, the physical timer's, SGIs).
//
// A vCPU belongs to its machine: it is made before the first run, then given its PMU, and runs when
// the machine says so. While it runs it is the machine's source of time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "machine/arm64/cpu.hpp"
#include "machine/arm64/environment.hpp"
#include "machine/arm64_board/board.hpp"
#include "machine/arm64_board/counter_log.hpp"
#include "machine/arm64_board/guest_spe.hpp"
#include "machine/arm64_board/spe_profiler.hpp"
#include "machine/arm64_board/trace_sink.hpp"
#include "machine/devices/event_stream.hpp"
#include "machine/devices/generic_timer.hpp"
#include "machine/devices/gic_cpu_interface.hpp"
#include "machine/devices/gic_redistributor.hpp"
#include "machine/devices/semihosting.hpp"
#include "machine/guest_machine.hpp"
#include "machine/turn_time.hpp"
#include "machine/turns.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/memory_model.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/virt/arm64/overflow_sink.hpp"
#include "vpmu/virt/arm64/pmu.hpp"
#include "vpmu/virt/arm64/spe_vm.hpp"
#include "vpmu/virt/exit_stats.hpp"
#include "vpmu/virt/running_vcpu.hpp"

namespace vpmu::machine::arm64 {

/// All vCPUs of a machine, as far as one of them can tell.
class EventSink {
 public:
  /// SEV was executed.
  virtual void send_event() = 0;

 protected:
  ~EventSink() = default;
};

/// Everything of a vCPU.
struct VcpuState {
  silicon::RetireTotals::State retired{};
  virt::ExitStats::State exits{};
  CpuState cpu;
  GicRedistributor::State redistributor;
  GicCpuInterface::State gic;
  GenericTimer::State timer;
  virt::arm64::PmuState pmu;
  std::optional<virt::arm64::SpeState> spe;
  CounterLog::State counter_log;  ///< for the report only
  friend bool operator==(const VcpuState&, const VcpuState&) = default;
};

class Vcpu final : public TurnTaker,
                   public ObservedVcpu,
                   private Environment,
                   private SemihostingMemory,
                   private GicCpuSignals,
                   private EventStreamListener,
                   private virt::arm64::OverflowSink,
                   private virt::GuestContext {
 public:
  struct Config {
    const silicon::arm64::CpuModel* model;
    unsigned index;
    unsigned vcpus;     ///< of the machine
    EventSink* events;  ///< SEV goes there
  };

  /// Off. `board` must outlive the vCPU.
  Vcpu(const Config& config, Board& board);
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;

  /// Once, before the first run. `perf` must stay until detach_pmu().
  void attach_pmu(const virt::arm64::PmuConfig& config, hostperf::ModelledHostPerf& perf);
  /// Is told from now on; null: nobody. Must stay as long as the vCPU runs.
  void set_trace(TraceSink* trace) { trace_ = trace; }
  /// The PMU gives its host events back. The vCPU does not run any more.
  void detach_pmu();
  /// Gives the guest statistical profiling, on host CPUs of that list (empty: any). Once, before
  /// the first run. `vm` and `memory` must outlive the vCPU.
  Result<void> attach_spe(virt::arm64::SpeVm& vm, SpeMemory& memory, const char* cpus);
  /// Which events the guest may count from its next instruction on; null: all. Must outlive the
  /// PMU, or be replaced. Not while it runs. `number`: what the log of counters calls it.
  void set_event_gate(const virt::arm64::EventGate* gate, std::uint32_t number);

  /// From reset: at `entry` with `context` in X0. Not while it runs.
  void power_on(std::uint64_t entry, std::uint64_t context);
  /// Behind the instruction that is being executed.
  void power_off() { cpu_.power_off(); }

  // TurnTaker
  void scheduled_in(hostperf::HostCpu cpu) override;
  void scheduled_out() override;
  CpuExit run(std::uint64_t instructions, std::uint64_t until, bool resumes) override;
  void request_exit() override { cpu_.request_exit(); }
  [[nodiscard]] bool runnable() override;
  [[nodiscard]] std::uint64_t instructions() const override {
    return totals_.read(silicon::RawEvent::kInstructions, silicon::kAllPrivileges);
  }

  // ObservedVcpu
  [[nodiscard]] const silicon::RetireTotals& totals() const override { return totals_; }
  [[nodiscard]] Place last_retired() const override;
  std::size_t call_chain(std::span<std::uint64_t> chain) const override;
  std::size_t call_chain_of_last(std::span<std::uint64_t> chain) const override;

  /// What the guest's PMU has put off until the vCPU runs is done now.
  void program_counters() { enter(); }

  [[nodiscard]] unsigned index() const { return config_.index; }
  [[nodiscard]] Cpu& cpu() { return cpu_; }
  [[nodiscard]] const Cpu& cpu() const { return cpu_; }
  [[nodiscard]] silicon::RetireTotals& totals() { return totals_; }
  [[nodiscard]] silicon::Deadlines& deadlines() { return deadlines_; }
  [[nodiscard]] silicon::MemoryModel& memory_model() { return memory_model_; }
  [[nodiscard]] const virt::arm64::Pmu& pmu() const { return *pmu_; }
  [[nodiscard]] const CounterLog& counter_log() const { return counter_log_; }
  [[nodiscard]] const virt::ExitStats& exits() const { return exits_; }
  /// Profiles it from outside, from its next instruction on. The CPU model has SPE. `sink` must
  /// outlive the vCPU's runs, or stay until end_profile(). A guest whose unit is the host's only
  /// one (SpeOffer::exclusive) is without it meanwhile. Not while it runs.
  void profile(const SpeProfile& profile, SpeRecordSink& sink);
  /// Not any more.
  void end_profile();
  /// Null: nobody does.
  [[nodiscard]] SpeProfiler* profiler() { return profiler_ ? &*profiler_ : nullptr; }
  /// Null: the guest has no SPE.
  [[nodiscard]] GuestSpe* spe() { return spe_ ? &*spe_ : nullptr; }
  [[nodiscard]] const GuestSpe* spe() const { return spe_ ? &*spe_ : nullptr; }
  /// Why the vCPU was not entered when its run ended with CpuExit::kRefused.
  [[nodiscard]] virt::arm64::SpeEntry refused() const { return refused_; }

  [[nodiscard]] VcpuState save();
  /// On a vCPU that has not run yet, with the clock and the board restored before.
  Result<void> restore(const VcpuState& state);
  /// It is on that host CPU already, as it was when it was saved.
  void restore_host_cpu(hostperf::HostCpu cpu) { host_cpu_ = cpu; }

 private:
  // Environment
  Access read_system_register(SystemRegister reg, bool el0) override;
  Access write_system_register(SystemRegister reg, std::uint64_t value, bool el0) override;
  [[nodiscard]] bool answers(std::uint64_t physical, unsigned bytes) const override {
    return board_.bus.answers_mmio(physical, bytes);
  }
  std::uint64_t read_mmio(std::uint64_t physical, unsigned bytes) override;
  void write_mmio(std::uint64_t physical, unsigned bytes, std::uint64_t value) override;
  void call(Call& call) override;
  bool semihost(std::uint32_t operation, std::uint64_t parameter, std::uint64_t& result) override;
  bool irq_waiting() override;
  bool fiq_waiting() override;
  std::uint64_t now() override { return time_.now(); }
  void before_entry() override { enter(); }
  std::uint64_t until_sample(unsigned el) override;
  void sampled(const silicon::arm64::SpeOperation& operation) override;
  void send_event() override { config_.events->send_event(); }

  // SemihostingMemory
  std::optional<std::uint8_t> peek_byte(std::uint64_t address) override;

  // GicCpuSignals
  void wake() override {}  // looked for at every boundary and at every turn

  // EventStreamListener
  void on_stream_event() override { cpu_.set_event(); }

  // virt::arm64::OverflowSink
  void set_overflow_line(bool asserted) override;
  void request_entry_work() override {}  // before_entry() follows at the same boundary

  // virt::GuestContext. Virtual addresses.
  [[nodiscard]] bool in_user_mode() const noexcept override { return cpu_.place().user; }
  [[nodiscard]] std::uint64_t instruction_pointer() const noexcept override {
    return cpu_.place().linear;
  }
  [[nodiscard]] std::uint32_t vcpu_index() const noexcept override { return index(); }

  /// What the guest does makes it leave. It enters again when this goes.
  class Exit;

  void record(virt::ExitReason reason);
  [[nodiscard]] TraceSink::Where where();
  Access traced_read(SystemRegister reg, const Access& access);
  Access traced_write(SystemRegister reg, std::uint64_t value, const Access& access);
  /// An access to a register of SPE's: an exit, if it leaves the guest.
  template <class Dispatch>
  Access access_spe(virt::ExitReason reason, Dispatch dispatch);
  void leave_spe();
  /// `retires`: as GuestSpe::enter().
  void enter_spe(bool retires);
  Access dispatch_read(SystemRegister reg, bool el0);
  Access dispatch_write(SystemRegister reg, std::uint64_t value, bool el0);
  /// A device may have armed a timer earlier than this turn's end.
  void after_device_access() { time_.look_at_timers(); }
  void enter();

  const Config config_;
  Board& board_;
  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  silicon::MemoryModel memory_model_;
  silicon::arm64::SampleTotals samples_{totals_};
  virt::ExitStats exits_;
  Cpu cpu_;
  TurnTime<Cpu> time_{board_.clock, cpu_};
  GicRedistributor redistributor_;
  GicCpuInterface gic_;
  GenericTimer timer_;
  CounterLog counter_log_;
  TraceSink* trace_ = nullptr;
  std::optional<virt::arm64::Pmu> pmu_;
  std::optional<GuestSpe> spe_;
  std::optional<SpeProfiler> profiler_;
  hostperf::HostCpu host_cpu_{};
  virt::arm64::SpeEntry refused_ = virt::arm64::SpeEntry::kDone;
};

}  // namespace vpmu::machine::arm64
