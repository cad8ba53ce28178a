// SPDX-License-Identifier: MIT
//
// The calls that were inlined in one DWARF compilation unit.
#pragma once

#include <elfutils/libdw.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "profile/symbols/nested_ranges.hpp"
#include "profile/symbols/source_lines.hpp"

namespace vpmu::profile {

class InlinedCalls {
 public:
  /// Looks at no more than `most` entries, and as many ranges: more than that is a cycle or one
  /// list that many entries share.
  InlinedCalls(Dwarf_Die unit, std::size_t most);

  /// The innermost first.
  [[nodiscard]] std::vector<InlinedCall> find(std::uint64_t address) const;

 private:
  static constexpr std::uint32_t kNone = NestedRanges::kNone;
  struct Call {
    Dwarf_Die entry;
    std::uint32_t inside;  ///< of which call; kNone
  };
  struct CallRange {
    AddressRange addresses;
    std::uint32_t call;
  };
  class Walk;

  [[nodiscard]] InlinedCall describe(Dwarf_Die entry) const;

  Dwarf_Die unit_;
  std::vector<Call> calls_;
  std::vector<std::uint32_t> call_of_range_;
  NestedRanges ranges_;
};

}  // namespace vpmu::profile
