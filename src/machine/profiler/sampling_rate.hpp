// SPDX-License-Identifier: MIT
//
// Sampling at a frequency: the period that gives so many samples in a second is worked out again at
// every sample, from the average over the last few of them, and at once if the event has become
// much more frequent. Where it has become rarer, no sample comes that could tell: look() does.
//
// Whole numbers only, so that the same counts at the same times give the same periods.
#pragma once

#include <cstdint>

namespace vpmu::machine {

class SamplingRate {
 public:
  /// `hz`: cycles of time in a second. `frequency`: samples wanted in it, not 0. `period`: to begin
  /// with; 0: as if the event came every cycle.
  SamplingRate(std::uint64_t hz, std::uint64_t frequency, std::uint64_t period);

  [[nodiscard]] std::uint64_t period() const { return period_; }

  /// A sample came: `count` of the event and `cycles` of time since the one before. period() is
  /// what to go on with.
  void sampled(std::uint64_t count, std::uint64_t cycles);
  /// None has come for so long. True: one is overdue by far, and period() is shorter now.
  bool look(std::uint64_t count, std::uint64_t cycles);

 private:
  [[nodiscard]] std::uint64_t period_for(std::uint64_t count, std::uint64_t cycles) const;

  std::uint64_t hz_;
  std::uint64_t frequency_;
  std::uint64_t period_;
  // Of the last samples, those long ago the less.
  std::uint64_t counts_ = 0;
  std::uint64_t cycles_ = 0;
};

}  // namespace vpmu::machine
