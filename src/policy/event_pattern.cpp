// SPDX-License-Identifier: MIT
#include "policy/event_pattern.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "policy/number.hpp"
#include "vpmu/silicon/x86/event_selector.hpp"

namespace vpmu::policy {

namespace {
using silicon::x86::EventSelector;
using silicon::x86::kNoFixedCounter;
using silicon::x86::Vendor;

constexpr std::string_view kSpace = " \t\r\n";
/// perf's: privileges, guest and host, precision, pinning, ...
constexpr std::string_view kModifiers = "ukhGHpPSDWeb";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool are_modifiers(std::string_view text) {
  return text.find_first_not_of(kModifiers) == std::string_view::npos;
}

// ---- Names --------------------------------------------------------------------------------------

void add(const NamedEvent& event, MeantEvents& meant) {
  if (event.fixed != kNoFixedCounter) meant.fixed |= 1u << event.fixed;
  if (!event.fixed_only) meant.selectors.insert(event.selector);
  meant.named.push_back(&event);
}

/// The code in rXXXX; none if it is no such thing.
std::optional<std::uint64_t> raw_code(std::string_view text) {
  if (!text.starts_with('r') && !text.starts_with('R')) return {};
  const std::string_view digits = text.substr(1);
  if (digits.starts_with("0x") || digits.starts_with("0X")) return {};
  return number(digits, 16);
}

void add_code(EventSelector selector, const EventCatalogue& catalogue, MeantEvents& meant) {
  meant.selectors.insert(selector);
  const std::int8_t fixed = catalogue.fixed_of(selector);
  if (fixed != kNoFixedCounter) meant.fixed |= 1u << fixed;
}

std::uint16_t most_event(Vendor vendor) {
  return static_cast<std::uint16_t>(event_selects(vendor) - 1);
}

std::vector<const NamedEvent*> find_names(std::string_view text, const EventCatalogue& catalogue) {
  auto found = catalogue.match(text);
  if (!found.empty()) return found;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || !are_modifiers(text.substr(colon + 1))) return found;
  return catalogue.match(text.substr(0, colon));
}

Error unknown_name(std::string_view text, const EventCatalogue& catalogue) {
  const bool wild = text.find_first_of("*?") != std::string_view::npos;
  std::string letters{text};
  std::erase_if(letters, [](char c) { return c == '*' || c == '?'; });
  return {fmt::format("event {} {} {}; names like it: {}", in_quotes(text),
                      wild ? "matches none on" : "is not known on", catalogue.pmu().name,
                      fmt::join(catalogue.nearest(letters), ", "))};
}

Result<MeantEvents> parse_name(std::string_view text, const EventCatalogue& catalogue) {
  MeantEvents meant{catalogue.vendor()};
  for (const NamedEvent* event : find_names(text, catalogue)) add(*event, meant);
  if (!meant.named.empty()) return meant;
  if (const auto code = raw_code(text)) {
    add_code(silicon::x86::selector_of(catalogue.vendor(), *code), catalogue, meant);
    return meant;
  }
  return tl::unexpected(unknown_name(text, catalogue));
}

// ---- Terms --------------------------------------------------------------------------------------

/// What a filter does not look at.
constexpr std::string_view kIgnoredNumbers[] = {
    "any", "cmask", "edge",    "freq",    "frontend",    "in_tx", "in_tx_cp",
    "inv", "ldlat", "config1", "config2", "offcore_rsp", "pc",    "period",
};
constexpr std::string_view kKnownTerms =
    "event, umask, config, any, cmask, edge, inv, in_tx, in_tx_cp, ldlat, frontend, offcore_rsp, "
    "pc, config1, config2, period, freq, name";

/// What the terms between the slashes say.
struct Terms {
  std::optional<std::uint16_t> event;
  std::uint8_t unit_mask = 0;
  bool every_unit_mask = false;
  std::optional<std::string_view> name;
};

Result<std::uint64_t> value_of(std::string_view term, std::uint64_t most,
                               const EventCatalogue& catalogue) {
  const std::size_t equals = term.find('=');
  // As in perf: a term without a value is 1.
  if (equals == std::string_view::npos) return 1;
  const auto value = number(term.substr(equals + 1));
  if (!value) {
    return fail(fmt::format("{}: give a number, for example {}=0x10", in_quotes(term),
                            term.substr(0, equals)));
  }
  if (*value > most) {
    return fail(
        fmt::format("{}: at most {:#x} on {}", in_quotes(term), most, catalogue.pmu().name));
  }
  return *value;
}

Result<void> set_term(std::string_view term, const EventCatalogue& catalogue, Terms& terms) {
  const std::string_view name = term.substr(0, term.find('='));
  if (name == "umask" && term == "umask=*") {
    terms.every_unit_mask = true;
    return {};
  }
  const Vendor vendor = catalogue.vendor();
  if (name == "event") {
    return value_of(term, most_event(vendor), catalogue).map([&](std::uint64_t value) {
      terms.event = static_cast<std::uint16_t>(value);
    });
  }
  if (name == "umask") {
    return value_of(term, 0xff, catalogue).map([&](std::uint64_t value) {
      terms.unit_mask = static_cast<std::uint8_t>(value);
      terms.every_unit_mask = false;
    });
  }
  if (name == "config") {
    return value_of(term, ~std::uint64_t{0}, catalogue).map([&](std::uint64_t value) {
      const EventSelector selector = silicon::x86::selector_of(vendor, value);
      terms.event = selector.event;
      terms.unit_mask = selector.unit_mask;
      terms.every_unit_mask = false;
    });
  }
  if (std::ranges::find(kIgnoredNumbers, name) != std::end(kIgnoredNumbers)) {
    return value_of(term, ~std::uint64_t{0}, catalogue).map([](std::uint64_t) {});
  }
  return fail(fmt::format("term {} is not known; give some of: {}", in_quotes(name), kKnownTerms));
}

bool is_known_term(std::string_view name) {
  constexpr std::string_view kOwn[] = {"event", "umask", "config"};
  return std::ranges::find(kOwn, name) != std::end(kOwn) ||
         std::ranges::find(kIgnoredNumbers, name) != std::end(kIgnoredNumbers);
}

Result<Terms> parse_terms(std::string_view text, const EventCatalogue& catalogue) {
  Terms terms;
  for (bool first = true;; first = false) {
    const std::size_t comma = text.find(',');
    const std::string_view term = trimmed(text.substr(0, comma));
    if (term.empty()) return fail("a term is empty; give for example event=0xd0,umask=0x81");
    if (first && term.find('=') == std::string_view::npos && !is_known_term(term)) {
      terms.name = term;
    } else if (!term.starts_with("name=")) {
      if (auto set = set_term(term, catalogue, terms); !set) return tl::unexpected(set.error());
    }
    if (comma == std::string_view::npos) return terms;
    text.remove_prefix(comma + 1);
  }
}

/// cpu/TERMS/MODIFIERS.
Result<MeantEvents> parse_slashes(std::string_view text, const EventCatalogue& catalogue) {
  const std::size_t open = text.find('/');
  const std::size_t close = text.find('/', open + 1);
  if (text.substr(0, open) != "cpu") {
    return fail(fmt::format("{} has no events that a filter decides; write cpu/.../",
                            in_quotes(text.substr(0, open))));
  }
  if (close == std::string_view::npos) return fail("the second slash is missing");
  const std::string_view behind = text.substr(close + 1);
  if (!are_modifiers(behind.starts_with(':') ? behind.substr(1) : behind)) {
    return fail(fmt::format("{} behind the second slash is not known", in_quotes(behind)));
  }
  const auto terms = parse_terms(text.substr(open + 1, close - open - 1), catalogue);
  if (!terms) return tl::unexpected(terms.error());
  if (terms->name && terms->event) return fail("it has a name and a code; give one of them");
  if (terms->name) return parse_name(*terms->name, catalogue);
  if (!terms->event) return fail("event= is missing");
  MeantEvents meant{catalogue.vendor()};
  for (unsigned mask = 0; mask <= 0xff; ++mask) {
    if (!terms->every_unit_mask && mask != terms->unit_mask) continue;
    add_code({*terms->event, static_cast<std::uint8_t>(mask)}, catalogue, meant);
  }
  return meant;
}
}  // namespace

Result<MeantEvents> parse_event_pattern(std::string_view text, const EventCatalogue& catalogue) {
  text = trimmed(text);
  if (text.empty()) return fail("an event is empty");
  if (text.find('/') == std::string_view::npos) return parse_name(text, catalogue);
  return parse_slashes(text, catalogue).map_error([text](const Error& error) {
    // An error about the whole need not say twice what it is about.
    if (error.message.starts_with("event '")) return error;
    return Error{fmt::format("event {}: {}", in_quotes(text), error.message)};
  });
}

}  // namespace vpmu::policy
