// SPDX-License-Identifier: MIT
#include <algorithm>
#include <utility>

#include "policy/compiler.hpp"
#include "policy/cover.hpp"
#include "policy/cube.hpp"
#include "policy/entry_search.hpp"
#include "policy/good_entries.hpp"

namespace vpmu::policy {

namespace {
/// How many steps of the search one round of improvement is worth: before it, so that it need not
/// look for what is easily found, and after it, if it did not come to an end.
constexpr std::uint64_t kStepsPerRoundBefore = 400;
constexpr std::uint64_t kStepsPerRoundAfter = 20;

struct Minimum {
  Entries entries;
  bool proven = false;
};

/// The bits of the unit mask that make no difference to `set`.
std::uint8_t idle_bits(const PointSet& set) {
  std::uint8_t idle = 0;
  for (unsigned bit = 0; bit < kDimensions; ++bit) {
    if (set.flipped(bit) == set) idle = static_cast<std::uint8_t>(idle | 1U << bit);
  }
  return idle;
}

/// Tries each number of entries in turn, until one does or only those are left that are known.
Minimum search(const PointSet& wanted, std::uint64_t budget) {
  // An include need not reach beyond the smallest cube of what is wanted: its part within that cube
  // is a cube too. What lies beyond is then nothing that entries cover.
  const PointSet unwanted = smallest_cube(wanted).points() - wanted;
  const Cover wanted_cover{wanted};
  const Cover unwanted_cover{unwanted};
  const auto quickly = [&](std::uint64_t steps_per_round) {
    return good_entries(wanted_cover, wanted, unwanted_cover, budget / steps_per_round);
  };

  Minimum best{quickly(kStepsPerRoundBefore), true};
  Steps steps{budget};
  EntrySearch entries{wanted_cover, wanted, unwanted_cover, steps};
  for (unsigned all = 1; all < best.entries.size(); ++all) {
    for (unsigned excludes = 0; excludes < all; ++excludes) {
      if (auto found = entries.find(all - excludes, excludes)) return {std::move(*found), true};
      if (steps.spent()) return {quickly(kStepsPerRoundAfter), false};
    }
  }
  return best;
}

std::vector<virt::x86::MaskedEvent> as_entries(std::uint16_t event, const Entries& entries,
                                               std::uint8_t idle) {
  std::vector<virt::x86::MaskedEvent> all;
  const auto append = [&](std::vector<Cube> cubes, bool exclude) {
    std::ranges::sort(cubes, {}, [](Cube cube) { return std::pair{cube.match, cube.mask}; });
    for (const Cube cube : cubes) {
      const auto mask = static_cast<std::uint8_t>(cube.mask & ~idle);
      all.push_back({event, mask, static_cast<std::uint8_t>(cube.match & mask), exclude});
    }
  };
  append(entries.includes, false);
  append(entries.excludes, true);
  return all;
}
}  // namespace

CompiledRow minimise(std::uint16_t event, const UnitMaskSet& wanted, std::uint64_t budget) {
  if (wanted.none()) return {event, {}, true};
  const PointSet points{wanted};
  // Where a bit makes no difference half of the problem is the problem: entries for the whole, cut
  // to the half, say the half; and entries for the half say the whole if they do not look at it.
  const std::uint8_t idle = idle_bits(points);
  const PointSet half = points & Cube{idle, 0}.points();
  const Minimum minimum = search(half, budget);
  return {event, as_entries(event, minimum.entries, idle), minimum.proven};
}

}  // namespace vpmu::policy
