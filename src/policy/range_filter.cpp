// SPDX-License-Identifier: MIT
#include "policy/range_filter.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "policy/nearest_names.hpp"
#include "policy/number.hpp"
#include "vpmu/silicon/arm64/pmu_registers.hpp"

namespace vpmu::policy {

using silicon::arm64::CpuModel;
using silicon::arm64::EventRow;
using virt::arm64::FilterRange;

namespace {

/// struct kvm_pmu_event_filter: base_event, nevents, action, three bytes of padding.
constexpr std::size_t kStructure = 8;
constexpr std::size_t kActionAt = 4;

struct OwnEvent {
  std::string_view name;
  std::uint16_t number;
};
constexpr OwnEvent kOwnEvents[] = {{"SW_INCR", silicon::arm64::kSwIncr},
                                   {"CHAIN", silicon::arm64::kChain}};

bool same_letters(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, {}, [](unsigned char c) { return std::toupper(c); },
      [](unsigned char c) { return std::toupper(c); });
}

std::uint16_t word(std::span<const std::byte> bytes) {
  return static_cast<std::uint16_t>(static_cast<unsigned>(bytes[0]) |
                                    static_cast<unsigned>(bytes[1]) << 8);
}

const char* action_name(std::uint8_t action) {
  return action == FilterRange::kAllow ? "allow" : "deny";
}

std::string unknown_event(std::string_view text, const CpuModel& model) {
  std::vector<std::string_view> names;
  for (const EventRow& row : model.events) names.emplace_back(row.name);
  for (const OwnEvent& own : kOwnEvents) names.push_back(own.name);
  return fmt::format("event {} is not known on {}; names like it: {}", in_quotes(text), model.name,
                     fmt::join(nearest_names(text, std::move(names)), ", "));
}

}  // namespace

Result<const CpuModel*> range_cpu_model(std::string_view name) {
  if (const CpuModel* model = silicon::arm64::find_cpu_model(name)) return model;
  std::vector<std::string_view> known;
  for (const CpuModel* model : silicon::arm64::cpu_models()) known.push_back(model->name);
  return fail(fmt::format("CPU {} is no AArch64 model; give one of: {}", in_quotes(name),
                          fmt::join(known, ", ")));
}

Result<std::uint16_t> parse_event_number(std::string_view text, const CpuModel& model) {
  for (const EventRow& row : model.events) {
    if (same_letters(text, row.name)) return row.number;
  }
  for (const OwnEvent& own : kOwnEvents) {
    if (same_letters(text, own.name)) return own.number;
  }
  const bool is_number = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
  if (!is_number) return fail(unknown_event(text, model));
  const auto value = number(text);
  if (!value || *value > 0xffff) {
    return fail(fmt::format("event {} is no number up to 0xffff; correct it", in_quotes(text)));
  }
  return static_cast<std::uint16_t>(*value);
}

Result<FilterRange> parse_range(std::string_view text, const CpuModel& model) {
  const std::size_t space = text.find(' ');
  const std::string_view action = text.substr(0, space);
  if (space == text.npos || (action != "allow" && action != "deny")) {
    return fail(fmt::format("range {} has no action; write \"allow {}\" or \"deny {}\"",
                            in_quotes(text), "INST_RETIRED", "0x10-0x12"));
  }
  const std::string_view events =
      text.substr(std::min(text.find_first_not_of(' ', space), text.size()));
  const std::size_t dash = events.find('-');
  const auto first = parse_event_number(events.substr(0, dash), model);
  if (!first) return tl::unexpected(first.error());
  const auto last =
      dash == events.npos ? first : parse_event_number(events.substr(dash + 1), model);
  if (!last) return tl::unexpected(last.error());
  if (*last < *first) {
    return fail(fmt::format("range {} ends before it begins; turn it round", in_quotes(text)));
  }
  const unsigned count = 1u + *last - *first;
  if (count > 0xffff) {
    return fail(
        fmt::format("range {} is of 65536 events, and KVM's structure holds at most 65535; "
                    "make two of it",
                    in_quotes(text)));
  }
  return FilterRange{.base_event = *first,
                     .nevents = static_cast<std::uint16_t>(count),
                     .action = action == "allow" ? FilterRange::kAllow : FilterRange::kDeny};
}

