// SPDX-License-Identifier: MIT
//
// The virtual PMUv3 on a modelled host perf, and the reference, in lockstep, as lockstep.hpp does
// it with x86's: the PMU is driven as the machine drives it.
//
// Beside the reference, these hold at all times: the sink has heard of every change of the
// interrupt line and of no other, host events are at most as many as counters and none outlives the
// PMU, before_entry() leaves no work, and work that no access made was asked for through the sink.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "property/arm64_pmu_operations.hpp"
#include "property/counting.hpp"
#include "property/reference_arm64_pmu.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/virt/arm64/pmu.hpp"

namespace vpmu::property {

class Arm64PmuLockstep {
 public:
  using Setup = Arm64PmuSetup;
  using Operation = Arm64PmuOperation;

  explicit Arm64PmuLockstep(const Setup& setup);
  ~Arm64PmuLockstep();
  Arm64PmuLockstep(const Arm64PmuLockstep&) = delete;
  Arm64PmuLockstep& operator=(const Arm64PmuLockstep&) = delete;

  /// Does it to both. A text if they differ in what it did.
  std::optional<std::string> step(const Operation& operation);
  /// Compares everything that can be read.
  std::optional<std::string> compare_all();
  /// Lets the host have its events back; to be called last.
  std::optional<std::string> finish();

 private:
  class HashGate final : public virt::arm64::EventGate {
   public:
    [[nodiscard]] bool admits(std::uint16_t event) const override {
      return arm64_gate_admits(key, event);
    }
    std::uint64_t key = 0;
  };
  class Line final : public virt::arm64::OverflowSink {
   public:
    void set_overflow_line(bool asserted) override {
      repeated |= asserted == on;
      on = asserted;
    }
    void request_entry_work() override { ++requests; }

    bool on = false;
    bool repeated = false;  ///< told of what was no change
    std::uint64_t requests = 0;
  };

  void make_pmu();
  std::optional<std::string> read(const Operation& operation);
  std::optional<std::string> write(const Operation& operation);
  std::optional<std::string> retire(const Operation& operation);
  void retire_one(const Arm64Counts& counts, bool el0);
  std::optional<std::string> restore(const Operation& operation);
  void change_gate(const Operation& operation);
  std::optional<std::string> enter();

  const Setup& setup_;
  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  const std::array<hostperf::ModelledVcpu, 1> vcpus_{hostperf::ModelledVcpu{&totals_, &deadlines_}};
  hostperf::ModelledHostPerf modelled_;
  CountingHostPerf perf_{modelled_};
  Line line_;
  HashGate gate_;
  std::unique_ptr<virt::arm64::Pmu> pmu_;
  ReferenceArm64Pmu reference_;
};

}  // namespace vpmu::property
