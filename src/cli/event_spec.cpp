// SPDX-License-Identifier: MIT
#include "cli/event_spec.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "policy/nearest_names.hpp"
#include "policy/number.hpp"
#include "vpmu/silicon/x86/event_selector.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::cli {

namespace {
using policy::number;
using silicon::RawEvent;
using silicon::x86::CpuModel;
using silicon::x86::event_select_of;
using silicon::x86::EventRow;
using silicon::x86::EventSelect;

constexpr std::string_view kModifiers = "u, k, G, H, D, e, p";
constexpr unsigned kMostPrecise = 3;  ///< as perf has it

struct GenericEvent {
  std::string_view name;
  RawEvent raw;
};
/// Linux's hardware events, and what they are on a modelled CPU.
constexpr GenericEvent kGenericEvents[] = {
    {"cycles", RawEvent::kCycles},
    {"cpu-cycles", RawEvent::kCycles},
    {"instructions", RawEvent::kInstructions},
    {"branches", RawEvent::kBranches},
    {"branch-instructions", RawEvent::kBranches},
    {"branch-misses", RawEvent::kMispredictedBranches},
    {"cache-references", RawEvent::kLlcReferences},
    {"cache-misses", RawEvent::kLlcMisses},
    {"ref-cycles", RawEvent::kReferenceCycles},
};

std::string lower(std::string_view text) {
  std::string result{text};
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

// ---- Names --------------------------------------------------------------------------------------

/// The row that counts it, rather one that any counter can count.
const EventRow* row_of(RawEvent raw, const CpuModel& model) {
  const EventRow* fixed = nullptr;
  for (const EventRow& row : model.events) {
    if (row.raw != raw) continue;
    if (row.counted_on == silicon::x86::CountedOn::kAnyCounter) return &row;
    if (fixed == nullptr) fixed = &row;
  }
  return fixed;
}

std::string names_like(std::string_view wanted, const CpuModel& model) {
  std::vector<std::string_view> names;
  for (const GenericEvent& event : kGenericEvents) {
    if (row_of(event.raw, model) != nullptr) names.push_back(event.name);
  }
  for (const EventRow& row : model.events) names.emplace_back(row.name);
  return fmt::format("{}", fmt::join(policy::nearest_names(wanted, names), ", "));
}

/// A name or rXXXX.
Result<std::uint64_t> parse_name(std::string_view name, const CpuModel& model) {
  const std::string key = lower(name);
  for (const EventRow& row : model.events) {
    if (lower(row.name) == key) return event_select_of(model.vendor, row.selector);
  }
  for (const GenericEvent& event : kGenericEvents) {
    if (event.name != key) continue;
    const EventRow* row = row_of(event.raw, model);
    if (row == nullptr) return fail(fmt::format("event '{}': {} has none", name, model.name));
    return event_select_of(model.vendor, row->selector);
  }
  if (key.starts_with('r')) {
    if (const auto raw = number(std::string_view{key}.substr(1), 16)) return *raw;
  }
  return fail(fmt::format("event '{}' is not known on {}; names like it: {}", name, model.name,
                          names_like(name, model)));
}

// ---- Terms --------------------------------------------------------------------------------------

struct Term {
  std::string_view name;
  std::uint64_t most;
};
constexpr Term kNumbers[] = {
    {"event", 0xfff},
    {"umask", 0xff},
    {"cmask", 0xff},
    {"inv", 1},
    {"edge", 1},
    {"in_tx", 1},
    {"in_tx_cp", 1},
    {"config", ~std::uint64_t{0}},
    {"period", ~std::uint64_t{0}},
    {"freq", ~std::uint64_t{0}},
};

void set_term(std::string_view name, std::uint64_t value, const CpuModel& model, EventSpec& spec) {
  hostperf::EventAttr& attr = spec.attr;
  EventSelect select{{attr.config}};
  if (name == "event") {
    attr.config = (attr.config & ~event_select_of(model.vendor, {0xfff, 0})) |
                  event_select_of(model.vendor, {static_cast<std::uint16_t>(value), 0});
    return;
  }
  if (name == "config") {
    attr.config = value;
    return;
  }
  if (name == "period") {
    attr.period = value;
    return;
  }
  if (name == "freq") {
    spec.frequency = value;
    return;
  }
  if (name == "umask") select.set(EventSelect::kUnitMask, value);
  if (name == "cmask") select.set(EventSelect::kCmask, value);
  if (name == "inv") select.set(EventSelect::kInv, value);
  if (name == "edge") select.set(EventSelect::kEdge, value);
  if (name == "in_tx") select.set(EventSelect::kInTx, value);
  if (name == "in_tx_cp") select.set(EventSelect::kInTxcp, value);
  attr.config = select.raw;
}

Result<void> parse_term(std::string_view text, bool first, const CpuModel& model, EventSpec& spec) {
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  if (name == "name" && equals != std::string_view::npos) {
    spec.name = text.substr(equals + 1);
    return {};
  }
  for (const Term& term : kNumbers) {
    if (term.name != name) continue;
    // As in perf: a term without a value is 1.
    const auto value = equals == std::string_view::npos ? std::optional<std::uint64_t>{1}
                                                        : number(text.substr(equals + 1));
    if (!value) return fail(fmt::format("'{}': give a number, for example {}=0x10", text, name));
    const std::uint64_t most = term.name == "event" && model.vendor == silicon::x86::Vendor::kIntel
                                   ? EventSelect::kEvent.kMax
                                   : term.most;
    if (*value > most)
      return fail(fmt::format("'{}': at most {:#x} on {}", text, most, model.name));
    set_term(name, *value, model, spec);
    return {};
  }
  if (first && equals == std::string_view::npos) {
    return parse_name(name, model).map([&](std::uint64_t config) { spec.attr.config = config; });
  }
  std::vector<std::string_view> known{"name"};
  for (const Term& term : kNumbers) known.push_back(term.name);
  return fail(fmt::format("term '{}' is not known; give one of: {}", name, fmt::join(known, ", ")));
}

Result<void> parse_terms(std::string_view text, const CpuModel& model, EventSpec& spec) {
  for (bool first = true;; first = false) {
    const std::size_t comma = text.find(',');
    if (auto parsed = parse_term(text.substr(0, comma), first, model, spec); !parsed) return parsed;
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

Result<void> parse_parts(const Parts& parts, const CpuModel& model, EventSpec& spec) {
  if (parts.event != "cpu" || parts.terms.empty()) {
    const auto config = parse_name(parts.event, model);
    if (!config) return tl::unexpected(config.error());
    spec.attr.config = *config;
  }
  if (!parts.terms.empty()) {
    if (auto parsed = parse_terms(parts.terms, model, spec); !parsed) return parsed;
  }
  return apply_modifiers(parts.modifiers, spec);
}
}  // namespace

Result<EventSpec> parse_event(std::string_view text, const CpuModel& model) {
  const auto in_context = [text](const Error& error) {
    return Error{fmt::format("event '{}': {}", text, error.message)};
  };
  if (text.empty()) return fail("an event is empty");
  const auto parts = split(text);
  if (!parts) return tl::unexpected(in_context(parts.error()));
  EventSpec spec;
  spec.name = text;
  const auto parsed = parse_parts(*parts, model, spec);
  if (parsed) return spec;
  // An error about the whole need not say twice what it is about.
  if (parsed.error().message.starts_with("event '")) return tl::unexpected(parsed.error());
  return tl::unexpected(in_context(parsed.error()));
}

Result<EventSpec> parse_unsampled_event(std::string_view text, const CpuModel& model) {
  auto spec = parse_event(text, model);
  if (spec && (spec->precise || spec->frequency != 0)) {
    return fail(
        fmt::format("event '{}': {} is for samples, which `vpmu record` takes; leave it out", text,
                    spec->precise ? "modifier 'p'" : "term 'freq'"));
  }
  return spec;
}

}  // namespace vpmu::cli
