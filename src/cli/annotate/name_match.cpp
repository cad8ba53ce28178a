// SPDX-License-Identifier: MIT
#include "cli/annotate/name_match.hpp"

#include <cstddef>

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
}  // namespace

NameMatch match_of(const profile::Symbol& symbol, std::string_view wanted) {
  if (wanted.empty()) return NameMatch::kNone;
  if (symbol.name == wanted || symbol.linkage_name == wanted) return NameMatch::kWhole;
  // Parts of functions that the compiler split are no overloads.
  if (symbol.name.ends_with(']')) return NameMatch::kNone;
  const std::string_view bare = without_parameters(symbol.name);
  if (bare == wanted) return NameMatch::kWithoutParameters;
  if (!bare.ends_with(wanted)) return NameMatch::kNone;
  const std::string_view before = bare.substr(0, bare.size() - wanted.size());
  return before.ends_with("::") ? NameMatch::kLastParts : NameMatch::kNone;
}

}  // namespace vpmu::cli::annotate
