// SPDX-License-Identifier: MIT
#include "policy/filter_json.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "policy/number.hpp"

namespace vpmu::policy {

namespace {
using Json = nlohmann::json;

constexpr std::string_view kKeys[] = {"action", "fixed_counter_bitmap", "flags", "events"};
constexpr std::string_view kComment = "comment";

/// A number, or a string with one: "0x81d0", "12".
std::optional<std::uint64_t> number_in(const Json& json) {
  if (json.is_number_unsigned()) return json.get<std::uint64_t>();
  if (!json.is_string()) return std::nullopt;
  return number(json.get_ref<const std::string&>());
}

/// For an error. Of lists and objects not what is in them, which may be nested deep.
std::string shown(const Json& json) {
  if (json.is_structured()) return json.is_array() ? "a list" : "an object";
  constexpr std::size_t kMost = 40;
  std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

Result<std::uint32_t> word(const Json& object, const char* key) {
  const Json& json = object[key];
  const auto value = number_in(json);
  if (value && *value <= std::numeric_limits<std::uint32_t>::max()) {
    return static_cast<std::uint32_t>(*value);
  }
  return fail(fmt::format("\"{}\" is {}; give a number of 32 bits, or a string like \"0x7\"", key,
                          shown(json)));
}

Result<std::uint32_t> action(const Json& object) {
  const Json& json = object["action"];
  if (json == "allow") return 0;
  if (json == "deny") return 1;
  if (json.is_number()) return word(object, "action");
  return fail(fmt::format("\"action\" is {}; give \"allow\" or \"deny\"", shown(json)));
}

void append(std::vector<std::byte>& bytes, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
}

Result<void> append_events(const Json& events, std::vector<std::byte>& bytes) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto value = number_in(events[i]);
    if (!value) {
      return fail(
          fmt::format("\"events\", entry {}, is {}; give a number of 64 bits, or a string "
                      "like \"0xff000000000081d0\"",
                      i, shown(events[i])));
    }
    append(bytes, *value, 8);
  }
  return {};
}

Result<void> check_keys(const Json& object) {
  for (const auto& item : object.items()) {
    const std::string& key = item.key();
    if (key == kComment || std::ranges::find(kKeys, key) != std::end(kKeys)) continue;
    return fail(
        fmt::format("key {} is not known; a filter has \"action\", "
                    "\"fixed_counter_bitmap\", \"flags\", \"events\" and maybe \"comment\"",
                    shown(key)));
  }
  for (const std::string_view key : kKeys) {
    if (!object.contains(key)) return fail(fmt::format("\"{}\" is missing; add it", key));
  }
  if (!object["events"].is_array()) {
    return fail(fmt::format("\"events\" is {}; give a list", shown(object["events"])));
  }
  return {};
}

/// "line 3, column 7" of the character before `at`, counted from 1.
std::string place(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at == 0 ? 0 : at - 1);
  const auto line = std::ranges::count(before, '\n') + 1;
  const std::size_t start = before.rfind('\n');
  const std::size_t column = start == before.npos ? before.size() + 1 : before.size() - start;
  return fmt::format("line {}, column {}", line, column);
}

Result<Json> parse(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    return fail(fmt::format("{}: no JSON from here on; correct it", place(text, error.byte)));
  } catch (const Json::out_of_range&) {
    return fail("has a number that is too large; write it as a string like \"0x7\"");
  }
}
}  // namespace

Result<std::vector<std::byte>> parse_filter_json(std::string_view text) {
  const auto json = parse(text);
  if (!json) return tl::unexpected(json.error());
  if (!json->is_object()) return fail("is JSON, but no object; begin it with '{'");
  if (auto checked = check_keys(*json); !checked) return tl::unexpected(checked.error());
  const auto acts = action(*json);
  if (!acts) return tl::unexpected(acts.error());
  const auto bitmap = word(*json, "fixed_counter_bitmap");
  if (!bitmap) return tl::unexpected(bitmap.error());
  const auto flags = word(*json, "flags");
  if (!flags) return tl::unexpected(flags.error());

  const Json& events = (*json)["events"];
  constexpr std::size_t kPadding = 16;
  std::vector<std::byte> bytes;
  append(bytes, *acts, 4);
  append(bytes, events.size(), 4);
  append(bytes, *bitmap, 4);
  append(bytes, *flags, 4);
  bytes.resize(bytes.size() + kPadding);
  if (auto appended = append_events(events, bytes); !appended) {
    return tl::unexpected(appended.error());
  }
  return bytes;
}

}  // namespace vpmu::policy
