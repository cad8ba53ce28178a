// SPDX-License-Identifier: MIT
#include "cli/event_spec.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "cli/event_notation.hpp"
#include "policy/number.hpp"

namespace vpmu::cli {

namespace {
using hostperf::HostCpuModel;
using policy::number;

constexpr std::string_view kModifiers = "u, k, G, H, D, e, p";
constexpr unsigned kMostPrecise = 3;  ///< as perf has it

// ---- Terms --------------------------------------------------------------------------------------

/// The number that a term gives. As in perf: a term without a value is 1.
Result<std::uint64_t> value_of(std::string_view text, std::uint64_t most,
                               const EventNotation& notation) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return 1;
  const auto value = number(text.substr(equals + 1));
  if (!value) {
    return fail(
        fmt::format("'{}': give a number, for example {}=0x10", text, text.substr(0, equals)));
  }
  if (*value > most)
    return fail(fmt::format("'{}': at most {:#x} on {}", text, most, notation.model));
  return *value;
}

Result<void> parse_term(std::string_view text, bool first, const EventNotation& notation,
                        EventSpec& spec) {
  constexpr std::uint64_t kAny = ~std::uint64_t{0};
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  if (name == "name" && equals != std::string_view::npos) {
    spec.name = text.substr(equals + 1);
    return {};
  }
  for (const EventNotation::Field& field : notation.fields) {
    if (field.name != name) continue;
    return value_of(text, field.most, notation).map([&](std::uint64_t value) {
      spec.attr.config = field.set(spec.attr.config, value);
    });
  }
  if (name == "period" || name == "freq") {
    return value_of(text, kAny, notation).map([&](std::uint64_t value) {
      (name == "period" ? spec.attr.period : spec.frequency) = value;
    });
  }
  if (first && equals == std::string_view::npos) {
    return notation.find(name).map([&](std::uint64_t config) { spec.attr.config = config; });
  }
  std::vector<std::string_view> known{"name"};
  for (const EventNotation::Field& field : notation.fields) known.push_back(field.name);
  return fail(fmt::format("term '{}' is not known; give one of: {}, period, freq", name,
                          fmt::join(known, ", ")));
}

Result<void> parse_terms(std::string_view text, const EventNotation& notation, EventSpec& spec) {
  for (bool first = true;; first = false) {
    const std::size_t comma = text.find(',');
    if (auto parsed = parse_term(text.substr(0, comma), first, notation, spec); !parsed)
      return parsed;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (spec.attr.period != 0 && spec.frequency != 0) {
    return fail("a period and a frequency exclude each other; give one of period, freq");
  }
  return {};
}

// ---- Modifiers ----------------------------------------------------------------------------------

Result<void> apply_modifiers(std::string_view modifiers, EventSpec& spec) {
  hostperf::EventAttr& attr = spec.attr;
  bool user = false, kernel = false, guest = false, host = false;
  unsigned precise = 0;
  for (const char c : modifiers) {
    switch (c) {
      case 'u': user = true; break;
      case 'k': kernel = true; break;
      case 'G': guest = true; break;
      case 'H': host = true; break;
      case 'D': attr.pinned = true; break;
      case 'e': attr.exclusive = true; break;
      case 'p': ++precise; break;
      default:
        return fail(fmt::format("modifier '{}' is not known; give some of: {}", c, kModifiers));
    }
  }
  if (precise > kMostPrecise) {
    return fail(fmt::format("modifier 'p' is there {} times; give it at most {} times", precise,
                            kMostPrecise));
  }
  spec.precise = precise != 0;
  // As in perf: naming one of a kind excludes those of the kind that are not named.
  if (user || kernel) {
    attr.exclude_user = !user;
    attr.exclude_kernel = !kernel;
  }
  if (guest || host) {
    attr.exclude_guest = !guest;
    attr.exclude_host = !host;
  }
  return {};
}

/// What is before the modifiers, and the modifiers.
struct Parts {
  std::string_view event;
  std::string_view terms;
  std::string_view modifiers;
};

Result<Parts> split(std::string_view text) {
  Parts parts;
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const std::size_t end = text.find('/', slash + 1);
    if (end == std::string_view::npos) return fail("the second slash is missing");
    parts.event = text.substr(0, slash);
    parts.terms = text.substr(slash + 1, end - slash - 1);
    parts.modifiers = text.substr(end + 1);
    if (parts.modifiers.starts_with(':')) parts.modifiers.remove_prefix(1);
    return parts;
  }
  const std::size_t colon = text.find(':');
  parts.event = text.substr(0, colon);
  if (colon != std::string_view::npos) {
    parts.modifiers = text.substr(colon + 1);
    if (parts.modifiers.empty()) {
      return fail(fmt::format("no modifiers behind the colon; give some of: {}", kModifiers));
    }
  }
  return parts;
}

Result<void> parse_parts(const Parts& parts, const EventNotation& notation, EventSpec& spec) {
  const bool is_unit = std::ranges::find(notation.units, parts.event) != notation.units.end();
  if (!is_unit || parts.terms.empty()) {
    const auto config = notation.find(parts.event);
    if (!config) return tl::unexpected(config.error());
    spec.attr.config = *config;
  }
  if (!parts.terms.empty()) {
    if (auto parsed = parse_terms(parts.terms, notation, spec); !parsed) return parsed;
  }
  return apply_modifiers(parts.modifiers, spec);
}
}  // namespace

Result<EventSpec> parse_event(std::string_view text, const HostCpuModel& model) {
  const auto in_context = [text](const Error& error) {
    return Error{fmt::format("event '{}': {}", text, error.message)};
  };
  if (text.empty()) return fail("an event is empty");
  const auto parts = split(text);
  if (!parts) return tl::unexpected(in_context(parts.error()));
  EventSpec spec;
  spec.name = text;
  const auto parsed = parse_parts(*parts, event_notation(model), spec);
  if (parsed) return spec;
  // An error about the whole need not say twice what it is about.
  if (parsed.error().message.starts_with("event '")) return tl::unexpected(parsed.error());
  return tl::unexpected(in_context(parsed.error()));
}

Result<EventSpec> parse_unsampled_event(std::string_view text, const HostCpuModel& model) {
  auto spec = parse_event(text, model);
  if (spec && (spec->precise || spec->frequency != 0)) {
    return fail(
        fmt::format("event '{}': {} is for samples, which `vpmu record` takes; leave it out", text,
                    spec->precise ? "modifier 'p'" : "term 'freq'"));
  }
  return spec;
}

}  // namespace vpmu::cli
