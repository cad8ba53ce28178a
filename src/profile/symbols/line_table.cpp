// SPDX-License-Identifier: MIT
#include "profile/symbols/line_table.hpp"

#include <cstddef>
#include <map>

#include "profile/symbols/source_paths.hpp"

namespace vpmu::profile {

LineTable::LineTable(Dwarf_Die unit) {
  Dwarf_Lines* lines = nullptr;
  std::size_t count = 0;
  if (dwarf_getsrclines(&unit, &lines, &count) != 0) return;  // by address
  const SourcePaths paths{unit};
  std::map<const char*, std::uint32_t> known;  // libdw has each file's name once
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
    const char* file = dwarf_linesrc(row, nullptr, nullptr);
    // Line 0: code that the compiler made for no line of its own.
    if (file == nullptr || line <= 0) continue;
    const auto [at, added] = known.try_emplace(file, static_cast<std::uint32_t>(files_.size()));
    if (added) files_.push_back(paths.of(file));
    rows_.push_back({at->second, static_cast<unsigned>(line)});
    ranges.push_back({start, end});
  }
  ranges_ = NestedRanges{ranges};
}

std::optional<SourceLine> LineTable::find(std::uint64_t address) const {
  const std::uint32_t found = ranges_.find(address);
  if (found == NestedRanges::kNone) return std::nullopt;
  return SourceLine{files_[rows_[found].file], rows_[found].line};
}

}  // namespace vpmu::profile
