// SPDX-License-Identifier: MIT
//
// PV perf of one vCPU of a PC: the unit, and what it asks of the hypervisor around it, which are
// guest memory, time and LVTPC. When something is due it is done between two runs, whoever runs.
#pragma once

#include <cstdint>

#include "machine/clock.hpp"
#include "machine/devices/local_apic.hpp"
#include "machine/pc/board.hpp"
#include "machine/pc/pv_perf_log.hpp"
#include "machine/x86/cpu.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/event_filter_slot.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::machine {

/// What a guest of `model` is offered on `host`: the offer is the host's, but how long addresses
/// are is what the guest's CPUID says. Errors as offer_pv_perf().
Result<virt::x86::PvPerfConfig> offer_to_guest(const silicon::x86::CpuModel& model,
                                               const silicon::x86::CpuModel& host,
                                               const virt::x86::PvPerfRequest& request);

/// Whether a guest of `model` that was offered `config`, there or elsewhere, can run on `host`. The
/// error says what does not fit.
Result<void> can_offer(const virt::x86::PvPerfConfig& config, const silicon::x86::CpuModel& model,
                       const silicon::x86::CpuModel& host);

class VcpuPvPerf final : private virt::x86::PvPerfHost {
 public:
  /// All must outlive it.
  struct Around {
    Board* board;
    x86::Cpu* cpu;
    LocalApic* apic;
    hostperf::ModelledHostPerf* perf;
    virt::x86::PvPerfAreas* areas;
    const silicon::x86::CpuModel* host;  ///< what the guest's events are there
    silicon::x86::Vendor guest_vendor;
    bool guest_has_pmu;
    unsigned vcpu;
    const virt::x86::EventGate* raw_events;  ///< PvPerf::Around
    FilterLog* filters;                      ///< is told of every denial; may be null
  };

  struct State {
    virt::x86::PvPerfState unit;
    PvPerfLog::State log;
    /// Machine time since which the vCPU could run and had no host CPU; Timer::kNever: it does not.
    std::uint64_t stolen_since = Timer::kNever;
    friend bool operator==(const State&, const State&) = default;
  };

  VcpuPvPerf(const virt::x86::PvPerfConfig& config, const Around& around);
  VcpuPvPerf(const VcpuPvPerf&) = delete;
  VcpuPvPerf& operator=(const VcpuPvPerf&) = delete;

  // ---- What the guest does. Behind everything but reads a timer may be due earlier. -------------

  [[nodiscard]] bool has(MsrIndex msr) const {
    return raw(msr) - unit_.config().msr_base < virt::x86::pv::kMsrCount;
  }
  Access read_msr(MsrIndex msr) { return unit_.read_msr(msr, Initiator::kGuest); }
  Access write_msr(MsrIndex msr, std::uint64_t value);
  Access rdpmc(std::uint32_t ecx, bool may_read) {
    return unit_.rdpmc(ecx, may_read, around_.guest_has_pmu);
  }
  Access hypercall(const virt::x86::PvPerf::Hypercall& call);
  /// The four leaves. That there is a hypervisor every CPU model says.
  void adjust_cpuid(std::uint32_t leaf, silicon::x86::CpuidResult& result) const {
    virt::x86::pv_perf_cpuid(unit_.config(), leaf, result);
  }

  // ---- What the hypervisor does -----------------------------------------------------------------

  /// Before the guest goes on. True: a timer may be due earlier.
  bool enter() {
    if (!unit_.has_entry_work()) return false;
    follow();
    return true;
  }
  void exited() { count(virt::x86::pv::Software::kExits, 1); }
  /// An interrupt or NMI is about to be delivered. True: a timer may be due earlier.
  bool interrupted();

  /// Its turn begins: it has a host CPU and runs. Another vCPU gets its host CPU. It went to sleep.
  /// Something may have woken it.
  void turn_begins();
  void scheduled_out();
  void sleeps();
  void may_wake();

  void attach(virt::x86::EventFilterSlot& slot) { slot.attach(unit_); }

  [[nodiscard]] const virt::x86::PvPerf& unit() const { return unit_; }
  [[nodiscard]] const PvPerfLog& log() const { return log_; }

  [[nodiscard]] State save();
  /// When clock, CPU and local APIC are as they were, and every vCPU is on its host CPU.
  Result<void> restore(const State& state);

 private:
  class Alarm final : public Timer {
   public:
    Alarm(VcpuPvPerf& owner, Clock& clock, Wakes wakes) : Timer{clock, wakes}, owner_{owner} {}
    void on_timer() override { owner_.time_passed(); }

   private:
    VcpuPvPerf& owner_;
  };

  // virt::x86::PvPerfHost
  std::uint64_t now_ns() override;
  std::uint64_t guest_tsc() override;
  bool read_ram(GuestPhysical address, std::span<std::uint64_t> words) override;
  std::uint8_t* writable_ram(GuestPhysical address, std::size_t bytes) override;
  void ram_written(GuestPhysical address, std::size_t bytes) override;
  virt::x86::PmiOutcome raise_pmi(virt::x86::LvtpcAfterPmi after) override;
  void request_entry_work() override {}  // before_entry() follows at the same boundary

  void follow();
  void time_passed();
  void arm();
  void arm(Alarm& alarm, std::uint64_t due_ns);
  void count(virt::x86::pv::Software what, std::uint64_t n);
  [[nodiscard]] std::uint8_t* ram(GuestPhysical address, std::size_t bytes) const;
  [[nodiscard]] bool is_on_host_cpu() const;

  const Around around_;
  virt::x86::PvPerf unit_;
  PvPerfLog log_;
  /// Everything that is due, but nobody wakes for it.
  Alarm alarm_;
  /// What may wake the vCPU, while it sleeps.
  Alarm waker_;
  bool on_host_cpu_ = false;
  bool sleeping_ = false;
  std::uint64_t stolen_since_ = Timer::kNever;
};

}  // namespace vpmu::machine
