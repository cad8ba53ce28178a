// SPDX-License-Identifier: MIT
//
// Random event filters, each asked for random selectors, against the reference. Both vendors, both
// modes, both actions; entries are concentrated on few event selects, so that they meet. A filter
// that differs is cut down to the entries that it takes, and printed with how to get it again.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "property/choices.hpp"
#include "property/filter_lockstep.hpp"

namespace vpmu::property {
namespace {

using silicon::x86::EventSelector;

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t filters = 100'000;
  std::uint64_t first = 0;
};

struct Case {
  bool amd = false;
  std::uint32_t action = 0, count = 0, bitmap = 0, flags = 0;
  std::vector<std::uint64_t> entries;  ///< `count` of them, but in a few cases
  std::vector<EventSelector> selectors;
};

std::vector<std::uint8_t> bytes_of(const Case& drawn) {
  std::vector<std::uint8_t> bytes;
  const auto append = [&](std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> 8 * i));
  };
  append(drawn.action, 4);
  append(drawn.count, 4);
  append(drawn.bitmap, 4);
  append(drawn.flags, 4);
  bytes.resize(32, 0xa5);
  for (const std::uint64_t entry : drawn.entries) append(entry, 8);
  return bytes;
}

std::uint64_t draw_unit_masks(Choices& choices) {
  std::uint64_t mask = choices.draw(8);
  if (choices.chance(80)) mask = 0xff;
  if (choices.chance(60)) mask &= choices.draw(8) & choices.draw(8);
  std::uint64_t match = choices.draw(8) & mask;
  if (choices.chance(10)) match = choices.draw(8);
  return mask << 56 | match << 8;
}

std::uint64_t event_bits(std::uint32_t event) {
  return (event & 0xff) | std::uint64_t{event >> 8} << 32;
}

/// Of a valid filter, or nearly.
std::uint64_t draw_entry(Choices& choices, const Case& drawn, std::uint32_t event) {
  std::uint64_t entry = event_bits(event) | draw_unit_masks(choices);
  if (drawn.flags == 0) {
    entry &= drawn.amd ? 0x0000'000f'0000'ffff : 0xffff;
    if (choices.chance(8)) entry |= 1ULL << choices.below(64);
  } else if (choices.chance(80)) {
    entry |= 1ULL << 55;
  }
  return entry;
}

std::uint32_t draw_event(Choices& choices, bool amd) {
  return static_cast<std::uint32_t>(choices.draw(amd ? 12 : 8));
}

Case draw_case(std::uint64_t seed) {
  RandomChoices choices{seed};
  Case drawn;
  drawn.amd = choices.chance(128);
  drawn.action = static_cast<std::uint32_t>(choices.draw(1));
  drawn.flags = static_cast<std::uint32_t>(choices.draw(1));
  drawn.bitmap = static_cast<std::uint32_t>(choices.draw(32));
  drawn.count = choices.below(choices.chance(32) ? 301 : 24);
  std::vector<std::uint32_t> events(1 + choices.below(6));
  for (auto& event : events) event = draw_event(choices, drawn.amd);
  const auto any_event = [&] {
    if (choices.chance(16)) return draw_event(choices, drawn.amd);
    return events[choices.below(static_cast<std::uint32_t>(events.size()))];
  };
  for (std::uint32_t i = 0; i < drawn.count; ++i) {
    drawn.entries.push_back(draw_entry(choices, drawn, any_event()));
  }
  for (unsigned i = 0; i < 48; ++i) {
    std::uint32_t event = any_event();
    // Bits that are not looked at, or are and make it another event.
    if (choices.chance(16)) event ^= 1U << choices.below(16);
    drawn.selectors.push_back(
        {static_cast<std::uint16_t>(event), static_cast<std::uint8_t>(choices.draw(8))});
  }
  // What is refused: one fault, or a few.
  if (choices.chance(4)) drawn.action = choices.of({2U, 256U, ~0U});
  if (choices.chance(4)) drawn.flags |= 1U << choices.below(32);
  if (choices.chance(4)) drawn.count = choices.of({301U, 0x1000'0000U, drawn.count + 1});
  if (choices.chance(4) && !drawn.entries.empty()) {
    drawn.entries[choices.below(static_cast<std::uint32_t>(drawn.entries.size()))] |=
        1ULL << choices.below(64);
  }
  return drawn;
}

std::optional<std::string> run(const Case& drawn) {
  return compare_filter(bytes_of(drawn), drawn.amd, drawn.selectors);
}

/// Leaves out every entry without which there still is a difference.
Case shrink(Case drawn) {
  for (std::size_t i = drawn.entries.size(); i-- > 0;) {
    Case less = drawn;
    less.entries.erase(less.entries.begin() + static_cast<std::ptrdiff_t>(i));
    if (less.count > 0) --less.count;
    if (run(less)) drawn = std::move(less);
  }
  return drawn;
}

void report(const Options& options, std::uint64_t number, const std::string& difference) {
  fmt::print("filter {}: {}\n", number, difference);
  const Case least = shrink(draw_case(options.seed * 0x1'0000'0001 + number));
  fmt::print("    {}, action {}, {} entries, bitmap {:#x}, flags {}\n", least.amd ? "AMD" : "Intel",
             least.action, least.count, least.bitmap, least.flags);
  for (const std::uint64_t entry : least.entries) fmt::print("    {:#018x}\n", entry);
  fmt::print("    -> {}\n", run(least).value_or("(only seen in the whole filter)"));
  fmt::print("    again: vpmu_filter_property_test --seed {} --first {} --filters 1\n\n",
             options.seed, number);
}

int run_all(const Options& options) {
  constexpr unsigned kFailures = 5;
  unsigned failed = 0;
  std::uint64_t done = 0;
  for (; done < options.filters && failed < kFailures; ++done) {
    const std::uint64_t number = options.first + done;
    if (const auto difference = run(draw_case(options.seed * 0x1'0000'0001 + number))) {
      ++failed;
      report(options, number, *difference);
    }
  }
  fmt::print("seed {}: {} filters, {} differ\n", options.seed, done, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace vpmu::property

int main(int argc, char** argv) {
  vpmu::property::Options options;
  CLI::App app{"Compares event filters with their definition, on random filters and selectors."};
  app.add_option("--seed", options.seed, "which filters")->envname("VPMU_PROPERTY_SEED");
  app.add_option("--filters", options.filters, "how many");
  app.add_option("--first", options.first, "the first filter");
  CLI11_PARSE(app, argc, argv);
  return vpmu::property::run_all(options);
}
