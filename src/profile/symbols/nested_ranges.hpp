// SPDX-License-Identifier: MIT
//
// Ranges of addresses that may lie in each other or overlap, and which of them an address belongs
// to: the one that begins last before it. Cut into disjoint pieces once, so that a look-up is one
// binary search whatever the ranges are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vpmu::profile {

struct AddressRange {
  std::uint64_t start = 0;
  std::uint64_t end = 0;  ///< behind the last address; empty if not above `start`
};

class NestedRanges {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  NestedRanges() = default;
  /// In order of `start`; of those with the same start, what comes later lies inside. At most
  /// 2^32 - 2.
  explicit NestedRanges(const std::vector<AddressRange>& ranges);

  /// Number of the innermost range with that address; kNone if there is none.
  [[nodiscard]] std::uint32_t find(std::uint64_t address) const;

 private:
  void add(std::uint64_t start, std::uint64_t end, std::uint32_t range);

  /// Piece i has the addresses from starts_[i] to starts_[i + 1]. Apart, since searching only
  /// touches the starts.
  std::vector<std::uint64_t> starts_;
  std::vector<std::uint32_t> ranges_;
};

}  // namespace vpmu::profile