std::optional<RangeFilter> parse_range_bytes(std::span<const std::byte> bytes) {
  if (bytes.empty() || bytes.size() % kStructure != 0) return std::nullopt;
  RangeFilter filter;
  for (; !bytes.empty(); bytes = bytes.subspan(kStructure)) {
    filter.ranges.push_back({.base_event = word(bytes),
                             .nevents = word(bytes.subspan(2)),
                             .action = static_cast<std::uint8_t>(bytes[kActionAt])});
  }
  return filter;
}

std::string range_bytes(const RangeFilter& filter) {
  std::string text;
  for (const FilterRange& range : filter.ranges) {
    for (const unsigned byte :
         {range.base_event & 0xffu, range.base_event >> 8 & 0xffu, range.nevents & 0xffu,
          range.nevents >> 8 & 0xffu, unsigned{range.action}, 0u, 0u, 0u}) {
      text += static_cast<char>(byte);
    }
  }
  return text;
}

std::string range_hex(const RangeFilter& filter) {
  std::string text;
  std::size_t at = 0;
  for (const char byte : range_bytes(filter)) {
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(byte));
    if (++at % kStructure == 0) text += '\n';
  }
  return text;
}

std::string range_c_source(const RangeFilter& filter, std::string_view comment) {
  std::string text = fmt::format(
      "/* {} */\n"
      "/* One KVM_SET_DEVICE_ATTR each, in this order: group KVM_ARM_VCPU_PMU_V3_CTRL,\n"
      " * attr KVM_ARM_VCPU_PMU_V3_FILTER, addr the structure. */\n"
      "#include <linux/kvm.h>\n\n"
      "static const struct kvm_pmu_event_filter pmu_event_filter[] = {{\n",
      comment);
  for (const FilterRange& range : filter.ranges) {
    fmt::format_to(std::back_inserter(text),
                   "  {{.base_event = {:#06x}, .nevents = {}, .action = KVM_PMU_EVENT_{}}},\n",
                   range.base_event, range.nevents,
                   range.action == FilterRange::kAllow ? "ALLOW" : "DENY");
  }
  return text + "};\n";
}

std::string describe(const FilterRange& range) {
  std::string text = range.action > FilterRange::kDeny ? fmt::format("action {}", range.action)
                                                       : action_name(range.action);
  if (range.nevents == 0) return text + fmt::format(" nothing at {:#06x}", range.base_event);
  text += fmt::format(" {:#06x}", range.base_event);
  if (range.nevents > 1) {
    text += fmt::format("-{:#06x}", unsigned{range.base_event} + range.nevents - 1);
  }
  return text;
}

std::string_view event_name(const CpuModel& model, std::uint16_t event) {
  if (const EventRow* row = find_event(model.events, event)) return row->name;
  const auto* const own = std::ranges::find(kOwnEvents, event, &OwnEvent::number);
  return own == std::end(kOwnEvents) ? std::string_view{} : own->name;
}

BuiltFilter build_filter(const RangeFilter& ranges, const CpuModel& model) {
  return build_filter(ranges, model.pmu.version, model.name);
}

BuiltFilter build_filter(const RangeFilter& ranges, std::uint8_t pmu_version,
                         std::string_view name) {
  BuiltFilter built{virt::arm64::EventFilter{pmu_version}, {}};
  for (std::size_t i = 0; i < ranges.ranges.size(); ++i) {
    const FilterRange& range = ranges.ranges[i];
    if (built.filter.set(range)) continue;
    const bool action = range.action > FilterRange::kDeny;
    built.refusal = RangeRefusal{
        i, action ? fmt::format("range {} ({}) has no such action, EINVAL; make it 0 (allow) or 1 "
                                "(deny)",
                                i, describe(range))
                  : fmt::format("range {} ({}) goes beyond the last event of {}, {:#x}, EINVAL; "
                                "end it there",
                                i, describe(range), name,
                                silicon::arm64::event_numbers(pmu_version) - 1)};
    break;
  }
  return built;
}

}  // namespace vpmu::policy
