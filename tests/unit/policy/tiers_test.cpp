// SPDX-License-Identifier: MIT
#include "policy/tiers.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <ostream>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "policy/compiler.hpp"
#include "policy/event_pattern.hpp"
#include "policy/tier_data.hpp"

namespace vpmu::policy {
namespace {
using silicon::x86::EventSelector;
using silicon::x86::Vendor;

const EventCatalogue& catalogue(std::string_view cpu) {
  const auto found = EventCatalogue::of(cpu);
  if (!found) std::abort();
  return **found;
}

const TierTable& tiers(std::string_view cpu) {
  const auto table = TierTable::of(catalogue(cpu));
  if (!table) {
    ADD_FAILURE() << table.error().message;
    std::abort();
  }
  return **table;
}

const NamedEvent& event(std::string_view cpu, std::string_view name) {
  const auto found = catalogue(cpu).match(name);
  if (found.size() != 1) {
    ADD_FAILURE() << cpu << ' ' << name << ": " << found.size();
    std::abort();
  }
  return *found.front();
}

std::vector<const NamedEvent*> named_by(const std::string& pattern, const EventCatalogue& its) {
  if (pattern.find('/') == std::string::npos) return its.match(pattern);
  std::vector<const NamedEvent*> events;
  const auto meant = parse_event_pattern(pattern, its);
  EXPECT_TRUE(meant) << pattern;
  for (const NamedEvent& event : its.events()) {
    if (meant && meant->selectors.contains(event.selector)) events.push_back(&event);
  }
  return events;
}

class TiersOf : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Pmus, TiersOf, testing::ValuesIn(pmus_with_tiers()),
                         [](const auto& pmu) { return pmu.param; });

TEST_P(TiersOf, DecideEveryEventWithAReason) {
  const TierTable& table = tiers(GetParam());
  for (const NamedEvent& event : catalogue(GetParam()).events()) {
    if (table.tier_of(event) == Tier::kArchitectural) continue;
    EXPECT_FALSE(table.reason(event).empty()) << event.name;
  }
}

TEST_P(TiersOf, AreThoseOfTheFirstRuleThatNamesAnEvent) {
  const auto rules = tier_rules(GetParam());
  ASSERT_TRUE(rules) << rules.error().message;
  std::set<const NamedEvent*> decided;
  for (const TierRule& rule : *rules) {
    for (const std::string& pattern : rule.events) {
      for (const NamedEvent* event : named_by(pattern, catalogue(GetParam()))) {
        if (!decided.insert(event).second) continue;
        EXPECT_EQ(tiers(GetParam()).tier_of(*event), rule.tier) << event->name;
        EXPECT_EQ(tiers(GetParam()).reason(*event), rule.reason) << event->name;
      }
    }
  }
  EXPECT_EQ(decided.size(), catalogue(GetParam()).events().size());
}

TEST_P(TiersOf, AreTheSameForEventsThatAFilterCannotTellApart) {
  const auto less = [](EventSelector a, EventSelector b) {
    return std::pair{a.event, a.unit_mask} < std::pair{b.event, b.unit_mask};
  };
  std::map<EventSelector, const NamedEvent*, decltype(less)> first{less};
  const TierTable& table = tiers(GetParam());
  for (const NamedEvent& event : catalogue(GetParam()).events()) {
    const NamedEvent* same = first.try_emplace(event.selector, &event).first->second;
    EXPECT_EQ(table.tier_of(*same), table.tier_of(event)) << same->name << ' ' << event.name;
  }
}

TEST_P(TiersOf, HaveTheSelectorsOfTheirEventsAndOfNoOthers) {
  const TierTable& table = tiers(GetParam());
  for (const Tier tier : kTiers) {
    for (const NamedEvent& event : catalogue(GetParam()).events()) {
      const bool allowed = table.tier_of(event) && *table.tier_of(event) <= tier;
      EXPECT_EQ(table.selectors(tier).contains(event.selector), allowed && !event.fixed_only)
          << name(tier) << ' ' << event.name;
    }
  }
}

TEST_P(TiersOf, ContainTheSmallerOnes) {
  const TierTable& table = tiers(GetParam());
  for (const auto& [smaller, larger] : {std::pair{Tier::kArchitectural, Tier::kStandard},
                                        std::pair{Tier::kStandard, Tier::kEnhanced}}) {
    SelectorSet missing = table.selectors(smaller);
    missing -= table.selectors(larger);
    EXPECT_EQ(missing.size(), 0u) << name(larger);
    EXPECT_LT(table.selectors(smaller).size(), table.selectors(larger).size());
    EXPECT_EQ(table.fixed(smaller) & ~table.fixed(larger), 0u);
  }
}

TEST_P(TiersOf, FitIntoAFilter) {
  const unsigned counters = catalogue(GetParam()).fixed_counters();
  for (const Tier tier : kTiers) {
    const TierTable& table = tiers(GetParam());
    const auto filter = compile(table.selectors(tier), table.fixed(tier), counters);
    EXPECT_TRUE(to_image(filter)) << name(tier) << ' ' << filter.entries();
    RecordProperty(name(tier), static_cast<int>(filter.entries()));
  }
}

TEST_P(TiersOf, AllowEveryFixedCounterFromTheFirstTierOn) {
  const unsigned counters = catalogue(GetParam()).fixed_counters();
  for (const Tier tier : kTiers) EXPECT_EQ(tiers(GetParam()).fixed(tier), (1u << counters) - 1);
}

TEST(TierFiles, HaveNoPatternThatDecidesNothing) {
  std::map<std::string, bool> decides;
  for (const std::string& pmu : pmus_with_tiers()) {
    std::set<const NamedEvent*> decided;
    const auto rules = tier_rules(pmu);
    ASSERT_TRUE(rules);
    for (std::size_t i = 0; i < rules->size(); ++i) {
      for (const std::string& pattern : (*rules)[i].events) {
        bool& useful = decides[pattern + ": " + (*rules)[i].reason];
        for (const NamedEvent* event : named_by(pattern, catalogue(pmu)))
          useful |= decided.insert(event).second;
      }
    }
  }
  for (const auto& [pattern, useful] : decides) EXPECT_TRUE(useful) << pattern;
}

TEST(TierFiles, AreForTheCpusThatCloudsHave) {
  const auto pmus = pmus_with_tiers();
  for (const char* pmu :
       {"hsw", "hsw_ep", "bdw", "bdw_ep", "skl", "skx", "clx", "icl", "icx", "spr",
        "amd64_fam17h_zen1", "amd64_fam17h_zen2", "amd64_fam19h_zen3", "amd64_fam19h_zen4"})
    EXPECT_EQ(std::ranges::count(pmus, pmu), 1) << pmu;
  for (const silicon::x86::CpuModel* model : silicon::x86::cpu_models())
    EXPECT_TRUE(TierTable::of(catalogue(model->name))) << model->name;
}

TEST(TierFiles, AreNamedWhereACpuHasNone) {
  const auto none = TierTable::of(catalogue("knl"));
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("no tiers for knl"), std::string::npos);
  for (const std::string& pmu : pmus_with_tiers())
    EXPECT_NE(none.error().message.find(pmu), std::string::npos) << pmu;
}

