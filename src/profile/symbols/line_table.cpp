// SPDX-License-Identifier: MIT
#include "profile/symbols/line_table.hpp"

#include <cstddef>

#include "profile/symbols/printable_name.hpp"

namespace vpmu::profile {

LineTable::LineTable(Dwarf_Die unit) {
  Dwarf_Lines* lines = nullptr;
  std::size_t count = 0;
  if (dwarf_getsrclines(&unit, &lines, &count) != 0) return;  // by address
  std::vector<AddressRange> ranges;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    Dwarf_Line* row = dwarf_onesrcline(lines, i);
    bool end_of_sequence = false;
    Dwarf_Addr start = 0, end = 0;
    int line = 0;
    if (dwarf_lineendsequence(row, &end_of_sequence) != 0 || end_of_sequence ||
        dwarf_lineaddr(row, &start) != 0 ||
        dwarf_lineaddr(dwarf_onesrcline(lines, i + 1), &end) != 0 ||
        dwarf_lineno(row, &line) != 0 || end <= start) {
      continue;
    }
    rows_.push_back({dwarf_linesrc(row, nullptr, nullptr), static_cast<unsigned>(line)});
    ranges.push_back({start, end});
  }
  ranges_ = NestedRanges{ranges};
}

std::optional<SourceLine> LineTable::find(std::uint64_t address) const {
  const std::uint32_t found = ranges_.find(address);
  if (found == NestedRanges::kNone) return std::nullopt;
  const Row& row = rows_[found];
  // Line 0: code that the compiler made for no line of its own.
  if (row.file == nullptr || row.line == 0) return std::nullopt;
  return SourceLine{printable_name(row.file), row.line};
}

}  // namespace vpmu::profile
