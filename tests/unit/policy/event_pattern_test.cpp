// SPDX-License-Identifier: MIT
#include "policy/event_pattern.hpp"

#include <cstdlib>
#include <initializer_list>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

namespace vpmu::policy {
namespace {
using silicon::x86::EventSelector;
using silicon::x86::Vendor;

const EventCatalogue& catalogue(std::string_view cpu) {
  const auto found = EventCatalogue::of(cpu);
  if (!found) std::abort();
  return **found;
}

MeantEvents meant(std::string_view text, std::string_view cpu = "icx") {
  auto events = parse_event_pattern(text, catalogue(cpu));
  if (!events) {
    ADD_FAILURE() << events.error().message;
    return MeantEvents{catalogue(cpu).vendor()};
  }
  return *std::move(events);
}

SelectorSet selectors(std::initializer_list<EventSelector> of, Vendor vendor = Vendor::kIntel) {
  SelectorSet set{vendor};
  for (const EventSelector selector : of) set.insert(selector);
  return set;
}

std::string error_of(std::string_view text, std::string_view cpu = "icx") {
  const auto events = parse_event_pattern(text, catalogue(cpu));
  if (events) {
    ADD_FAILURE() << text << " is taken";
    return {};
  }
  return events.error().message;
}

TEST(EventPattern, IsANameOfTheCatalogue) {
  const MeantEvents loads = meant("MEM_INST_RETIRED.ALL_LOADS");
  EXPECT_EQ(loads.selectors, selectors({{0xd0, 0x81}}));
  EXPECT_EQ(loads.fixed, 0u);
  ASSERT_EQ(loads.named.size(), 1u);
  EXPECT_EQ(loads.named.front()->name, "MEM_INST_RETIRED.ALL_LOADS");
}

TEST(EventPattern, IsManyNames) {
  const MeantEvents all = meant("mem_inst_retired.split_*");
  EXPECT_EQ(all.selectors, selectors({{0xd0, 0x41}, {0xd0, 0x42}}));
  EXPECT_EQ(all.named.size(), 2u);
}

TEST(EventPattern, OfAFixedOnlyNameIsThatCounter) {
  const MeantEvents any = meant("INST_RETIRED.ANY");
  EXPECT_EQ(any.selectors.size(), 0u);
  EXPECT_EQ(any.fixed, 1u << 0);
  EXPECT_EQ(meant("CPU_CLK_UNHALTED.REF_TSC").fixed, 1u << 2);
}

TEST(EventPattern, OfAnEventThatAFixedCounterCountsTooIsBoth) {
  const MeantEvents cycles = meant("CPU_CLK_UNHALTED.THREAD_P");
  EXPECT_EQ(cycles.selectors, selectors({{0x3c, 0x00}}));
  EXPECT_EQ(cycles.fixed, 1u << 1);
}

struct Notation {
  const char* text;
  const char* cpu;
  EventSelector selector;
  std::uint32_t fixed;
};
void PrintTo(const Notation& notation, std::ostream* out) {
  *out << notation.cpu << ' ' << notation.text;
}
constexpr Notation kNotations[] = {
    {"cpu/event=0xd0,umask=0x81/", "icx", {0xd0, 0x81}, 0},
    {"cpu/umask=0x81,event=0xd0/", "icx", {0xd0, 0x81}, 0},
    {"  cpu/event=0xd0, umask=129/u ", "icx", {0xd0, 0x81}, 0},
    {"cpu/event=0xc0/", "icx", {0xc0, 0x00}, 1},
    {"cpu/event=0xa4,umask/", "icx", {0xa4, 0x01}, 1 << 3},
    {"cpu/event=0xa4,umask=1/", "skx", {0xa4, 0x01}, 0},
    {"cpu/event=0xc4,umask=0x20,cmask=1,inv,edge=1,name=taken/ukp", "skx", {0xc4, 0x20}, 0},
    {"cpu/config=0x5181d0/", "icx", {0xd0, 0x81}, 0},
    {"cpu/MEM_INST_RETIRED.ALL_LOADS,cmask=1/", "icx", {0xd0, 0x81}, 0},
    {"MEM_INST_RETIRED.ALL_LOADS:u", "icx", {0xd0, 0x81}, 0},
    {"r81d0", "icx", {0xd0, 0x81}, 0},
    {"R81D0", "icx", {0xd0, 0x81}, 0},
    {"rc0", "icx", {0xc0, 0x00}, 1},
    {"r0300", "icx", {0x00, 0x03}, 1 << 2},
    {"r53003c", "icx", {0x3c, 0x00}, 1 << 1},
    {"rf005381d0", "icx", {0xd0, 0x81}, 0},
    {"r1004301d0", "zen4", {0x1d0, 0x01}, 0},
    {"cpu/event=0x1d0/", "zen4", {0x1d0, 0x00}, 0},
    {"cpu/event=0xfff,umask=0xff/", "zen4", {0xfff, 0xff}, 0},
    {"rc0", "zen4", {0xc0, 0x00}, 0},
};

class EventPatternNotation : public testing::TestWithParam<Notation> {};
INSTANTIATE_TEST_SUITE_P(Notations, EventPatternNotation, testing::ValuesIn(kNotations));

TEST_P(EventPatternNotation, MeansASelector) {
  const MeantEvents events = meant(GetParam().text, GetParam().cpu);
  EXPECT_EQ(events.selectors, selectors({GetParam().selector}, catalogue(GetParam().cpu).vendor()));
  EXPECT_EQ(events.fixed, GetParam().fixed);
}

TEST(EventPattern, CodesHaveNoNames) {
  EXPECT_TRUE(meant("r81d0").named.empty());
  EXPECT_TRUE(meant("cpu/event=0xd0,umask=0x81/").named.empty());
}

TEST(EventPattern, MayBeEveryUnitMask) {
  const MeantEvents all = meant("cpu/event=0xc4,umask=*/");
  EXPECT_EQ(all.selectors.size(), 256u);
  EXPECT_TRUE(all.selectors.row(0xc4).all());
  EXPECT_EQ(meant("cpu/event=0,umask=*/").fixed, 0xfu);
}

struct Mistake {
  const char* text;
  const char* cpu;
  const char* says;
};
void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.cpu << ' ' << mistake.text;
}
constexpr Mistake kMistakes[] = {
    {"", "icx", "empty"},
    {" \t", "icx", "empty"},
    {"MEM_INST_RETIRED.ALL_LODS", "icx", "MEM_INST_RETIRED.ALL_LOADS"},
    {"MEM_INST_RETIRED.ALL_LODS", "icx", "not known on icx"},
    {"MEM_INST_RETIERD.*", "icx", "matches none on icx"},
    {"MEM_INST_RETIRED.ALL_LOADS:xyz", "icx", "not known"},
    {"r", "icx", "not known"},
    {"r0x81d0", "icx", "not known"},
    {"r11112222333344445", "icx", "not known"},
    {"cpu/event=0xd0", "icx", "second slash"},
    {"cpu//", "icx", "term is empty"},
    {"cpu/event=0xd0,/", "icx", "term is empty"},
    {"cpu/event=0x1d0/", "icx", "at most 0xff on icx"},
    {"cpu/event=0x1000/", "zen4", "at most 0xfff on amd64_fam19h_zen4"},
    {"cpu/event=0xd0,umask=0x100/", "icx", "'umask=0x100': at most 0xff"},
    {"cpu/event=*/", "icx", "'event=*': give a number"},
    {"cpu/event=/", "icx", "give a number"},
    {"cpu/event=0xd0,cmask=many/", "icx", "give a number"},
    {"cpu/umask=0x81/", "icx", "event= is missing"},
    {"cpu/event=0xd0,unit=1/", "icx", "term 'unit' is not known; give some of: event, umask"},
    {"cpu/INST_RETIRED.ANY_P,event=0xc0/", "icx", "one of them"},
    {"cpu/INST_RETIRED.ANY_Q/", "icx", "INST_RETIRED.ANY_P"},
    {"cpu/event=0xd0/z", "icx", "'z' behind the second slash"},
    {"uncore_imc/event=0x4/", "icx", "'uncore_imc'"},
    {"/event=0x4/", "icx", "write cpu/.../"},
};

class EventPatternMistake : public testing::TestWithParam<Mistake> {};
INSTANTIATE_TEST_SUITE_P(Mistakes, EventPatternMistake, testing::ValuesIn(kMistakes));

TEST_P(EventPatternMistake, IsOneLineThatSaysWhat) {
  const std::string message = error_of(GetParam().text, GetParam().cpu);
  EXPECT_NE(message.find(GetParam().says), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

TEST(EventPattern, ErrorsStayOneLineWhateverIsWritten) {
  for (const std::string& text :
       {std::string{"A\nB\x01"}, std::string(100'000, 'A'), std::string(100'000, '*') + "/",
        "cpu/event=0xc0," + std::string(100'000, 'B') + "/"}) {
    const std::string message = error_of(text);
    EXPECT_LT(message.size(), 1000u);
    for (const char c : message) EXPECT_GE(static_cast<unsigned char>(c), ' ');
  }
}

}  // namespace
}  // namespace vpmu::policy
