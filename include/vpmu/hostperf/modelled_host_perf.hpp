// SPDX-License-Identifier: MIT
//
// HostPerf on the modelled silicon: counts by snapshots of retire totals, overflows by deadlines,
// both exact to the instruction.
//
// Each vCPU runs on a host CPU of its own (vCPU n on CPU n), whose PMU has as many counters as the
// CPU model. Pinned events come before flexible ones and older events before newer ones. A pinned
// event that does not fit goes into error; a flexible one waits until counters are given back.
//
// Events are a fixed pool per vCPU, allocated by the constructor. Event n of a vCPU has slot n of
// the vCPU's deadlines: slots from kEventsPerVcpu on are left to others.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/cycle_conditions.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::hostperf {

/// What a vCPU retires and when it is to be interrupted. Both must outlive the host perf.
struct ModelledVcpu {
  silicon::RetireTotals* totals;
  silicon::Deadlines* deadlines;
  /// Null: events with CMASK, INV or EDGE cannot be counted.
  silicon::CycleConditions* conditions = nullptr;
};

class ModelledHostPerf final : public HostPerf {
 public:
  static constexpr std::uint8_t kEventsPerVcpu = 32;

  ModelledHostPerf(const silicon::x86::CpuModel& model, std::span<const ModelledVcpu> vcpus);
  ~ModelledHostPerf() override;
  ModelledHostPerf(const ModelledHostPerf&) = delete;
  ModelledHostPerf& operator=(const ModelledHostPerf&) = delete;

  /// kNoSuchEvent: the model has no such event, or edge detection, inversion or a counter mask is
  /// asked for. kNotSupported: exclusive events; host CPUs as targets are kNoSuchTarget.
  tl::expected<EventId, OpenError> open(const EventAttr& attr, Target target,
                                        OverflowHandler& handler) override;
  void close(EventId event) override;
  void enable(EventId event) override;
  void disable(EventId event) override;
  void pause(EventId event) override;
  void resume(EventId event) override;
  std::optional<EventCount> read(EventId event) override;
  void set_period(EventId event, std::uint64_t period) override;
  [[nodiscard]] EventState state(EventId event) const override;
  [[nodiscard]] HostCpu cpu(EventId event) const override;

 private:
  struct Event;
  class Vcpu;

  Event& event(EventId id) const;

  const silicon::x86::CpuModel& model_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
};

}  // namespace vpmu::hostperf
