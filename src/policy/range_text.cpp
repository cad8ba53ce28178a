// SPDX-License-Identifier: MIT
//
// Filters of ranges as people write them: TOML and JSON.
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/user_text.hpp"
#include "policy/number.hpp"
#include "policy/range_filter.hpp"
#include "policy/toml_text.hpp"

namespace vpmu::policy {

using silicon::arm64::CpuModel;
using virt::arm64::FilterRange;

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExample = R"(ranges = ["allow INST_RETIRED"])";

/// The string of a node, or what it is instead.
Result<std::string> string_in(const toml::node& node, std::string_view name,
                              std::string_view example) {
  if (const auto* text = node.as_string()) return text->get();
  return fail(at(name, place_of(node.source()),
                 fmt::format("this is {}; write {}", kind_of(node), example)));
}

Result<const CpuModel*> model_in(const toml::table& table, std::string_view name) {
  const toml::node* cpu = table.get("cpu");
  if (cpu == nullptr) {
    return fail(at(name, {}, R"(does not say for which CPU it is; write cpu = "neoverse-n1")"));
  }
  const auto text = string_in(*cpu, name, R"(cpu = "neoverse-n1")");
  if (!text) return tl::unexpected(text.error());
  return range_cpu_model(*text).map_error(
      [&](const Error& error) { return Error{at(name, place_of(cpu->source()), error.message)}; });
}

Result<void> check_keys(const toml::table& table, std::string_view name) {
  constexpr std::string_view kKeys[] = {"cpu", "ranges"};
  for (const auto& [key, value] : table) {
    if (key.str() == kKeys[0] || key.str() == kKeys[1]) continue;
    return fail(at(name, place_of(key.source()), unknown_key(key.str(), kKeys)));
  }
  return {};
}

Result<std::vector<FilterRange>> ranges_in(const toml::node* list, const CpuModel& model,
                                           std::string_view name) {
  if (list == nullptr) {
    return fail(at(name, {}, fmt::format("'ranges' is missing; write {}", kExample)));
  }
  const toml::array* array = list->as_array();
  if (array == nullptr) {
    return fail(at(name, place_of(list->source()),
                   fmt::format("'ranges' is {}; write {}", kind_of(*list), kExample)));
  }
  std::vector<FilterRange> ranges;
  for (const toml::node& node : *array) {
    const auto text = string_in(node, name, R"("allow INST_RETIRED", for example)");
    if (!text) return tl::unexpected(text.error());
    const auto range = parse_range(*text, model);
    if (!range) return fail(at(name, place_of(node.source()), range.error().message));
    ranges.push_back(*range);
  }
  return ranges;
}

// ---- JSON ---------------------------------------------------------------------------------------

/// A number up to `most`, or a string with one. None if it is missing or no such thing.
std::optional<std::uint64_t> number_in(const Json& object, const char* key, std::uint64_t most) {
  if (!object.is_object() || !object.contains(key)) return std::nullopt;
  const Json& json = object[key];
  std::optional<std::uint64_t> value;
  if (json.is_number_unsigned()) value = json.get<std::uint64_t>();
  if (json.is_string()) value = number(json.get_ref<const std::string&>());
  return value && *value <= most ? value : std::nullopt;
}

std::optional<std::uint64_t> action_in(const Json& object) {
  if (!object.is_object() || !object.contains("action")) return std::nullopt;
  if (object["action"] == "allow") return FilterRange::kAllow;
  if (object["action"] == "deny") return FilterRange::kDeny;
  return number_in(object, "action", std::numeric_limits<std::uint8_t>::max());
}

Result<FilterRange> range_in(const Json& object, std::size_t place) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint16_t>::max();
  const auto base = number_in(object, "base_event", kMost);
  const auto count = number_in(object, "nevents", kMost);
  const auto action = action_in(object);
  if (!base || !count || !action || object.size() != 3) {
    return fail(
        fmt::format("\"ranges\", number {}, is not understood; give {{\"action\": "
                    "\"allow\", \"base_event\": \"0x8\", \"nevents\": 1}}",
                    place));
  }
  return FilterRange{.base_event = static_cast<std::uint16_t>(*base),
                     .nevents = static_cast<std::uint16_t>(*count),
                     .action = static_cast<std::uint8_t>(*action)};
}

Result<RangeFilter> filter_in(const Json& json) {
  RangeFilter filter;
  for (const auto& item : json.items()) {
    if (item.key() == "ranges" || item.key() == "comment") continue;
    if (item.key() != "cpu" || !item.value().is_string()) {
      return fail(
          fmt::format("key {} is not known, or no string; a filter of ranges has "
                      "\"ranges\", and maybe \"cpu\" and \"comment\"",
                      in_quotes(item.key())));
    }
    const auto model = range_cpu_model(item.value().get_ref<const std::string&>());
    if (!model) return tl::unexpected(model.error());
    filter.model = *model;
  }
  const Json& ranges = json["ranges"];
  if (!ranges.is_array()) return fail("\"ranges\" is no list; give a list of objects");
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const auto range = range_in(ranges[i], i);
    if (!range) return tl::unexpected(range.error());
    filter.ranges.push_back(*range);
  }
  return filter;
}

}  // namespace

Result<std::optional<RangeFilter>> parse_range_policy(std::string_view text,
                                                      std::string_view name) {
  const auto table = parse_toml(text, name, "a policy");
  if (!table) return std::nullopt;
  const auto cpu = (*table)["cpu"].value<std::string>();
  const bool arm64 = cpu && silicon::arm64::find_cpu_model(*cpu) != nullptr;
  if (!arm64 && !table->contains("ranges")) return std::nullopt;
  if (auto known = check_keys(*table, name); !known) return tl::unexpected(known.error());
  const auto model = model_in(*table, name);
  if (!model) return tl::unexpected(model.error());
  auto ranges = ranges_in(table->get("ranges"), **model, name);
  if (!ranges) return tl::unexpected(ranges.error());
  return RangeFilter{*model, std::move(*ranges)};
}

Result<std::optional<RangeFilter>> parse_range_json(std::string_view text) {
  constexpr bool kThrow = false;
  const Json json = Json::parse(text, nullptr, kThrow);
  if (!json.is_object() || !json.contains("ranges")) return std::nullopt;
  return filter_in(json).map([](RangeFilter filter) { return std::optional{std::move(filter)}; });
}

std::string range_json(const RangeFilter& filter, std::string_view comment) {
  Json json;
  json["comment"] = Json::array({comment});
  if (filter.model != nullptr) json["cpu"] = filter.model->name;
  Json& ranges = json["ranges"] = Json::array();
  for (const FilterRange& range : filter.ranges) {
    ranges.push_back({{"action", range.action == FilterRange::kAllow ? "allow" : "deny"},
                      {"base_event", fmt::format("{:#06x}", range.base_event)},
                      {"nevents", range.nevents}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vpmu::policy
