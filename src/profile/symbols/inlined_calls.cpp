// SPDX-License-Identifier: MIT
#include "profile/symbols/inlined_calls.hpp"

#include <dwarf.h>

#include <algorithm>

#include "profile/symbols/printable_name.hpp"
#include "profile/symbols/source_paths.hpp"
#include "profile/symbols/symbol_table.hpp"

namespace vpmu::profile {

/// Goes through a unit's entries, outer ones first.
class InlinedCalls::Walk {
 public:
  Walk(std::vector<Call>& calls, std::size_t most)
      : calls_{calls}, left_{most}, ranges_left_{most} {}

  void go(Dwarf_Die unit) {
    visit_children(unit, kNone);
    while (!open_.empty() && left_ > 0) {
      --left_;
      const Level level = open_.back();
      // The level goes on with the next entry, after what is in this one.
      Dwarf_Die next = level.entry;
      if (dwarf_siblingof(&next, &next) == 0) {
        open_.back().entry = next;
      } else {
        open_.pop_back();
      }
      visit(level.entry, level.inside);
    }
  }

  std::vector<CallRange> ranges;

 private:
  struct Level {
    Dwarf_Die entry;
    std::uint32_t inside;
  };
  /// Deeper is no code of anybody's.
  static constexpr std::size_t kDeepest = 1024;

  void visit_children(Dwarf_Die entry, std::uint32_t inside) {
    Dwarf_Die child;
    if (open_.size() < kDeepest && dwarf_child(&entry, &child) == 0) {
      open_.push_back({child, inside});
    }
  }

  void visit(Dwarf_Die entry, std::uint32_t inside) {
    switch (dwarf_tag(&entry)) {
      case DW_TAG_inlined_subroutine:
        calls_.push_back({entry, inside});
        inside = static_cast<std::uint32_t>(calls_.size() - 1);
        add_ranges(entry, inside);
        break;
      case DW_TAG_subprogram:
      case DW_TAG_lexical_block:
      case DW_TAG_namespace:
      case DW_TAG_class_type:
      case DW_TAG_structure_type: break;
      default: return;
    }
    visit_children(entry, inside);
  }

  void add_ranges(Dwarf_Die entry, std::uint32_t call) {
    Dwarf_Addr base = 0, start = 0, end = 0;
    std::ptrdiff_t offset = 0;
    while (ranges_left_ > 0 && (offset = dwarf_ranges(&entry, offset, &base, &start, &end)) > 0) {
      --ranges_left_;
      ranges.push_back({{start, end}, call});
    }
  }

  std::vector<Call>& calls_;
  std::size_t left_;
  std::size_t ranges_left_;
  std::vector<Level> open_;
};

InlinedCalls::InlinedCalls(Dwarf_Die unit, std::size_t most) : unit_{unit} {
  Walk walk{calls_, most};
  walk.go(unit);
  // Of the same start the outer one first: its call came first.
  std::ranges::sort(walk.ranges, [](const CallRange& a, const CallRange& b) {
    return a.addresses.start != b.addresses.start ? a.addresses.start < b.addresses.start
                                                  : a.call < b.call;
  });
  std::vector<AddressRange> addresses;
  for (const CallRange& range : walk.ranges) {
    addresses.push_back(range.addresses);
    call_of_range_.push_back(range.call);
  }
  ranges_ = NestedRanges{addresses};
}

std::vector<InlinedCall> InlinedCalls::find(std::uint64_t address) const {
  const std::uint32_t range = ranges_.find(address);
  if (range == kNone) return {};
  std::vector<InlinedCall> calls;
  for (std::uint32_t call = call_of_range_[range]; call != kNone; call = calls_[call].inside) {
    calls.push_back(describe(calls_[call].entry));
  }
  return calls;
}

InlinedCall InlinedCalls::describe(Dwarf_Die entry) const {
  const auto number = [&](unsigned attribute) {
    Dwarf_Attribute value;
    Dwarf_Word word = 0;
    const bool known =
        dwarf_attr(&entry, attribute, &value) != nullptr && dwarf_formudata(&value, &word) == 0;
    return known ? word : 0;
  };
  // Through the abstract origin; libdw follows at most 16 of them.
  const auto text = [&](unsigned attribute) -> const char* {
    Dwarf_Attribute value;
    return dwarf_attr_integrate(&entry, attribute, &value) == nullptr ? nullptr
                                                                      : dwarf_formstring(&value);
  };
  InlinedCall call;
  if (const char* linkage_name = text(DW_AT_linkage_name)) {
    call.function = demangle(printable_name(linkage_name));
  } else if (const char* name = text(DW_AT_name)) {
    call.function = printable_name(name);
  }
  call.called_at.line = static_cast<unsigned>(number(DW_AT_call_line));
  Dwarf_Die unit = unit_;
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  const Dwarf_Word file = number(DW_AT_call_file);
  if (dwarf_getsrcfiles(&unit, &files, &count) == 0 && file < count) {
    if (const char* path = dwarf_filesrc(files, file, nullptr, nullptr)) {
      call.called_at.file = SourcePaths{unit_}.of(path);
    }
  }
  return call;
}

}  // namespace vpmu::profile
