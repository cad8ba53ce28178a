// SPDX-License-Identifier: MIT
//
// HostPerf on the modelled silicon: counts by snapshots of retire totals, overflows by deadlines,
// both exact to the instruction.
//
// The host has CPUs, each with a PMU that has the counters of the CPU model, and whoever runs the
// machine says which vCPU is on which: switch_in(), switch_out(). The modelled host itself retires
// nothing, so what an event of a host CPU counts is what the vCPUs on it retire: nothing if it
// excludes guests. The host's time is machine time.
//
// Rotation of flexible events is looked at by tick() and happens once per interval in which there
// was one, so that the same calls at the same machine times give the same counts.
//
// The last branch records of each host CPU are one unit, see lbr_host.hpp. Whoever runs a vCPU
// records into lbr_unit() of the CPU that it is on; when a task goes on or an event takes the unit,
// what is in it is put away or cleared first.
//
// Events are a fixed pool per vCPU and per host CPU, allocated by the constructor. In a vCPU's
// deadlines, slots 0 to 31 are its own events', 32 to 47 those of the host CPU that it is on; the
// others are left to others.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "vpmu/hostperf/host_cpu_model.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/hostperf/lbr_host.hpp"
#include "vpmu/silicon/cycle_conditions.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::hostperf {

/// What a vCPU retires and when it is to be interrupted. All must outlive the host perf.
struct ModelledVcpu {
  silicon::RetireTotals* totals;
  silicon::Deadlines* deadlines;
  /// Null: events with CMASK or EDGE cannot be counted on this vCPU, nor on any host CPU.
  silicon::CycleConditions* conditions = nullptr;
};

/// Machine time, asked for at instruction boundaries.
class HostClock {
 public:
  /// In cycles of the CPU model, since power-on. Never goes back.
  [[nodiscard]] virtual std::uint64_t machine_time() const = 0;

 protected:
  ~HostClock() = default;
};

struct ModelledHost {
  /// Cycles of machine time in a second; 0: as the CPU model says.
  std::uint64_t hz = 0;
  /// 0: as many as there are vCPUs.
  unsigned cpus = 0;
  /// Must outlive the host perf. Null: the cycles of all vCPUs together are the time.
  const HostClock* clock = nullptr;
  /// Machine time between rotations; not 0. Linux has 1 to 10 ms, by its timer frequency.
  std::uint64_t rotation_ns = 1'000'000;
};

/// What a snapshot needs of a host CPU.
struct HostCpuState {
  std::optional<VcpuIndex> vcpu;  ///< that is on it
  /// Of its own flexible events: the interval in which rotation was last looked for, and the
  /// enabled events in the order in which they are put on the PMU.
  std::uint64_t rotation_interval = 0;
  std::vector<EventId> order;
};

/// What a snapshot needs of an event besides what it was opened with.
struct EventPast {
  std::uint64_t count = 0;
  std::uint64_t left = 0;                 ///< counts to the next overflow, if it has a period
  std::uint64_t time_enabled_cycles = 0;  ///< see EventCount
  std::uint64_t time_running_cycles = 0;
  friend bool operator==(const EventPast&, const EventPast&) = default;
};

/// What switching last branch records between tasks has cost on a host CPU; never goes back.
struct LbrSwitches {
  std::uint64_t switches = 0;          ///< of tasks, that saved records, put some back or left them
  std::uint64_t saved_msrs = 0;        ///< read to put somebody's records away
  std::uint64_t restored_msrs = 0;     ///< written to put them back
  std::uint64_t skipped_restores = 0;  ///< they were still in the unit
  std::uint64_t resets = 0;            ///< handed to somebody who had none
  friend bool operator==(const LbrSwitches&, const LbrSwitches&) = default;
};

class ModelledHostPerf final : public HostPerf, public LbrHost {
 public:
  static constexpr std::uint8_t kEventsPerVcpu = 32;
  static constexpr std::uint8_t kEventsPerHostCpu = 16;

  /// vCPU n is on host CPU n, as far as there are so many.
  ModelledHostPerf(const HostCpuModel& model, std::span<const ModelledVcpu> vcpus,
                   const ModelledHost& host = {});
  ~ModelledHostPerf() override;
  ModelledHostPerf(const ModelledHostPerf&) = delete;
  ModelledHostPerf& operator=(const ModelledHostPerf&) = delete;

