// SPDX-License-Identifier: MIT
#include "cli/filter/explain.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/filter/images.hpp"

namespace vpmu::cli::filter {
namespace {

using namespace vpmu::test;
using Reason = virt::x86::FilterVerdict::Reason;
constexpr auto kAllow = FilterAction::kAllow;
constexpr auto kDeny = FilterAction::kDeny;

/// Loads and stores but for umask 0x83, and instructions on fixed counter 0.
FilterImage memory_filter() {
  return masked_image(kAllow, {{0xd0, 0x7c, 0, false}, {0xd0, 0xff, 0x83, true}}, 1);
}

TEST(FilterExplain, NamesTheEntryThatDecided) {
  const auto filter = loaded(memory_filter());
  const auto all = explain(filter, {"r81d0", "r83d0", "r00c4"});
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->events.size(), 3u);
  EXPECT_EQ(all->events[0].verdict, (virt::x86::FilterVerdict{true, Reason::kIncluded, 0}));
  EXPECT_EQ(reason_text(all->events[0].verdict), "include 0");
  EXPECT_EQ(all->events[1].verdict, (virt::x86::FilterVerdict{false, Reason::kExcluded, 1}));
  EXPECT_EQ(reason_text(all->events[1].verdict), "exclude 1");
  EXPECT_EQ(all->events[2].verdict, (virt::x86::FilterVerdict{false, Reason::kNotIncluded, 0}));
  EXPECT_EQ(reason_text(all->events[2].verdict), "no include");
}

TEST(FilterExplain, ACodeHasTheNameThatTheCatalogueKnows) {
  const auto filter = loaded(memory_filter());
  const auto all = explain(filter, {"cpu/event=0xd0,umask=0x81/", "cpu/event=0xfe,umask=0xfe/"});
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->events.size(), 2u);
  EXPECT_EQ(all->events[0].name, filter.catalogue->named({0xd0, 0x81}).front()->name);
  EXPECT_EQ(all->events[1].name, "");
}

TEST(FilterExplain, NeighboursOfOneVerdictAreARange) {
  const auto all = explain(loaded(memory_filter()), {"cpu/event=0xd0,umask=*/"});
  ASSERT_TRUE(all) << all.error().message;
  std::vector<SelectorRange> ranges;
  for (const EventVerdict& event : all->events) ranges.push_back(event.codes);
  EXPECT_EQ(ranges, (std::vector<SelectorRange>{{0xd0, 0x00, 0x03},
                                                {0xd0, 0x04, 0x7f},
                                                {0xd0, 0x80, 0x82},
                                                {0xd0, 0x83, 0x83},
                                                {0xd0, 0x84, 0xff}}));
  EXPECT_EQ(code_text(ranges[1]), "0xd0/0x04-0x7f");
  EXPECT_EQ(code_text({0x1d0, 0, 0xff}), "0x1d0/any");
}

TEST(FilterExplain, WildcardsMeanEveryNameThatFits) {
  const auto filter = loaded(memory_filter());
  const auto all = explain(filter, {"mem_inst_retired.*"});
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->events.size(), filter.catalogue->match("MEM_INST_RETIRED.*").size());
  EXPECT_GT(all->events.size(), 3u);
}

TEST(FilterExplain, FixedCountersAreDecidedByTheBitmapAlone) {
  const auto filter = loaded(memory_filter());
  const auto all = explain(filter, {"r00c0", "INST_RETIRED.*"});
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->fixed.size(), 1u) << "once, though several count it";
  EXPECT_EQ(all->fixed[0].counter, 0u);
  EXPECT_TRUE(all->fixed[0].admitted);
  EXPECT_FALSE(all->events[0].verdict.admitted) << "on a general-purpose counter";
}

TEST(FilterExplain, WithoutEventsShowsEveryNameAndEveryFixedCounter) {
  for (const char* cpu : {"icelake-server", "zen4"}) {
    const auto filter = loaded(masked_image(kDeny, {{0xc0, 0, 0, false}}, 2), cpu);
    const Explanation all = explain_all(filter);
    const auto& catalogue = *filter.catalogue;
    const auto fixed_only = std::ranges::count_if(
        catalogue.events(), [](const policy::NamedEvent& event) { return event.fixed_only; });
    EXPECT_EQ(all.events.size() + static_cast<std::size_t>(fixed_only), catalogue.events().size());
    ASSERT_EQ(all.fixed.size(), catalogue.fixed_counters());
    for (const FixedVerdict& fixed : all.fixed) EXPECT_EQ(fixed.admitted, fixed.counter != 1);
    for (const EventVerdict& event : all.events) {
      EXPECT_EQ(event.verdict.admitted, event.codes.event != 0xc0) << event.name;
    }
  }
}

TEST(FilterExplain, AnUnknownEventIsAnErrorWithNamesLikeIt) {
  const auto all = explain(loaded(memory_filter()), {"MEM_INST_RETIRED.ALL_LOAD"});
  ASSERT_FALSE(all);
  EXPECT_NE(all.error().message.find("MEM_INST_RETIRED.ALL_LOADS"), std::string::npos)
      << all.error().message;
}

TEST(FilterTable, LongNamesHaveALineOfTheirOwn) {
  EXPECT_EQ(row_text("NAME", "x"), "NAME" + std::string(kNameColumns - 4, ' ') + " x\n");
  const std::string fits(kNameColumns, 'N');
  EXPECT_EQ(row_text(fits, "x"), fits + " x\n");
  const std::string is_long(kNameColumns + 1, 'N');
  EXPECT_EQ(row_text(is_long, "x"), is_long + "\n" + std::string(kNameColumns, ' ') + " x\n");
}

}  // namespace
}  // namespace vpmu::cli::filter
