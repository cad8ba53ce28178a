// SPDX-License-Identifier: MIT
//
// Events and verdicts as the tables of `vpmu filter` show them. The tables are 80 columns wide.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/event_catalogue.hpp"
#include "vpmu/silicon/x86/event_table.hpp"
#include "vpmu/virt/x86/event_filter.hpp"

namespace vpmu::cli::filter {

/// Unit masks `first` to `last` of an event select.
struct SelectorRange {
  std::uint16_t event = 0;
  std::uint8_t first = 0;
  std::uint8_t last = 0;
  friend bool operator==(const SelectorRange&, const SelectorRange&) = default;
};

inline SelectorRange range_of(silicon::x86::EventSelector selector) {
  return {selector.event, selector.unit_mask, selector.unit_mask};
}

/// "0xd0/0x81", "0xd0/0x00-0x7f", "0xd0/any".
std::string code_text(const SelectorRange& range);

/// "include 3", "exclude 4", "no include", "bitmap".
std::string reason_text(const virt::x86::FilterVerdict& verdict);

/// A name and what follows it, in columns; a name that is too long has a line of its own.
inline constexpr std::size_t kNameColumns = 40;
std::string row_text(std::string_view name, std::string_view rest);

/// The columns of a difference behind its name: "0xd0/0x81   allowed  denied". The other filter
/// says the opposite of `a_admits`.
std::string difference_text(std::string_view code, bool a_admits);
/// Their headings, and the lines above that say which filter is which.
std::string difference_headings(std::string_view code, std::string_view a, std::string_view b);

/// "INST_RETIRED.ANY, ...": the names of what a fixed counter counts, those of nothing else first.
std::vector<std::string> fixed_names(const policy::EventCatalogue& catalogue, unsigned k);
/// The first of them, or "(no name)".
std::string fixed_name(const policy::EventCatalogue& catalogue, unsigned k);

}  // namespace vpmu::cli::filter
