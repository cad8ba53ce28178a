// SPDX-License-Identifier: MIT
#include "cli/filter/range_diff.hpp"

#include <fmt/format.h>

#include "cli/filter/event_text.hpp"
#include "cli/filter/json_words.hpp"
#include "vpmu/silicon/arm64/pmu_registers.hpp"

namespace vpmu::cli::filter {

namespace {
using policy::FilterFile;
using silicon::arm64::CpuModel;
using virt::arm64::EventFilter;

void add_unnamed(std::uint16_t event, bool a_admits,
                 std::vector<RangeDifferences::Unnamed>& ranges) {
  const bool follows = !ranges.empty() && ranges.back().a_admits == a_admits &&
                       ranges.back().last_event + 1U == event;
  if (follows) {
    ranges.back().last_event = event;
  } else {
    ranges.push_back({event, event, a_admits});
  }
}

bool has_unnamed(const RangeDifferences::Unnamed& range, const CpuModel& model) {
  for (unsigned event = range.event; event <= range.last_event; ++event) {
    if (policy::event_name(model, static_cast<std::uint16_t>(event)).empty()) return true;
  }
  return false;
}

std::string range_text(const RangeDifferences::Unnamed& range) {
  if (range.last_event == range.event) return fmt::format("{:#06x}", range.event);
  return fmt::format("{:#06x}-{:#06x}", range.event, range.last_event);
}

std::string table(const RangeDifferences& found) {
  std::string text;
  for (const auto& event : found.named) {
    text +=
        row_text(event.name, difference_text(fmt::format("{:#06x}", event.event), event.a_admits));
  }
  for (const auto& range : found.unnamed) {
    text += row_text("(no name)", difference_text(range_text(range), range.a_admits));
  }
  return text;
}

Json json_of(const RangeDifferences& found, const LoadedRanges& a, const LoadedRanges& b) {
  Json events = Json::array();
  for (const auto& event : found.named) {
    Json& one = events.emplace_back(Json{{"name", event.name}, {"event", event.event}});
    add_difference(one, event.a_admits);
  }
  Json unnamed = Json::array();
  for (const auto& range : found.unnamed) {
    Json& one =
        unnamed.emplace_back(Json{{"event", range.event}, {"last_event", range.last_event}});
    add_difference(one, range.a_admits);
  }
  return {{"filter_diff", kJsonVersion},  {"a", a.name},          {"b", b.name},
          {"cpu", a.model->name},         {"same", !found.any()}, {"events", std::move(events)},
          {"unnamed", std::move(unnamed)}};
}

const CpuModel* model_in(const FilterFile& file) {
  return file.ranges ? file.ranges->model : nullptr;
}

/// The name of the CPU of which both are; empty: nobody says it.
Result<std::string> common_cpu(const FilterFile& a, const FilterFile& b, const std::string& cpu) {
  if (!cpu.empty()) return cpu;
  const CpuModel* const of_a = model_in(a);
  const CpuModel* const of_b = model_in(b);
  if (of_a != nullptr && of_b != nullptr && of_a != of_b) {
    return fail(fmt::format("'{}' is for {} and '{}' for {}; give two filters for the same CPU",
                            a.name, of_a->name, b.name, of_b->name));
  }
  const CpuModel* const either = of_a != nullptr ? of_a : of_b;
  return either != nullptr ? std::string{either->name} : std::string{};
}

Result<LoadedRanges> load(const FilterFile& file, const std::string& cpu) {
  auto ranges = as_ranges(file, cpu);
  if (!ranges) return tl::unexpected(ranges.error());
  if (*ranges) return std::move(**ranges);
  return fail(
      fmt::format("event filter '{}': is for x86 guests, and the other one for AArch64 guests; "
                  "give two of a kind",
                  file.name));
}
}  // namespace

RangeDifferences differences(const EventFilter& a, const EventFilter& b, const CpuModel& model) {
  RangeDifferences found;
  const std::uint32_t numbers = silicon::arm64::event_numbers(model.pmu.version);
  for (std::uint32_t n = 0; n < numbers; ++n) {
    const auto event = static_cast<std::uint16_t>(n);
    const bool a_admits = a.admits(event);
    if (a_admits == b.admits(event) || is_always_counted(event)) continue;
    const std::string_view name = policy::event_name(model, event);
    if (!name.empty()) found.named.push_back({name, event, a_admits});
    add_unnamed(event, a_admits, found.unnamed);
  }
  std::erase_if(found.unnamed, [&](const auto& range) { return !has_unnamed(range, model); });
  return found;
}

bool are_ranges(const FilterFile& a, const FilterFile& b, const std::string& cpu) {
  return a.ranges || b.ranges || silicon::arm64::find_cpu_model(cpu) != nullptr;
}

Result<Output> diff_ranges(const FilterFile& a_file, const FilterFile& b_file,
                           const std::string& cpu, bool json) {
  const auto common = common_cpu(a_file, b_file, cpu);
  if (!common) return tl::unexpected(common.error());
  const auto a = load(a_file, *common);
  if (!a) return tl::unexpected(a.error());
  const auto b = load(b_file, *common);
  if (!b) return tl::unexpected(b.error());
  const auto a_filter = valid_filter(*a);
  if (!a_filter) return tl::unexpected(a_filter.error());
  const auto b_filter = valid_filter(*b);
  if (!b_filter) return tl::unexpected(b_filter.error());

  const RangeDifferences found = differences(*a_filter, *b_filter, *a->model);
  Output output{.text = "", .remarks = "", .status = found.any() ? kStatusNo : 0};
  if (json) {
    output.text = print(json_of(found, *a, *b));
  } else if (found.any()) {
    output.text = difference_headings("number", a->name, b->name) + table(found);
  }
  return output;
}

}  // namespace vpmu::cli::filter
