// SPDX-License-Identifier: MIT
#include "policy/policy_document.hpp"

#include <algorithm>
#include <iterator>
#include <span>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "policy/ascii_only.hpp"

#include "policy/nearest_names.hpp"
#include "policy/user_text.hpp"

namespace vpmu::policy {

namespace {
/// Many times what the longest policy needs.
constexpr std::size_t kLargest = std::size_t{1} << 20;

Place place_of(const toml::source_region& source) {
  return {std::max<std::uint32_t>(source.begin.line, 1),
          std::max<std::uint32_t>(source.begin.column, 1)};
}

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "a whole number";
    case toml::node_type::floating_point: return "a number with a point";
    case toml::node_type::boolean: return "true or false";
    default: return "a date or time";
  }
}

/// Takes what is in a table apart, key by key.
class Reader {
 public:
  explicit Reader(PolicyDocument& document) : document_{document} {}

  Result<void> read(const toml::table& table) {
    for (const auto& [key, value] : table) {
      if (auto done = read_key(key.str(), place_of(key.source()), value); !done) return done;
    }
    return {};
  }

 private:
  [[nodiscard]] tl::unexpected<Error> wrong(Place place, std::string_view message) const {
    return fail(document_.at(place, message));
  }

  Result<void> read_key(std::string_view key, Place place, const toml::node& value) {
    if (key == "cpu") return read_string(value, R"(cpu = "icelake-server")", document_.cpu);
    if (key == "default")
      return read_string(value, R"(default = "deny")", document_.default_action);
    if (key == "tier") return read_string(value, R"(tier = "architectural")", document_.tier);
    if (key == "allow") return read_events(value, "allow", document_.allow);
    if (key == "deny") return read_events(value, "deny", document_.deny);
    if (key == "fixed") return read_fixed(value);
    constexpr std::string_view kKeys[] = {"cpu", "default", "tier", "allow", "deny", "fixed"};
    return unknown(key, place, kKeys);
  }

  Result<void> read_fixed(const toml::node& value) {
    const toml::table* table = value.as_table();
    if (table == nullptr) {
      return wrong(place_of(value.source()),
                   fmt::format("'fixed' is {}; write [fixed] on a line of its own, and below it "
                               "allow = [0]",
                               kind_of(value)));
    }
    for (const auto& [key, list] : *table) {
      constexpr std::string_view kKeys[] = {"allow", "deny"};
      const bool allow = key.str() == "allow";
      if (!allow && key.str() != "deny") return unknown(key.str(), place_of(key.source()), kKeys);
      auto& counters = allow ? document_.fixed_allow : document_.fixed_deny;
      if (auto done = read_counters(list, key.str(), counters); !done) return done;
    }
    return {};
  }

  [[nodiscard]] tl::unexpected<Error> unknown(std::string_view key, Place place,
                                              std::span<const std::string_view> known) const {
    return wrong(place,
                 fmt::format("key {} is not known; keys like it: {}", in_quotes(key),
                             fmt::join(nearest_names(key, {known.begin(), known.end()}), ", ")));
  }

  Result<void> read_string(const toml::node& value, std::string_view example,
                           std::optional<Written>& to) const {
    const Place place = place_of(value.source());
    const toml::value<std::string>* text = value.as_string();
    if (text == nullptr)
      return wrong(place, fmt::format("this is {}; write {}", kind_of(value), example));
    to = Written{.text = text->get(), .place = place, .number = {}};
    return {};
  }

  Result<void> read_events(const toml::node& value, std::string_view key,
                           std::vector<Written>& to) const {
    const toml::array* array = value.as_array();
    if (array == nullptr) {
      return wrong(
          place_of(value.source()),
          fmt::format("'{}' is {}; write {} = [\"INST_RETIRED.*\"]", key, kind_of(value), key));
    }
    for (const toml::node& node : *array) {
      std::optional<Written> event;
      if (auto done = read_string(node, R"("INST_RETIRED.*", for example)", event); !done)
        return done;
      to.push_back(std::move(*event));
    }
    return {};
  }

  Result<void> read_counters(const toml::node& value, std::string_view key,
                             std::vector<Written>& to) const {
    const toml::array* array = value.as_array();
    if (array == nullptr) {
      return wrong(place_of(value.source()),
                   fmt::format("'{}' is {}; write {} = [0]", key, kind_of(value), key));
    }
    for (const toml::node& node : *array) {
      const Place place = place_of(node.source());
      if (const auto* number = node.as_integer()) {
        to.push_back({.text = {}, .place = place, .number = number->get()});
        continue;
      }
      std::optional<Written> event;
      if (auto done = read_string(node, "a number or the name of an event", event); !done)
        return done;
      to.push_back(std::move(*event));
    }
    return {};
  }

  PolicyDocument& document_;
};
}  // namespace

std::string PolicyDocument::at(Place place, std::string_view message) const {
  return fmt::format("{}:{}:{}: {}", file, place.line, place.column, message);
}

Result<PolicyDocument> parse_policy_document(std::string_view text, std::string_view file) {
  PolicyDocument document;
  document.file = file;
  if (text.size() > kLargest)
    return fail(document.at({}, "a policy has at most 1 MiB; write fewer or shorter lines"));
  const auto ascii = ascii_only(text);
  if (!ascii) return fail(document.at(ascii.error(), "this is not UTF-8; save the file as UTF-8"));
  const toml::parse_result parsed = toml::parse(*ascii);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return fail(document.at(place_of(error.source()), one_line(error.description())));
  }
  if (auto read = Reader{document}.read(parsed.table()); !read) return tl::unexpected(read.error());
  return document;
}

}  // namespace vpmu::policy
