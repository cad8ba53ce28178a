// SPDX-License-Identifier: MIT
#include "cli/filter/diff.hpp"

#include <gtest/gtest.h>

#include <set>

#include "unit/filter/images.hpp"

namespace vpmu::cli::filter {
namespace {

using namespace vpmu::test;
using silicon::x86::EventSelector;
constexpr auto kAllow = FilterAction::kAllow;

TEST(FilterDiff, AFilterDoesNotDifferFromItself) {
  const FilterImage image = masked_image(kAllow, {{0xd0, 0x7c, 0, false}}, 7);
  EXPECT_FALSE(differences(loaded(image), loaded(image)).any());
}

TEST(FilterDiff, TheSameSaidOtherwiseIsNoDifference) {
  const auto masked =
      loaded(masked_image(kAllow, {{0xc0, 0xff, 0, false}, {0xc4, 0xff, 0, false}}));
  const auto legacy = loaded(legacy_image(kAllow, {0x00c4, 0x00c0}));
  EXPECT_FALSE(differences(masked, legacy).any());
}

TEST(FilterDiff, NamedEventsAreShownByName) {
  const auto a = loaded(masked_image(kAllow, {{0xd0, 0xff, 0x81, false}}));
  const auto b = loaded(masked_image(kAllow, {{0xd0, 0xff, 0x82, false}}));
  const Differences found = differences(a, b);
  std::set<std::pair<std::string, bool>> names;
  for (const NamedDifference& event : found.named) names.insert({event.name, event.a_admits});
  EXPECT_TRUE(names.contains({"MEM_INST_RETIRED.ALL_LOADS", true}));
  EXPECT_TRUE(names.contains({"MEM_INST_RETIRED.ALL_STORES", false}));
  EXPECT_TRUE(found.unnamed.empty()) << "both codes have names";
}

TEST(FilterDiff, RangesWithoutNamesAreCompact) {
  // Event selects 0xf8 to 0xff have no names on this CPU.
  std::vector<MaskedEvent> entries;
  for (std::uint16_t event = 0xf8; event <= 0xfb; ++event) entries.push_back({event, 0, 0, false});
  entries.push_back({0xfd, 0x80, 0x00, false});
  const Differences found =
      differences(loaded(masked_image(kAllow, entries)), loaded(masked_image(kAllow, {})));
  EXPECT_TRUE(found.named.empty());
  EXPECT_EQ(found.unnamed, (std::vector<UnnamedDifference>{{{0xf8, 0, 0xff}, 0xfb, true},
                                                           {{0xfd, 0, 0x7f}, 0xfd, true}}));
}

TEST(FilterDiff, FixedCountersAreCompared) {
  const Differences found = differences(loaded(masked_image(kAllow, {}, 0b0110)),
                                        loaded(masked_image(kAllow, {}, 0b0011)));
  ASSERT_EQ(found.fixed.size(), 2u);
  EXPECT_EQ(found.fixed[0].counter, 0u);
  EXPECT_FALSE(found.fixed[0].a_admits);
  EXPECT_EQ(found.fixed[1].counter, 2u);
  EXPECT_TRUE(found.fixed[1].a_admits);
}

/// For every event select and unit mask: whether the filters differ, and which of them allows it.
enum class Only : std::uint8_t { kNeither, kA, kB };
using Codes = std::vector<Only>;

Only only(bool a_admits) {
  return a_admits ? Only::kA : Only::kB;
}

Codes codes_of(const Differences& found) {
  Codes codes(0x1000 << 8);
  for (const UnnamedDifference& range : found.unnamed) {
    for (std::size_t event = range.codes.event; event <= range.last_event; ++event) {
      for (unsigned u = range.codes.first; u <= range.codes.last; ++u) {
        EXPECT_EQ(codes[event << 8 | u], Only::kNeither) << "said once";
        codes[event << 8 | u] = only(range.a_admits);
      }
    }
  }
  for (const NamedDifference& event : found.named) {
    Only& code = codes[std::size_t{event.codes.event} << 8 | event.codes.first];
    EXPECT_NE(code, only(!event.a_admits));
    code = only(event.a_admits);
  }
  return codes;
}

TEST(FilterDiff, RandomFiltersDifferInExactlyWhatIsShown) {
  std::mt19937_64 random{2};
  for (const char* cpu : {"icelake-server", "zen4"}) {
    for (int round = 0; round < 20; ++round) {
      FilterImage images[2] = {random_image(random), random_image(random)};
      for (FilterImage& image : images) {
        for (std::uint64_t& entry : image.entries) entry &= ~(0xfULL << 32);
      }
      const auto a = loaded(images[0], cpu);
      const auto b = loaded(images[1], cpu);
      Codes wanted(0x1000 << 8);
      for (std::size_t code = 0; code < policy::event_selects(a.filter->vendor()) << 8; ++code) {
        const EventSelector selector{static_cast<std::uint16_t>(code >> 8),
                                     static_cast<std::uint8_t>(code)};
        const bool admits = a.filter->admits(selector);
        if (admits != b.filter->admits(selector)) wanted[code] = only(admits);
      }
      EXPECT_TRUE(codes_of(differences(a, b)) == wanted) << cpu << ", round " << round;
    }
  }
}

}  // namespace
}  // namespace vpmu::cli::filter
