// SPDX-License-Identifier: MIT
#include "cli/event_list.hpp"

#include <cstddef>

#include <fmt/format.h>

#include "base/user_text.hpp"

namespace vpmu::cli {

namespace {
Result<void> split(std::string_view list, std::vector<std::string>& events) {
  if (list.find_first_of("{}") != std::string_view::npos) {
    return fail(fmt::format("-e {}: there are no groups of events here; leave the braces out",
                            in_quotes(list)));
  }
  bool in_terms = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= list.size(); ++i) {
    if (i < list.size() && list[i] == '/') in_terms = !in_terms;
    if (i < list.size() && (list[i] != ',' || in_terms)) continue;
    if (i == begin) {
      return fail(
          fmt::format("-e {}: an event is empty; give events with one comma between them, as "
                      "cycles,instructions",
                      in_quotes(list)));
    }
    events.emplace_back(list.substr(begin, i - begin));
    begin = i + 1;
  }
  return {};
}
}  // namespace

Result<std::vector<std::string>> split_event_lists(const std::vector<std::string>& lists) {
  std::vector<std::string> events;
  for (const std::string& list : lists) {
    if (auto done = split(list, events); !done) return tl::unexpected(done.error());
  }
  return events;
}

}  // namespace vpmu::cli
