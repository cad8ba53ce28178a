// SPDX-License-Identifier: MIT
//
// The source lines of one DWARF compilation unit.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "profile/symbols/nested_ranges.hpp"
#include "profile/symbols/source_lines.hpp"

namespace vpmu::profile {

class LineTable {
 public:
  /// A unit without lines, or whose lines cannot be read, has none.
  explicit LineTable(Dwarf_Die unit);

  [[nodiscard]] std::optional<SourceLine> find(std::uint64_t address) const;

 private:
  struct Row {
    std::uint32_t file;
    unsigned line;
  };
  std::vector<std::string> files_;
  std::vector<Row> rows_;
  NestedRanges ranges_;  ///< row i is range i
};

}  // namespace vpmu::profile
