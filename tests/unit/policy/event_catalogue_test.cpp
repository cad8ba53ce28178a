// SPDX-License-Identifier: MIT
#include "policy/event_catalogue.hpp"

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace vpmu::policy {
namespace {
using silicon::x86::EventSelector;
using silicon::x86::kNoFixedCounter;
using silicon::x86::Vendor;

const EventCatalogue& catalogue(std::string_view cpu) {
  const auto found = EventCatalogue::of(cpu);
  if (!found) {
    ADD_FAILURE() << found.error().message;
    std::abort();
  }
  return **found;
}

const NamedEvent& event(std::string_view cpu, std::string_view name) {
  const auto found = catalogue(cpu).match(name);
  if (found.size() != 1) {
    ADD_FAILURE() << cpu << ' ' << name << ": " << found.size();
    std::abort();
  }
  return *found.front();
}

std::set<std::string> names(const std::vector<const NamedEvent*>& events) {
  std::set<std::string> all;
  for (const NamedEvent* event : events) all.insert(event->name);
  return all;
}

TEST(CataloguedPmus, AreSortedAndHaveOurCpuModels) {
  const auto& pmus = catalogued_pmus();
  EXPECT_TRUE(std::ranges::is_sorted(pmus, {}, &CataloguedPmu::name));
  for (const silicon::x86::CpuModel* model : silicon::x86::cpu_models()) {
    const auto pmu = std::ranges::find(pmus, model->name, &CataloguedPmu::cpu_model);
    ASSERT_NE(pmu, pmus.end()) << model->name;
    EXPECT_EQ(pmu->vendor, model->vendor);
    EXPECT_EQ(catalogue(model->name).fixed_counters(), model->pmu.fixed_counters) << model->name;
  }
}

TEST(CataloguedPmus, HaveEventsWhicheverCpuThisRunsOn) {
  for (const CataloguedPmu& pmu : catalogued_pmus()) {
    const EventCatalogue& its = catalogue(pmu.name);
    EXPECT_GT(its.events().size(), 20u) << pmu.name;
    EXPECT_LT(its.left_out(), 5u) << pmu.name;
    EXPECT_EQ(its.pmu().name, pmu.name);
  }
}

TEST(CataloguedPmus, LeaveTheEnvironmentAsItWas) {
  const bool was_set = std::getenv("LIBPFM_ENCODE_INACTIVE") != nullptr;
  catalogued_pmus();
  EXPECT_EQ(std::getenv("LIBPFM_ENCODE_INACTIVE") != nullptr, was_set);
}

TEST(EventCatalogue, IsOneForEachPmu) {
  EXPECT_EQ(&catalogue("icx"), &catalogue("icelake-server"));
  EXPECT_NE(&catalogue("icx"), &catalogue("icl"));
}

TEST(EventCatalogue, NamesTheNearestOfAnUnknownCpu) {
  const auto wrong = EventCatalogue::of("icelake-sever");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("'icelake-sever'"), std::string::npos);
  EXPECT_NE(wrong.error().message.find("icelake-server"), std::string::npos)
      << wrong.error().message;
  EXPECT_FALSE(EventCatalogue::of(""));
}

struct Encoding {
  const char* cpu;
  const char* name;
  EventSelector selector;
  int fixed;
  bool fixed_only;
};
void PrintTo(const Encoding& encoding, std::ostream* out) {
  *out << encoding.cpu << ' ' << encoding.name;
}
/// SDM vol. 3B tables 20-1 and 20-2; Intel's event files; PPR 55803 and 55901.
constexpr Encoding kEncodings[] = {
    {"icx", "INST_RETIRED.ANY_P", {0xc0, 0x00}, 0, false},
    {"icx", "INST_RETIRED.ANY", {0x00, 0x01}, 0, true},
    {"spr", "INST_RETIRED.ANY", {0x00, 0x01}, 0, true},
    {"hsw", "INST_RETIRED.ANY", {0x00, 0x01}, 0, true},
    {"hsw", "INSTRUCTION_RETIRED", {0xc0, 0x00}, 0, false},
    {"icx", "CPU_CLK_UNHALTED.THREAD_P", {0x3c, 0x00}, 1, false},
    {"skx", "CPU_CLK_UNHALTED.THREAD", {0x00, 0x02}, 1, true},
    {"skx", "UNHALTED_REFERENCE_CYCLES", {0x00, 0x03}, 2, true},
    {"skx", "CPU_CLK_UNHALTED.REF_TSC", {0x00, 0x03}, 2, true},
    {"icx", "TOPDOWN.SLOTS", {0x00, 0x04}, 3, true},
    {"icx", "TOPDOWN.SLOTS_P", {0xa4, 0x01}, 3, false},
    {"icl", "TOPDOWN.BACKEND_BOUND_SLOTS", {0xa4, 0x02}, kNoFixedCounter, false},
    {"spr", "TOPDOWN.BAD_SPEC_SLOTS", {0xa4, 0x04}, kNoFixedCounter, false},
    {"icx", "MEM_LOAD_MISC_RETIRED.UC", {0xd4, 0x04}, kNoFixedCounter, false},
    {"spr", "CPU_CLK_UNHALTED.REF_TSC_P", {0x3c, 0x01}, kNoFixedCounter, false},
    {"icx", "MEM_INST_RETIRED.ALL_LOADS", {0xd0, 0x81}, kNoFixedCounter, false},
    {"skx", "BR_INST_RETIRED.NEAR_TAKEN", {0xc4, 0x20}, kNoFixedCounter, false},
    {"zen2", "RETIRED_INSTRUCTIONS", {0xc0, 0x00}, kNoFixedCounter, false},
    {"zen2", "REQUESTS_TO_L2_GROUP1.ALL", {0x60, 0xff}, kNoFixedCounter, false},
    {"zen4", "RETIRED_FUSED_INSTRUCTIONS", {0x1d0, 0x00}, kNoFixedCounter, false},
    {"zen4", "LS_DISPATCH.LD_DISPATCH", {0x29, 0x01}, kNoFixedCounter, false},
};

class EventCatalogueEncoding : public testing::TestWithParam<Encoding> {};
INSTANTIATE_TEST_SUITE_P(Events, EventCatalogueEncoding, testing::ValuesIn(kEncodings));

TEST_P(EventCatalogueEncoding, IsTheManuals) {
  const Encoding& expected = GetParam();
  const NamedEvent& found = event(expected.cpu, expected.name);
  EXPECT_EQ(found.selector.event, expected.selector.event);
  EXPECT_EQ(found.selector.unit_mask, expected.selector.unit_mask);
  EXPECT_EQ(found.fixed, expected.fixed);
  EXPECT_EQ(found.fixed_only, expected.fixed_only);
  EXPECT_FALSE(found.description.empty());
}

TEST(EventCatalogue, HasEveryEventOfOurCpuModels) {
  for (const silicon::x86::CpuModel* model : silicon::x86::cpu_models()) {
    for (const silicon::x86::EventRow& row : model->events) {
      const NamedEvent& found = event(model->name, row.name);
      EXPECT_EQ(found.selector, row.selector) << model->name << ' ' << row.name;
      EXPECT_EQ(found.fixed, row.fixed) << model->name << ' ' << row.name;
    }
  }
}

TEST(EventCatalogue, HasNoFixedCounterThatThePmuHasNot) {
  for (const CataloguedPmu& pmu : catalogued_pmus()) {
    const EventCatalogue& its = catalogue(pmu.name);
    if (pmu.vendor == Vendor::kAmd) {
      EXPECT_EQ(its.fixed_counters(), 0u) << pmu.name;
    }
    for (const NamedEvent& event : its.events()) {
      EXPECT_LT(event.fixed, static_cast<int>(its.fixed_counters())) << event.name;
    }
  }
}

TEST(EventCatalogue, HasPseudoEncodingsOnIntelForFixedCountersOnly) {
  for (const CataloguedPmu& pmu : catalogued_pmus()) {
    if (pmu.vendor == Vendor::kAmd || catalogue(pmu.name).fixed_counters() == 0) continue;
    for (const NamedEvent& event : catalogue(pmu.name).events()) {
      EXPECT_EQ(event.fixed_only, event.selector.event == 0) << pmu.name << ' ' << event.name;
    }
  }
}

TEST(EventCatalogue, HasEveryNameOnce) {
  for (const CataloguedPmu& pmu : catalogued_pmus()) {
    for (const NamedEvent& event : catalogue(pmu.name).events()) {
      const auto found = catalogue(pmu.name).match(event.name);
      ASSERT_EQ(found.size(), 1u) << pmu.name << ' ' << event.name;
      EXPECT_EQ(found.front(), &event);
    }
  }
}

TEST(EventCatalogue, TellsNeitherCaseNorColonsApart) {
  EXPECT_EQ(&event("icx", "mem_inst_retired:all_loads"),
            &event("icx", "MEM_INST_RETIRED.ALL_LOADS"));
}

TEST(EventCatalogue, MatchesWildcards) {
  const EventCatalogue& icx = catalogue("icx");
  const auto loads = names(icx.match("MEM_INST_RETIRED.*_LOADS"));
  EXPECT_EQ(loads, (std::set<std::string>{
                       "MEM_INST_RETIRED.ALL_LOADS", "MEM_INST_RETIRED.LOCK_LOADS",
                       "MEM_INST_RETIRED.SPLIT_LOADS", "MEM_INST_RETIRED.STLB_MISS_LOADS"}));
  EXPECT_EQ(names(icx.match("mem_?nst_retired:all_loads")),
            std::set<std::string>{"MEM_INST_RETIRED.ALL_LOADS"});
  EXPECT_EQ(icx.match("*").size(), icx.events().size());
  EXPECT_EQ(icx.match("**.**").size(), icx.match("*.*").size());
  EXPECT_TRUE(icx.match("?").empty());
  EXPECT_TRUE(icx.match("").empty());
  EXPECT_TRUE(icx.match("MEM_INST_RETIRED.ALL_LOADS?").empty());
  EXPECT_EQ(icx.match("MEM_INST_RETIRED.ALL_LOADS*").size(), 1u);
}

TEST(EventCatalogue, MatchesAPatternOfManyStarsInBoundedTime) {
  std::string pattern;
  for (int i = 0; i < 2000; ++i) pattern += "*A";
  EXPECT_TRUE(catalogue("icx").match(pattern).empty());
}

TEST(EventCatalogue, KnowsWhatAUserMayHaveMeant) {
  const auto nearest = catalogue("icx").nearest("MEM_INST_RETIRED:ALL_LODS");
  ASSERT_EQ(nearest.size(), 3u);
  EXPECT_EQ(nearest.front(), "MEM_INST_RETIRED.ALL_LOADS");
  EXPECT_EQ(catalogue("icx").nearest("mem_inst_retired.all", 1).front(),
            "MEM_INST_RETIRED.ALL_LOADS");
}

TEST(EventCatalogue, FindsTheNamesOfASelector) {
  const auto found = names(catalogue("skx").named({0xc0, 0x00}));
  EXPECT_TRUE(found.contains("INST_RETIRED.ANY_P"));
  EXPECT_TRUE(found.contains("INSTRUCTION_RETIRED"));
  EXPECT_TRUE(catalogue("skx").named({0xff, 0xff}).empty());
}

TEST(EventCatalogue, ShowsTheNameOfACpuThatIsNotKnownAsOneLine) {
  const auto catalogue = EventCatalogue::of("e\riv%\n");
  ASSERT_FALSE(catalogue);
  EXPECT_NE(catalogue.error().message.find("CPU 'e?iv%?' is not known"), std::string::npos)
      << catalogue.error().message;
}

}  // namespace
}  // namespace vpmu::policy
