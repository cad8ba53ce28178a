// SPDX-License-Identifier: MIT
#include "policy/policy_document.hpp"

#include <iterator>
#include <span>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "policy/nearest_names.hpp"
#include "policy/toml_text.hpp"

namespace vpmu::policy {

namespace {
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
    return wrong(place, unknown_key(key, known));
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
  return policy::at(file, place, message);
}

Result<PolicyDocument> parse_policy_document(std::string_view text, std::string_view file) {
  PolicyDocument document;
  document.file = file;
  const auto table = parse_toml(text, file, "a policy");
  if (!table) return tl::unexpected(table.error());
  if (auto read = Reader{document}.read(*table); !read) return tl::unexpected(read.error());
  return document;
}

}  // namespace vpmu::policy
