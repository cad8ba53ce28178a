// SPDX-License-Identifier: MIT
//
// What a vCPU's own SPE unit does, as retire totals: what SAMPLE_POP, SAMPLE_FEED, SAMPLE_FILTRATE
// and SAMPLE_COLLISION count. The population follows from the instructions that retire at the
// levels that are profiled, so nobody counts operations one by one.
//
//   totals.profile(levels, false);   // whenever that changes
//   totals.derive();                 // before anybody looks at the totals
#pragma once

#include <cstddef>
#include <cstdint>

#include "vpmu/silicon/arm64/spe_unit.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::silicon::arm64 {

class SampleTotals {
 public:
  /// `totals`: of the vCPU; must outlive it.
  explicit SampleTotals(RetireTotals& totals) : totals_{totals} {}

  /// Operations at those levels are the population from now on. `retires`: behind an instruction at
  /// EL1 that is none of it, and is still to retire.
  void profile(PrivilegeSet levels, bool retires) {
    derive();
    levels_ = levels;
    since_[index(Privilege::kUser)] = instructions(Privilege::kUser);
    since_[index(Privilege::kKernel)] = instructions(Privilege::kKernel) + (retires ? 1 : 0);
  }

  /// Brings the population up to date.
  void derive() {
    if (levels_.user) derive(Privilege::kUser);
    if (levels_.kernel) derive(Privilege::kKernel);
  }

  /// Whether operations there are of the population.
  [[nodiscard]] bool counts(Privilege privilege) const { return levels_.contains(privilege); }

  /// An operation at `privilege` was selected: what the unit had counted before, and since.
  void selected(Privilege privilege, const SpeStatistics& before, const SpeStatistics& since) {
    totals_.add(RawEvent::kSamples, privilege, since.feed - before.feed);
    totals_.add(RawEvent::kKeptSamples, privilege, since.filtrate - before.filtrate);
    totals_.add(RawEvent::kSampleCollisions, privilege, since.collisions - before.collisions);
  }

 private:
  static constexpr std::size_t index(Privilege privilege) {
    return static_cast<std::size_t>(privilege);
  }
  [[nodiscard]] std::uint64_t instructions(Privilege privilege) const {
    return totals_.of(privilege)[static_cast<std::size_t>(RawEvent::kInstructions)];
  }
  void derive(Privilege privilege) {
    const std::uint64_t now = instructions(privilege);
    std::uint64_t& since = since_[index(privilege)];
    if (now <= since) return;
    totals_.add(RawEvent::kSamplePopulation, privilege, now - since);
    since = now;
  }

  RetireTotals& totals_;
  PrivilegeSet levels_;
  std::uint64_t since_[kPrivilegeCount] = {};  ///< instructions that are in the population already
};

}  // namespace vpmu::silicon::arm64
