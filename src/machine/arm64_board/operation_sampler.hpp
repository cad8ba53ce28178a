// SPDX-License-Identifier: MIT
//
// Takes the samples of one SPE unit while a vCPU runs at full speed: the unit says how far the next
// sample is, the vCPU's totals say how far it has come, and the CPU runs the sampled operation by
// itself (Environment::until_sample(), sampled()).
#pragma once

#include <cstdint>

#include "vpmu/silicon/arm64/sample_totals.hpp"
#include "vpmu/silicon/arm64/spe_operation.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::machine::arm64 {

class OperationSampler {
 public:
  /// All must outlive it. `totals`: of the vCPU. `samples`: are told of what this unit samples;
  /// null: it is none of the guest's.
  OperationSampler(silicon::arm64::SpeUnit& unit, const silicon::RetireTotals& totals,
                   silicon::arm64::SampleTotals* samples = nullptr);

  /// Operations that may retire at level `el` before the one that is sampled; SpeUnit::kNever: none
  /// is.
  [[nodiscard]] std::uint64_t until_sample(unsigned el) {
    if (!profiles(el)) return silicon::arm64::SpeUnit::kNever;
    // Operations that a debugger stepped over have not been told of.
    if (passed() >= until_) hand_over();
    return until_ - passed() - 1;
  }

  /// An operation has just retired by itself: it is sampled if it is its turn.
  void retired(const silicon::arm64::SpeOperation& operation);

  /// The unit's registers are about to be looked at or changed, or the unit is to be saved: it
  /// knows of everything that has retired then.
  void hand_over();
  /// They have been changed. `retires`: by an instruction at EL1 that will retire: where it
  /// switches profiling on, the next one is the first of the population.
  void registers_changed(bool retires);

  /// Those of the unit, handed over or not.
  [[nodiscard]] silicon::arm64::SpeStatistics statistics() const;

 private:
  [[nodiscard]] silicon::PrivilegeSet profiled() const;
  [[nodiscard]] bool profiles(unsigned el) const { return el == 0 ? levels_.user : levels_.kernel; }
  void selected(unsigned el, const silicon::arm64::SpeStatistics& before);
  /// Instructions that have retired where it profiles: the CPU holds none of them back.
  [[nodiscard]] std::uint64_t population() const {
    return totals_.held(silicon::RawEvent::kInstructions, levels_);
  }
  /// Since the unit was told last.
  [[nodiscard]] std::uint64_t passed() const {
    const std::uint64_t now = population();
    return now > told_ ? now - told_ : 0;
  }

  silicon::arm64::SpeUnit& unit_;
  const silicon::RetireTotals& totals_;
  silicon::arm64::SampleTotals* const samples_;
  silicon::PrivilegeSet levels_;
  std::uint64_t told_ = 0;   ///< of the population
  std::uint64_t until_ = 0;  ///< SpeUnit::until_sample(), from there
};

}  // namespace vpmu::machine::arm64
