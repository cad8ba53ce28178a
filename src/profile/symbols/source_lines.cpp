// SPDX-License-Identifier: MIT
#include "profile/symbols/source_lines.hpp"

#include <dwarf.h>
#include <elfutils/libdw.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "profile/symbols/elf_file.hpp"
#include "profile/symbols/inlined_calls.hpp"
#include "profile/symbols/line_table.hpp"
#include "profile/symbols/nested_ranges.hpp"

namespace vpmu::profile {

namespace {
/// A compilation unit; its tables are made when an address in it is asked for.
struct Unit {
  Dwarf_Die entry;
  std::optional<LineTable> lines;
  std::optional<InlinedCalls> inlined;
};

struct UnitRange {
  AddressRange addresses;
  std::uint32_t unit;
};
}  // namespace

struct SourceLines::Private {
  struct Close {
    void operator()(Dwarf* opened) const { dwarf_end(opened); }
  };

  explicit Private(ElfFile elf)
      : file{std::move(elf)}, dwarf{dwarf_begin_elf(file.get(), DWARF_C_READ, nullptr)} {
    if (dwarf != nullptr) find_units();
  }

  void find_units() {
    std::vector<UnitRange> found;
    // Each range takes bytes of the file, unless units share them.
    std::size_t left = file.size();
    Dwarf_Off at = 0, next = 0;
    std::size_t header_bytes = 0;
    for (; dwarf_nextcu(dwarf.get(), at, &next, &header_bytes, nullptr, nullptr, nullptr) == 0;
         at = next) {
      Dwarf_Die entry;
      if (dwarf_offdie(dwarf.get(), at + header_bytes, &entry) == nullptr ||
          dwarf_tag(&entry) != DW_TAG_compile_unit) {
        continue;
      }
      Dwarf_Addr base = 0, start = 0, end = 0;
      std::ptrdiff_t offset = 0;
      const auto unit = static_cast<std::uint32_t>(units.size());
      while (left > 0 && (offset = dwarf_ranges(&entry, offset, &base, &start, &end)) > 0) {
        --left;
        found.push_back({{start, end}, unit});
      }
      if (!found.empty() && found.back().unit == unit) units.push_back({entry, {}, {}});
    }
    index(found);
  }

  void index(std::vector<UnitRange>& found) {
    std::ranges::stable_sort(found, {},
                             [](const UnitRange& range) { return range.addresses.start; });
    std::vector<AddressRange> addresses;
    for (const UnitRange& range : found) {
      addresses.push_back(range.addresses);
      unit_of_range.push_back(range.unit);
    }
    ranges = NestedRanges{addresses};
  }

  Unit* unit(std::uint64_t address) {
    const std::uint32_t range = ranges.find(address);
    return range == NestedRanges::kNone ? nullptr : &units[unit_of_range[range]];
  }

  ElfFile file;
  std::unique_ptr<Dwarf, Close> dwarf;  ///< null: the image has none
  std::vector<Unit> units;
  std::vector<std::uint32_t> unit_of_range;
  NestedRanges ranges;
};

SourceLines::SourceLines() = default;
SourceLines::SourceLines(SourceLines&&) noexcept = default;
SourceLines& SourceLines::operator=(SourceLines&&) noexcept = default;
SourceLines::~SourceLines() = default;

Result<SourceLines> SourceLines::open(const std::string& path) {
  auto file = ElfFile::open_in_memory(path);
  if (!file) return tl::unexpected{file.error()};
  SourceLines lines;
  lines.private_ = std::make_unique<Private>(std::move(*file));
  return lines;
}

std::optional<SourceLine> SourceLines::find(std::uint64_t address) const {
  Unit* unit = private_->unit(address);
  if (unit == nullptr) return std::nullopt;
  if (!unit->lines) unit->lines.emplace(unit->entry);
  return unit->lines->find(address);
}

std::vector<InlinedCall> SourceLines::inlined(std::uint64_t address) const {
  Unit* unit = private_->unit(address);
  if (unit == nullptr) return {};
  if (!unit->inlined) unit->inlined.emplace(unit->entry, private_->file.size());
  return unit->inlined->find(address);
}

}  // namespace vpmu::profile
