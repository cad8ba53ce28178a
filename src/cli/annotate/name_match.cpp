// SPDX-License-Identifier: MIT
#include "cli/annotate/name_match.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>

namespace vpmu::cli::annotate {

namespace {
/// "ns::Table::find(int) const" without what begins at the parameters.
std::string_view without_parameters(std::string_view name) {
  const std::size_t close = name.rfind(')');
  if (close == std::string_view::npos) return name;
  std::size_t depth = 0;
  for (std::size_t at = close + 1; at-- > 0;) {
    if (name[at] == ')') ++depth;
    if (name[at] == '(' && --depth == 0) return name.substr(0, at);
  }
  return name;
}
/// A function that the compiler made a special version of, "f.isra.0" or "f() [clone
/// .constprop.1]", under its name in the source. Parts that it split off (.part, .cold) keep
/// theirs.
std::string_view without_versions(std::string_view name) {
  constexpr std::string_view kOpen = " [clone ", kClose = "]";
  for (;;) {
    std::string_view rest = name;
    const bool in_brackets = rest.ends_with(kClose) && rest.rfind(kOpen) != std::string_view::npos;
    if (in_brackets) rest.remove_suffix(kClose.size());
    const std::size_t number = rest.find_last_not_of("0123456789");
    if (number == std::string_view::npos || number + 1 == rest.size() || rest[number] != '.') break;
    rest = rest.substr(0, number);
    const auto mark = {std::string_view{".isra"}, std::string_view{".constprop"}};
    const auto found =
        std::ranges::find_if(mark, [rest](std::string_view m) { return rest.ends_with(m); });
    if (found == mark.end()) break;
    rest.remove_suffix(found->size());
    if (in_brackets && !rest.ends_with(kOpen)) break;
    if (in_brackets) rest.remove_suffix(kOpen.size());
    name = rest;
  }
  return name;
}
}  // namespace

NameMatch match_of(const profile::Symbol& symbol, std::string_view wanted) {
  if (wanted.empty()) return NameMatch::kNone;
  if (symbol.name == wanted || symbol.linkage_name == wanted) return NameMatch::kWhole;
  const std::string_view name = without_versions(symbol.name);
  // Parts of functions that the compiler split off are no overloads.
  if (name.ends_with(']')) return NameMatch::kNone;
  const std::string_view bare = without_parameters(name);
  if (bare == wanted) return NameMatch::kWithoutParameters;
  if (!bare.ends_with(wanted)) return NameMatch::kNone;
  const std::string_view before = bare.substr(0, bare.size() - wanted.size());
  return before.ends_with("::") ? NameMatch::kLastParts : NameMatch::kNone;
}

}  // namespace vpmu::cli::annotate
