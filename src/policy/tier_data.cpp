// SPDX-License-Identifier: MIT
#include "policy/tier_data.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace vpmu::policy {

namespace {
/// Of files that extend others.
constexpr int kMostFiles = 8;

const TierFile* find_file(std::string_view name) {
  const auto found = std::ranges::find(tier_files(), name, &TierFile::name);
  return found == tier_files().end() ? nullptr : &*found;
}

tl::unexpected<Error> wrong(std::string_view file, const toml::source_region& place,
                            std::string_view what) {
  return fail(fmt::format("tiers/{}:{}:{}: {}", file, place.begin.line, place.begin.column, what));
}

Result<toml::table> parse(const TierFile& file) {
  toml::parse_result parsed = toml::parse(file.text, file.name);
  if (!parsed) return wrong(file.name, parsed.error().source(), parsed.error().description());
  return std::move(parsed).table();
}

std::vector<std::string> strings(const toml::array* array) {
  std::vector<std::string> all;
  if (array == nullptr) return all;
  for (const toml::node& node : *array) all.push_back(node.value_or(std::string{}));
  return all;
}

Result<TierRule> parse_rule(const toml::table& table, std::string_view file) {
  TierRule rule;
  const auto tier = table["tier"].value_or(std::string{});
  rule.tier = find_tier(tier);
  if (!rule.tier && tier != "none") return wrong(file, table.source(), "a rule without a tier");
  rule.events = strings(table["events"].as_array());
  if (rule.events.empty()) return wrong(file, table.source(), "a rule without events");
  rule.reason = table["reason"].value_or(std::string{});
  if (rule.reason.empty() && rule.tier != Tier::kArchitectural)
    return wrong(file, table.source(), "a rule without a reason");
  return rule;
}

Result<void> append_rules(const toml::table& table, std::string_view file,
                          std::vector<TierRule>& rules) {
  const toml::array* array = table["rule"].as_array();
  if (array == nullptr) return {};
  for (const toml::node& node : *array) {
    if (!node.is_table()) return wrong(file, node.source(), "a rule is a table");
    auto rule = parse_rule(*node.as_table(), file);
    if (!rule) return tl::unexpected(rule.error());
    rules.push_back(std::move(*rule));
  }
  return {};
}

Result<const TierFile*> file_for(std::string_view pmu) {
  for (const TierFile& file : tier_files()) {
    const auto table = parse(file);
    if (!table) return tl::unexpected(table.error());
    if (std::ranges::count(strings((*table)["cpus"].as_array()), pmu) != 0) return &file;
  }
  return fail(fmt::format("there are no tiers for {}; there are for {}", pmu,
                          fmt::join(pmus_with_tiers(), ", ")));
}
}  // namespace

Result<std::vector<TierRule>> tier_rules(std::string_view pmu) {
  const auto found = file_for(pmu);
  if (!found) return tl::unexpected(found.error());
  std::vector<TierRule> rules;
  const TierFile* file = *found;
  for (int i = 0; i < kMostFiles; ++i) {
    const auto table = parse(*file);
    if (!table) return tl::unexpected(table.error());
    if (auto done = append_rules(*table, file->name, rules); !done)
      return tl::unexpected(done.error());
    const auto extended = (*table)["extends"].value<std::string>();
    if (!extended) return rules;
    const TierFile* const base = find_file(*extended);
    if (base == nullptr) return wrong(file->name, table->source(), "extends no file that there is");
    file = base;
  }
  return fail(fmt::format("tiers/{}: extends itself", file->name));
}

std::vector<std::string> pmus_with_tiers() {
  std::vector<std::string> pmus;
  for (const TierFile& file : tier_files()) {
    if (const auto table = parse(file)) {
      std::ranges::move(strings((*table)["cpus"].as_array()), std::back_inserter(pmus));
    }
  }
  std::ranges::sort(pmus);
  return pmus;
}

}  // namespace vpmu::policy
