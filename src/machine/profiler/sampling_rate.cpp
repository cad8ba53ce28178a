// SPDX-License-Identifier: MIT
#include "machine/profiler/sampling_rate.hpp"

#include <algorithm>

#include "machine/profiler/profiler.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint64_t kShortest = ProfilerConfig::kShortestPeriod;
constexpr std::uint64_t kLongest = std::uint64_t{1} << 47;
/// The average is over about so many samples.
constexpr std::uint64_t kRemembered = 8;
/// An estimate that is so many times what the average says is another phase of the guest.
constexpr std::uint64_t kOtherPhase = 4;
/// Sums stay below what can still be multiplied.
constexpr std::uint64_t kMostSummed = std::uint64_t{1} << 62;
}  // namespace

SamplingRate::SamplingRate(std::uint64_t hz, std::uint64_t frequency, std::uint64_t period)
    : hz_{hz},
      frequency_{frequency},
      period_{std::clamp(period != 0 ? period : hz / frequency, kShortest, kLongest)} {}

std::uint64_t SamplingRate::period_for(std::uint64_t count, std::uint64_t cycles) const {
  __extension__ using Wide = unsigned __int128;
  const Wide wanted = static_cast<Wide>(count) * hz_ /
                      (static_cast<Wide>(std::max<std::uint64_t>(cycles, 1)) * frequency_);
  return static_cast<std::uint64_t>(std::clamp<Wide>(wanted, kShortest, kLongest));
}

void SamplingRate::sampled(std::uint64_t count, std::uint64_t cycles) {
  const std::uint64_t alone = period_for(count, cycles);
  if (alone / kOtherPhase > period_ || alone < period_ / kOtherPhase) counts_ = cycles_ = 0;
  counts_ = std::min(counts_ - counts_ / kRemembered + count, kMostSummed);
  cycles_ = std::min(cycles_ - cycles_ / kRemembered + cycles, kMostSummed);
  period_ = period_for(counts_, cycles_);
}

bool SamplingRate::look(std::uint64_t count, std::uint64_t cycles) {
  const std::uint64_t between = std::max<std::uint64_t>(hz_ / frequency_, 1);
  if (cycles / 2 < between) return false;
  const std::uint64_t alone = period_for(count, cycles);
  if (alone >= period_ / 2) return false;
  counts_ = count;
  cycles_ = cycles;
  period_ = alone;
  return true;
}

}  // namespace vpmu::machine