  [[nodiscard]] unsigned host_cpus() const;
  /// The vCPU goes on on that host CPU; a vCPU that is on it leaves. Cheap if it is there already.
  /// At an instruction boundary, not from an overflow handler.
  void switch_in(VcpuIndex vcpu, HostCpu cpu);
  /// The vCPU leaves its host CPU, if it is on one. As switch_in().
  void switch_out(VcpuIndex vcpu);
  /// The vCPU that is on that host CPU, halted or not.
  [[nodiscard]] std::optional<VcpuIndex> vcpu_on(HostCpu cpu) const;
  /// The timer tick of a host CPU: rotates flexible events if an interval has begun since the last
  /// time and some wait. Costs next to nothing otherwise. As switch_in().
  void tick(HostCpu cpu);

  /// For snapshots, at an instruction boundary. restore() wants vCPUs that exist, and in `order`
  /// all flexible events that are enabled on the CPU. An event's past is set when everything else,
  /// time and totals included, is in place.
  [[nodiscard]] HostCpuState save(HostCpu cpu) const;
  void restore(HostCpu cpu, const HostCpuState& state);
  [[nodiscard]] EventPast past(EventId event);
  void set_past(EventId event, const EventPast& past);

  /// kNoSuchEvent: the model has no such event; a condition on cycles without CycleConditions or
  /// for what only fixed counters count; IN_TX or IN_TXCP on a model without TSX. As transactions
  /// always abort, nothing retires in one: an IN_TX event is legitimate and stands still, IN_TXCP
  /// changes nothing. What else lbr_host.hpp says of branches. kBusy: it wants last branch records,
  /// and those of some host CPU are used for traces. INV without CMASK has no effect, EDGE without
  /// CMASK means a threshold of 1.
  tl::expected<EventId, OpenError> open(const EventAttr& attr, Target target,
                                        OverflowHandler& handler) override;
  void close(EventId event) override;
  void enable(EventId event) override;
  void disable(EventId event) override;
  void pause(EventId event) override;
  void resume(EventId event) override;
  /// In error: what was counted before.
  std::optional<EventCount> read(EventId event) override;
  void set_period(EventId event, std::uint64_t period) override;
  [[nodiscard]] EventState state(EventId event) const override;
  [[nodiscard]] HostCpu cpu(EventId event) const override;

  [[nodiscard]] const HostCpuModel& model() const { return model_; }

  /// Null if the model has no last branch records, or none that could keep a call stack.
  LbrHost* lbr() override;
  [[nodiscard]] const silicon::x86::LbrModel& lbr_model() const override { return model_.lbr(); }
  std::optional<Access> read_lbr(EventId event, MsrIndex msr) override;
  std::optional<Access> write_lbr(EventId event, MsrIndex msr, std::uint64_t value) override;
  [[nodiscard]] silicon::x86::LbrState lbr_state(EventId event) const override;
  bool set_lbr_state(EventId event, const silicon::x86::LbrState& state) override;

  /// The last branch records of a host CPU, which the vCPU on it records into. Null if the model
  /// has none. The address never changes.
  [[nodiscard]] silicon::x86::LbrStack* lbr_unit(HostCpu cpu);
  /// The branches of the vCPU on that CPU are to be recorded for an event of the host, whatever the
  /// guest has asked for. Changes at calls about events, switch_in(), switch_out() and tick() only.
  [[nodiscard]] bool records_for_host(HostCpu cpu) const;
  /// For profilers, in overflow handlers too: what was recorded for a host's event with a
  /// branch_type, the newest first. The number of branches; 0 unless the event is active, and of a
  /// guest's LBR event.
  std::size_t branches(EventId event, std::span<silicon::x86::LbrStack::Decoded> into) const;
  /// Branch trace stores or Intel PT begin or end to use the unit of a CPU: meanwhile no event has
  /// it, and none that wants one can be opened. As switch_in().
  void use_lbr_for_trace(HostCpu cpu, bool used);
  [[nodiscard]] const LbrSwitches& lbr_switches(HostCpu cpu) const;

 private:
  struct Event;
  class Context;
  class Cpu;
  class Time;
  struct Place;
  struct GuestLbr;

  [[nodiscard]] Place place(EventId id) const;
  [[nodiscard]] GuestLbr guest_lbr(EventId id) const;
  [[nodiscard]] Cpu& cpu_of(HostCpu cpu) const;
  [[nodiscard]] bool watches_conditions(Target target) const;

  const HostCpuModel model_;
  const std::uint64_t hz_;
  std::unique_ptr<Time> time_;
  std::uint64_t rotation_cycles_;
  /// Those of the vCPUs, then those of the host CPUs.
  std::vector<std::unique_ptr<Context>> contexts_;
  std::vector<std::unique_ptr<Cpu>> cpus_;
  std::size_t vcpus_;
  /// For trying whether registers can hold something; null if there are none.
  std::unique_ptr<silicon::x86::LbrStack> scratch_;
};

}  // namespace vpmu::hostperf
