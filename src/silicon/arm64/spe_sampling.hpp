// SPDX-License-Identifier: MIT
//
// When the unit selects an operation: the counters of PMSICR_EL1, by SPEToCollectSample() of the
// Arm ARM's pseudocode, but many operations at a time.
//
// An operation decrements COUNT, and is selected if that makes it 0; while COUNT is 0, an operation
// only reloads it from PMSIRR_EL1. With RND, random bytes come in: without ERnd as the low byte of
// what is reloaded; with it, COUNT's 0 loads ECOUNT, which then counts down beside the reloaded
// COUNT and does the selecting.
#pragma once

#include <cstdint>

#include "vpmu/silicon/arm64/spe_registers.hpp"

namespace vpmu::silicon::arm64 {

class SpeSampling {
 public:
  /// `ernd`: PMSIDR_EL1.ERnd. `random`: of the generator, not 0.
  SpeSampling(Pmsirr interval, Pmsicr counters, bool ernd, std::uint64_t random);

  /// Which operation is selected next, counted from 1; kNever if none ever will be.
  [[nodiscard]] std::uint64_t until_selected() const;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  /// So many operations have retired.
  void advance(std::uint64_t count);

  [[nodiscard]] Pmsicr counters() const;
  [[nodiscard]] std::uint64_t random() const { return random_; }

  /// The generator's state for a seed: never 0.
  static std::uint64_t seeded(std::uint64_t seed);

 private:
  enum class Jitter : std::uint8_t { kNone, kWithinInterval, kBehindInterval };
  /// Operations, of which only the last may have been selected.
  struct Stretch {
    std::uint64_t operations;
    bool selected;
  };

  Stretch run(std::uint64_t most);
  Stretch count_behind(std::uint64_t most);
  Stretch count_down(std::uint64_t most);
  [[nodiscard]] bool counts_behind() const;
  [[nodiscard]] bool is_stuck() const;
  std::uint8_t random_byte();

  std::uint32_t reload_;
  std::uint32_t count_;
  std::uint8_t ecount_;
  Jitter jitter_;
  std::uint64_t random_;
};

}  // namespace vpmu::silicon::arm64
