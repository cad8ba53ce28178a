// SPDX-License-Identifier: MIT
#include "silicon/arm64/spe_sampling.hpp"

#include <algorithm>

namespace vpmu::silicon::arm64 {

SpeSampling::SpeSampling(Pmsirr interval, Pmsicr counters, bool ernd, std::uint64_t random)
    : reload_{static_cast<std::uint32_t>(interval.raw & Pmsirr::kInterval.kMask)},
      count_{static_cast<std::uint32_t>(counters.get(Pmsicr::kCount))},
      ecount_{static_cast<std::uint8_t>(counters.get(Pmsicr::kEcount))},
      jitter_{interval.get(Pmsirr::kRnd) == 0 ? Jitter::kNone
              : ernd                          ? Jitter::kBehindInterval
                                              : Jitter::kWithinInterval},
      random_{random} {}

std::uint64_t SpeSampling::until_selected() const {
  // At most: ECOUNT is loaded, COUNT reloaded, ECOUNT runs out. With an interval of 0, the random
  // byte that is reloaded may be 0 a few times in a row.
  SpeSampling ahead = *this;
  std::uint64_t operations = 0;
  while (!ahead.is_stuck()) {
    const Stretch stretch = ahead.run(kNever);
    operations += stretch.operations;
    if (stretch.selected) return operations;
  }
  return kNever;
}

void SpeSampling::advance(std::uint64_t count) {
  while (count != 0 && !is_stuck()) count -= run(count).operations;
}

Pmsicr SpeSampling::counters() const {
  Pmsicr counters;
  counters.set(Pmsicr::kCount, count_);
  counters.set(Pmsicr::kEcount, ecount_);
  return counters;
}

/// The next operations up to where something else happens than counting down; at least one.
SpeSampling::Stretch SpeSampling::run(std::uint64_t most) {
  if (count_ == 0 && reload_ == 0 && counts_behind()) return count_behind(most);
  if (count_ == 0) {
    count_ = reload_;
    if (jitter_ == Jitter::kWithinInterval) count_ |= random_byte();
    if (counts_behind()) return count_behind(1);
    return {.operations = 1, .selected = false};
  }
  if (counts_behind() && ecount_ < count_) {
    const Stretch stretch = count_behind(most);
    count_ -= static_cast<std::uint32_t>(stretch.operations);
    return stretch;
  }
  return count_down(most);
}

/// ECOUNT, which comes to 0 before COUNT does.
SpeSampling::Stretch SpeSampling::count_behind(std::uint64_t most) {
  const auto operations = static_cast<std::uint8_t>(std::min<std::uint64_t>(most, ecount_));
  ecount_ = static_cast<std::uint8_t>(ecount_ - operations);
  return {.operations = operations, .selected = ecount_ == 0};
}

/// COUNT, which comes to 0 before ECOUNT does, or together with it, and then loads that anew.
SpeSampling::Stretch SpeSampling::count_down(std::uint64_t most) {
  const auto operations = static_cast<std::uint32_t>(std::min<std::uint64_t>(most, count_));
  count_ -= operations;
  if (count_ != 0) {
    if (counts_behind()) ecount_ = static_cast<std::uint8_t>(ecount_ - operations);
    return {.operations = operations, .selected = false};
  }
  if (jitter_ != Jitter::kBehindInterval) return {.operations = operations, .selected = true};
  ecount_ = random_byte();
  return {.operations = operations, .selected = ecount_ == 0};
}

bool SpeSampling::counts_behind() const {
  return jitter_ == Jitter::kBehindInterval && ecount_ != 0;
}

/// Operations change nothing any more, and none is selected.
bool SpeSampling::is_stuck() const {
  return count_ == 0 && reload_ == 0 && jitter_ != Jitter::kWithinInterval && !counts_behind();
}

std::uint8_t SpeSampling::random_byte() {
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return static_cast<std::uint8_t>((random_ * 0x2545f4914f6cdd1d) >> 56);
}

std::uint64_t SpeSampling::seeded(std::uint64_t seed) {
  // Neighbouring seeds (vCPUs') give generators far apart: the multiplication is one to one and
  // the xorshift, too, so that only one seed gives 0.
  seed = (seed + 1) * 0x9e3779b97f4a7c15;
  seed ^= seed >> 32;
  return seed != 0 ? seed : 1;
}

}  // namespace vpmu::silicon::arm64