TEST(Tiers, HaveNames) {
  for (const Tier tier : kTiers) EXPECT_EQ(find_tier(name(tier)), tier);
  EXPECT_FALSE(find_tier("none"));
  EXPECT_FALSE(find_tier(""));
}

TEST(Tiers, ArchitecturalIsWhatCpuid0aEnumerates) {
  for (const char* cpu : {"hsw", "skx", "icx", "spr"}) {
    SelectorSet expected{Vendor::kIntel};
    for (const silicon::x86::ArchitecturalEvent& one : silicon::x86::architectural_events()) {
      // Slots came with Ice Lake.
      if (!catalogue(cpu).named(one.selector).empty()) expected.insert(one.selector);
    }
    EXPECT_EQ(tiers(cpu).selectors(Tier::kArchitectural), expected) << cpu;
  }
}

struct Placed {
  const char* cpu;
  const char* name;
  std::optional<Tier> tier;
};
void PrintTo(const Placed& placed, std::ostream* out) {
  *out << placed.cpu << ' ' << placed.name;
}
const Placed kPlaced[] = {
    {"icx", "INST_RETIRED.ANY_P", Tier::kArchitectural},
    {"icx", "LONGEST_LAT_CACHE.MISS", Tier::kArchitectural},
    {"icx", "TOPDOWN.SLOTS", Tier::kArchitectural},
    {"icx", "BR_INST_RETIRED.NEAR_TAKEN", Tier::kStandard},
    {"icx", "MEM_INST_RETIRED.ALL_LOADS", Tier::kStandard},
    {"icx", "MEM_LOAD_RETIRED.L2_MISS", Tier::kStandard},
    {"icx", "MEM_LOAD_RETIRED.L3_MISS", Tier::kEnhanced},
    {"icx", "MEM_LOAD_L3_MISS_RETIRED.REMOTE_DRAM", Tier::kEnhanced},
    {"icx", "OFFCORE_REQUESTS.ALL_REQUESTS", Tier::kEnhanced},
    {"icx", "CORE_POWER.LVL1_TURBO_LICENSE", Tier::kEnhanced},
    {"icx", "CPU_CLK_UNHALTED.ONE_THREAD_ACTIVE", {}},
    {"skx", "UOPS_EXECUTED.CORE", {}},
    {"skx", "UOPS_EXECUTED.THREAD", Tier::kStandard},
    {"skx", "CORE_SNOOP_RESPONSE.RSP_IHITI", {}},
    {"skx", "CYCLE_ACTIVITY.STALLS_L3_MISS", Tier::kEnhanced},
    {"skx", "CYCLE_ACTIVITY.STALLS_L2_MISS", Tier::kStandard},
    {"hsw", "CYCLE_ACTIVITY.STALLS_LDM_PENDING", Tier::kStandard},
    {"hsw", "PAGE_WALKER_LOADS.DTLB_L3", Tier::kEnhanced},
    {"spr", "XQ.FULL_CYCLES", Tier::kEnhanced},
    {"zen2", "RETIRED_INSTRUCTIONS", Tier::kArchitectural},
    {"zen2", "SMI_RECEIVED", {}},
    {"zen4", "ANY_DATA_CACHE_FILLS_FROM_SYSTEM.LCL_L2", Tier::kStandard},
    {"zen4", "ANY_DATA_CACHE_FILLS_FROM_SYSTEM.DRAM_IO_FAR", Tier::kEnhanced},
    {"zen4", "L2_PREFETCH_MISS_L3.L2_STREAM", Tier::kEnhanced},
    {"zen4", "DISPATCH_STALLS_1.SMT_CONTENTION", Tier::kEnhanced},
    {"zen4", "TAGGED_IBS_OPS.IBS_TAGGED_OPS", {}},
};
class TierOf : public testing::TestWithParam<Placed> {};
INSTANTIATE_TEST_SUITE_P(Events, TierOf, testing::ValuesIn(kPlaced));

