// SPDX-License-Identifier: MIT
#include "profile/views/event_choice.hpp"

#include <optional>

#include <fmt/format.h>

#include "base/user_text.hpp"

namespace vpmu::profile {

namespace {
std::string names_of(const perf_data::FileInfo& info) {
  std::string names;
  for (const auto& event : info.events) {
    if (!names.empty()) names += ", ";
    names += in_quotes(event.name);
  }
  return names;
}
}  // namespace

Result<std::uint32_t> choose_event(const perf_data::FileInfo& info, std::string_view wanted,
                                   const std::string& file) {
  if (info.events.empty()) {
    return fail(fmt::format("'{}' says of no event; record again", printable(file)));
  }
  if (wanted.empty()) return 0;
  std::optional<std::uint32_t> found;
  bool several = false;
  for (std::uint32_t i = 0; i < info.events.size(); ++i) {
    const std::string_view name = info.events[i].name;
    if (name == wanted) return i;
    if (name.substr(0, name.find(':')) != wanted) continue;
    several |= found.has_value();
    found = i;
  }
  if (found && !several) return *found;
  return fail(fmt::format("-e {}: '{}' has {}; give one of {}", one_line(wanted), printable(file),
                          several ? "several such events" : "no such event", names_of(info)));
}

}  // namespace vpmu::profile
