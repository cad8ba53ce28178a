// SPDX-License-Identifier: MIT
//
// The virtual PMU on a modelled host perf, and the reference, in lockstep: every operation is done
// to both, and what a guest could tell apart is reported. The PMU is driven as the machine drives
// it: entry work is done behind every access that was done, behind overflows, and before the next
// guest instruction otherwise.
//
// Beside the reference, these hold at all times: values fit their widths, host events are at most
// as many as counters and none outlives the PMU, before_entry() leaves no work, and work that no
// access made was asked for through the sink.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "property/counting.hpp"
#include "property/operations.hpp"
#include "property/reference_pmu.hpp"
#include "property/setups.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::property {

/// Admits what a hash of the event and `key` says; everything for key 0.
class HashGate final : public virt::x86::EventGate {
 public:
  [[nodiscard]] bool admits(silicon::x86::EventSelector event) const override;
  [[nodiscard]] bool admits_fixed(unsigned k) const override;

  std::uint64_t key = 0;
};

class Lockstep {
 public:
  using Setup = property::Setup;
  using Operation = property::Operation;

  explicit Lockstep(const Setup& setup);
  ~Lockstep();
  Lockstep(const Lockstep&) = delete;
  Lockstep& operator=(const Lockstep&) = delete;

  /// Does it to both. A text if they differ in what it did.
  std::optional<std::string> step(const Operation& operation);
  /// Compares everything that can be read.
  std::optional<std::string> compare_all();
  /// Resets the PMU and lets the host have its events back; to be called last.
  std::optional<std::string> finish();

 private:
  void make_pmu();
  std::optional<std::string> access(const Operation& operation);
  std::optional<std::string> retire(const Operation& operation);
  std::optional<std::string> emulate(const Operation& operation);
  std::optional<std::string> restore(const Operation& operation);
  void change_svm(const Operation& operation);
  void change_gate(const Operation& operation);
  std::optional<std::string> retire_one(silicon::Privilege privilege, const Counts& counts);
  std::optional<std::string> enter();
  [[nodiscard]] Answer with_sensible_value(const Access& access, Answer answer) const;
  std::optional<std::string> compare_msr(std::uint32_t msr);
  std::optional<std::string> compare_counter(bool fixed, unsigned number);
  std::optional<std::string> compare_cpuid();
  std::optional<std::string> idle();

  const Setup& setup_;
  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  silicon::CycleConditions conditions_{totals_};
  const std::array<hostperf::ModelledVcpu, 1> vcpus_;
  hostperf::ModelledHostPerf modelled_;
  CountingHostPerf perf_{modelled_};
  CountingSink sink_;
  std::array<HashGate, 2> gates_;
  unsigned gate_ = 0;
  bool svme_ = false;
  bool svm_guest_ = false;
  std::unique_ptr<virt::x86::Pmu> pmu_;
  ReferencePmu reference_;
  std::uint64_t pmis_ = 0;
};

}  // namespace vpmu::property
