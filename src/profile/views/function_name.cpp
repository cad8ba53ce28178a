// SPDX-License-Identifier: MIT
#include "profile/views/function_name.hpp"

#include "profile/views/columns.hpp"

namespace vpmu::profile {

std::string_view without_arguments(std::string_view name) {
  std::string_view body = name;
  const std::size_t clone = body.find(" [clone ");
  if (clone != std::string_view::npos) body = body.substr(0, clone);
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view word : {" const", " volatile", " &", "&", " noexcept"}) {
      if (body.ends_with(word) && body.size() > word.size()) {
        body.remove_suffix(word.size());
        cut = true;
      }
    }
  }
  if (!body.ends_with(')')) return name;
  std::size_t open = 0;
  std::size_t at = body.size();
  do {
    --at;
    if (body[at] == ')') ++open;
    if (body[at] == '(') --open;
  } while (open != 0 && at != 0);
  if (open != 0 || at == 0) return name;
  const std::string_view rest = body.substr(0, at);
  return rest.ends_with("operator") ? body : rest;
}

std::string short_function_name(std::string_view name, std::size_t columns) {
  constexpr std::size_t kDots = 3;
  if (columns_of(name) <= columns) return std::string{name};
  std::string_view end = without_arguments(name);
  if (columns_of(end) <= columns) return std::string{end};
  if (columns <= kDots) return cut(name, columns);
  while (!end.empty() && columns_of(end) > columns - kDots) {
    // A whole character.
    do {
      end.remove_prefix(1);
    } while (!end.empty() && (static_cast<unsigned char>(end[0]) & 0xc0) == 0x80);
  }
  return "..." + std::string{end};
}

}  // namespace vpmu::profile
