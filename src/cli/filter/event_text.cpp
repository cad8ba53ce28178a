// SPDX-License-Identifier: MIT
#include "cli/filter/event_text.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/filter/json_words.hpp"

namespace vpmu::cli::filter {

using virt::x86::FilterVerdict;

std::string code_text(const SelectorRange& range) {
  if (range.first == 0 && range.last == 0xff) return fmt::format("{:#04x}/any", range.event);
  if (range.first == range.last) return fmt::format("{:#04x}/{:#04x}", range.event, range.first);
  return fmt::format("{:#04x}/{:#04x}-{:#04x}", range.event, range.first, range.last);
}

std::string reason_text(const FilterVerdict& verdict) {
  switch (verdict.reason) {
    case FilterVerdict::Reason::kIncluded: return fmt::format("include {}", verdict.entry);
    case FilterVerdict::Reason::kExcluded: return fmt::format("exclude {}", verdict.entry);
    case FilterVerdict::Reason::kNotIncluded: return "no include";
    case FilterVerdict::Reason::kFixedBitmap: return "bitmap";
  }
  return "";
}

std::string row_text(std::string_view name, std::string_view rest) {
  if (name.size() <= kNameColumns) return fmt::format("{:<{}} {}\n", name, kNameColumns, rest);
  return fmt::format("{}\n{:<{}} {}\n", name, "", kNameColumns, rest);
}

std::string difference_text(std::string_view code, bool a_admits) {
  return fmt::format("{:<22} {:<7}  {}", code, verdict_word(a_admits), verdict_word(!a_admits));
}

std::string difference_headings(std::string_view code, std::string_view a, std::string_view b) {
  return fmt::format("A: {}\nB: {}\n\n", a, b) +
         row_text("event", fmt::format("{:<22} {:<7}  {}", code, "A", "B"));
}

std::vector<std::string> fixed_names(const policy::EventCatalogue& catalogue, unsigned k) {
  std::vector<std::string> names;
  for (const bool only : {true, false}) {
    for (const policy::NamedEvent& event : catalogue.events()) {
      if (event.fixed == static_cast<int>(k) && event.fixed_only == only) {
        names.push_back(event.name);
      }
    }
  }
  return names;
}

std::string fixed_name(const policy::EventCatalogue& catalogue, unsigned k) {
  const auto names = fixed_names(catalogue, k);
  return names.empty() ? "(no name)" : names.front();
}

}  // namespace vpmu::cli::filter