TEST_P(TierOf, IsAsAnOperatorExpects) {
  const Placed& placed = GetParam();
  EXPECT_EQ(tiers(placed.cpu).tier_of(event(placed.cpu, placed.name)), placed.tier)
      << tiers(placed.cpu).reason(event(placed.cpu, placed.name));
}

TEST(Tiers, SayOfArchitecturalCacheEventsThatTheCacheIsShared) {
  EXPECT_NE(tiers("icx").reason(event("icx", "LONGEST_LAT_CACHE.MISS")).find("shared"),
            std::string_view::npos);
  EXPECT_TRUE(tiers("icx").reason(event("icx", "INST_RETIRED.ANY_P")).empty());
}

TEST(Tiers, OfAmdHaveTheUnionsOfTheirUnitMasks) {
  const SelectorSet& standard = tiers("zen2").selectors(Tier::kStandard);
  // Loads, stores, both at once.
  for (const std::uint8_t mask : {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07})
    EXPECT_TRUE(standard.contains({0x29, mask})) << int{mask};
  EXPECT_FALSE(standard.contains({0x29, 0x00}));
  EXPECT_FALSE(standard.contains({0x29, 0x08}));
}

TEST(Tiers, OfAmdHaveNoUnionWithWhatIsNotTheirs) {
  // PPR 55901: 01H the core's own second level of cache, the others what is behind it.
  const SelectorSet& standard = tiers("zen4").selectors(Tier::kStandard);
  EXPECT_TRUE(standard.contains({0x43, 0x01}));
  EXPECT_EQ(standard.row(0x43).count(), 1u);
  // Of 1A0H those that do not have 60H, contention between threads.
  for (unsigned mask = 0; mask < 0x100; ++mask) {
    if (standard.row(0x1a0).test(mask)) {
      EXPECT_EQ(mask & 0x60, 0u);
    }
  }
}

}  // namespace
}  // namespace vpmu::policy
