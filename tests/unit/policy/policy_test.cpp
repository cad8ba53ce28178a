// SPDX-License-Identifier: MIT
#include "policy/policy.hpp"

#include <cstdlib>
#include <initializer_list>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "policy/tiers.hpp"

namespace vpmu::policy {
namespace {
using silicon::x86::EventSelector;
using silicon::x86::Vendor;

constexpr std::string_view kIcx = "cpu = \"icelake-server\"\n";

Policy policy(std::string_view text) {
  auto parsed = parse_policy(text, "p.toml");
  if (!parsed) {
    ADD_FAILURE() << parsed.error().message;
    std::abort();
  }
  return *std::move(parsed);
}
Policy icx(std::string_view lines) {
  return policy(std::string{kIcx} + std::string{lines});
}

std::string error_of(std::string_view text) {
  const auto parsed = parse_policy(text, "p.toml");
  if (parsed) {
    ADD_FAILURE() << text << " is taken";
    return {};
  }
  return parsed.error().message;
}

SelectorSet selectors(std::initializer_list<EventSelector> of, Vendor vendor = Vendor::kIntel) {
  SelectorSet set{vendor};
  for (const EventSelector selector : of) set.insert(selector);
  return set;
}

SelectorSet all_but(std::initializer_list<EventSelector> of) {
  SelectorSet set = selectors(of);
  set.invert();
  return set;
}

const TierTable& tiers_of(const Policy& of) {
  const auto table = TierTable::of(*of.catalogue);
  if (!table) std::abort();
  return **table;
}

// ---- What is allowed ----------------------------------------------------------------------------

TEST(Policy, ThatSaysNothingDeniesAll) {
  const Policy nothing = icx("");
  EXPECT_EQ(nothing.catalogue->pmu().name, "icx");
  EXPECT_FALSE(nothing.allows_by_default);
  EXPECT_EQ(nothing.allowed.size(), 0u);
  EXPECT_EQ(nothing.fixed_allowed, 0u);
  EXPECT_TRUE(nothing.tier.empty());
  EXPECT_TRUE(nothing.warnings.empty());
}

TEST(Policy, ThatAllowsByDefaultAllowsAll) {
  const Policy all = icx("default = \"allow\"");
  EXPECT_TRUE(all.allows_by_default);
  EXPECT_EQ(all.allowed, all_but({}));
  EXPECT_EQ(all.fixed_allowed, 0xfu);
}

TEST(Policy, AllowsWhatItNames) {
  const Policy named = icx(R"(
default = "deny"
allow = ["MEM_INST_RETIRED.ALL_LOADS", "cpu/event=0xd0,umask=0x82/", "r11c4"]
)");
  EXPECT_EQ(named.allowed, selectors({{0xd0, 0x81}, {0xd0, 0x82}, {0xc4, 0x11}}));
  EXPECT_EQ(named.fixed_allowed, 0u);
}

TEST(Policy, AllowsWithoutWhatItDenies) {
  const Policy most = icx(R"(
allow = ["MEM_INST_RETIRED.*_LOADS"]
deny = ["MEM_INST_RETIRED.LOCK_LOADS", "MEM_INST_RETIRED.STLB_*"]
)");
  EXPECT_EQ(most.allowed, selectors({{0xd0, 0x81}, {0xd0, 0x41}}));
}

TEST(Policy, DeniesWithoutWhatItAllows) {
  const Policy most = icx(R"(
default = "allow"
deny = ["MEM_INST_RETIRED.*_LOADS"]
allow = ["MEM_INST_RETIRED.ALL_LOADS"]
)");
  EXPECT_EQ(most.allowed, all_but({{0xd0, 0x11}, {0xd0, 0x21}, {0xd0, 0x41}}));
  EXPECT_EQ(most.fixed_allowed, 0xfu);
}

TEST(Policy, StartsFromATier) {
  for (const Tier tier : kTiers) {
    const Policy of_tier = icx("tier = \"" + std::string{name(tier)} + "\"");
    EXPECT_EQ(of_tier.tier, name(tier));
    EXPECT_EQ(of_tier.allowed, tiers_of(of_tier).selectors(tier));
    EXPECT_EQ(of_tier.fixed_allowed, tiers_of(of_tier).fixed(tier));
  }
}

TEST(Policy, AddsToATierAndTakesFromIt) {
  const Policy changed = icx(R"(
tier = "architectural"
allow = ["MEM_INST_RETIRED.ALL_LOADS"]
deny = ["LONGEST_LAT_CACHE.*"]
)");
  SelectorSet expected = tiers_of(changed).selectors(Tier::kArchitectural);
  expected.insert({0xd0, 0x81});
  expected.erase({0x2e, 0x41});
  expected.erase({0x2e, 0x4f});
  EXPECT_EQ(changed.allowed, expected);
}

TEST(Policy, OfAmdHasTwelveBitsOfEventSelect) {
  const Policy zen4 = policy(R"(
cpu = "zen4"
allow = ["RETIRED_FUSED_INSTRUCTIONS", "r1000001d1"]
)");
  EXPECT_EQ(zen4.allowed, selectors({{0x1d0, 0}, {0x1d1, 1}}, Vendor::kAmd));
  EXPECT_EQ(zen4.fixed_allowed, 0u);
}

TEST(Policy, DoesNotMindDuplicates) {
  const Policy twice = icx(R"(allow = ["r81d0", "r81d0", "MEM_INST_RETIRED.ALL_LOADS"])");
  EXPECT_EQ(twice.allowed, selectors({{0xd0, 0x81}}));
  EXPECT_TRUE(twice.warnings.empty());
}

// ---- Fixed counters -----------------------------------------------------------------------------

struct FixedCase {
  const char* lines;
  std::uint32_t allowed;
};
void PrintTo(const FixedCase& fixed, std::ostream* out) {
  *out << fixed.lines;
}
constexpr FixedCase kFixedCases[] = {
    {R"(allow = ["INST_RETIRED.ANY_P"])", 0b0001},
    {R"(allow = ["INST_RETIRED.ANY"])", 0b0001},
    {R"(allow = ["rc0", "cpu/event=0x3c/"])", 0b0011},
    {R"(allow = ["CPU_CLK_UNHALTED.REF_TSC"])", 0b0100},
    {R"(allow = ["cpu/event=0x3c,umask=1/"])", 0b0000},
    {R"(allow = ["TOPDOWN.*"])", 0b1000},
    {R"(allow = ["*"])", 0b1111},
    {R"(tier = "architectural")", 0b1111},
    {"allow = [\"INST_RETIRED.*\"]\ndeny = [\"INST_RETIRED.ANY\", \"INST_RETIRED.ANY_P\", "
     "\"INSTRUCTION*_RETIRED\", \"INST_RETIRED.PREC_DIST\"]",
     0b0000},
    // One of its events is allowed still.
    {"allow = [\"INST_RETIRED.ANY*\"]\ndeny = [\"INST_RETIRED.ANY_P\"]", 0b0001},
    {"default = \"allow\"\ndeny = [\"INST_RETIRED.ANY_P\"]", 0b1110},
    {"default = \"allow\"\ndeny = [\"INST_RETIRED.ANY\"]", 0b1110},
    {"default = \"allow\"\ndeny = [\"INST_RETIRED.ANY*\"]\nallow = [\"INST_RETIRED.ANY\"]", 0b1110},
    {"default = \"allow\"\ndeny = [\"*\"]", 0b0000},
    // What the table says comes last.
    {"[fixed]\nallow = [0, \"CPU_CLK_UNHALTED.THREAD\"]", 0b0011},
    {"[fixed]\nallow = [\"rc0\", \"CPU_CLK_UNHALTED.THREAD_P\"]", 0b0011},
    {"tier = \"standard\"\n[fixed]\ndeny = [3]", 0b0111},
    {"tier = \"standard\"\nfixed = {deny = [3, \"INST_RETIRED.*\", 3]}", 0b0110},
    {"default = \"allow\"\n[fixed]\ndeny = [1]\nallow = [0]", 0b1101},
    {"[fixed]", 0b0000},
};
class PolicyFixed : public testing::TestWithParam<FixedCase> {};
INSTANTIATE_TEST_SUITE_P(Cases, PolicyFixed, testing::ValuesIn(kFixedCases));

TEST_P(PolicyFixed, CountersFollowTheirEventsAndThenTheTable) {
  EXPECT_EQ(icx(GetParam().lines).fixed_allowed, GetParam().allowed);
}

TEST(Policy, OfANameThatOnlyAFixedCounterCountsAllowsNoSelector) {
  EXPECT_EQ(icx(R"(allow = ["INST_RETIRED.ANY"])").allowed.size(), 0u);
}

// ---- Warnings -----------------------------------------------------------------------------------

struct WarningCase {
  const char* lines;
  const char* warning;
};
void PrintTo(const WarningCase& warning, std::ostream* out) {
  *out << warning.lines;
}
constexpr WarningCase kWarnings[] = {
    {"allow = [\"r81d0\"]\ndeny = [\"r82d0\"]",
     "p.toml:3:9: 'r82d0' does nothing: none of it is allowed elsewhere"},
    {"default = \"allow\"\nallow = [\"r81d0\"]",
     "p.toml:3:10: 'r81d0' does nothing: none of it is denied elsewhere"},
    {"deny = [\"r81d0\"]\nallow = [\"MEM_INST_RETIRED.ALL_LOADS\"]",
     "p.toml:3:10: 'MEM_INST_RETIRED.ALL_LOADS' does nothing: all of it is excepted"},
    {"tier = \"architectural\"\ndeny = [\"LONGEST_LAT_CACHE.*\",\n  \"MEM_INST_RETIRED.*\"]",
     "p.toml:4:3: 'MEM_INST_RETIRED.*' does nothing: none of it is allowed elsewhere"},
    {"tier = \"architectural\"\ndeny = [\"INST_RETIRED.ANY\"]",
     "p.toml:3:9: fixed counter 0, which counts 'INST_RETIRED.ANY', stays allowed as another name "
     "of its event is; to change it write [fixed] deny = [0]"},
};
class PolicyWarning : public testing::TestWithParam<WarningCase> {};
INSTANTIATE_TEST_SUITE_P(Lines, PolicyWarning, testing::ValuesIn(kWarnings));

TEST_P(PolicyWarning, IsOfALineThatDoesNotDoWhatItSeemsTo) {
  EXPECT_EQ(icx(GetParam().lines).warnings, std::vector<std::string>{GetParam().warning});
}

TEST(Policy, WarnsInTheOrderOfTheFile) {
  const Policy two = icx("deny = [\"r01d0\"]\nallow = [\"r81d0\"]\n");
  ASSERT_EQ(two.warnings.size(), 1u);
  const Policy both = icx("deny = [\"r81d0\", \"r01d0\"]\nallow = [\"r81d0\"]\n");
  ASSERT_EQ(both.warnings.size(), 2u);
  EXPECT_TRUE(both.warnings[0].starts_with("p.toml:2:18: ")) << both.warnings[0];
  EXPECT_TRUE(both.warnings[1].starts_with("p.toml:3:10: ")) << both.warnings[1];
}

TEST(Policy, DoesNotWarnOfAFixedCounterThatTheTableDecides) {
  EXPECT_TRUE(icx("tier = \"architectural\"\ndeny = [\"INST_RETIRED.ANY\"]\n[fixed]\nallow = [0]")
                  .warnings.empty());
}

// ---- Mistakes -----------------------------------------------------------------------------------

struct Mistake {
  const char* text;
  const char* place;
  const char* says;
};
void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.text;
}
constexpr Mistake kMistakes[] = {
    {"", "1:1", "write cpu = \"icelake-server\""},
    {"tier = \"standard\"\n", "1:1", "does not say for which CPU"},
    {"cpu = \"icelake-sever\"", "1:7", "icelake-server"},
    {"cpu = 3", "1:7", "this is a whole number; write cpu = "},
    {"cpu = [\"icx\"]", "1:7", "this is a list"},
    {"\ncpu = 1.5", "2:7", "a number with a point"},
    {"cpu = true", "1:7", "true or false"},
    {"cpu = 2020-01-01", "1:7", "a date or time"},
    {"cpu = \"icx\"\ndefault = \"maybe\"", "2:11", "'maybe' is not known; give \"allow\" or"},
    {"cpu = \"icx\"\ntier = \"gold\"", "2:8", "architectural, standard, enhanced"},
    {"cpu = \"icx\"\ntier = \"standard\"\ndefault = \"allow\"", "2:8", "leave out the tier"},
    {"cpu = \"knl\"\ntier = \"standard\"", "2:8", "there are no tiers for knl; there are for "},
    {"cpu = \"icx\"\nalow = []", "2:1", "'alow' is not known; keys like it: allow"},
    {"cpu = \"icx\"\nallow = \"r81d0\"", "2:9", "'allow' is a string; write allow = ["},
    {"cpu = \"icx\"\nallow = [\"r81d0\",\n 5]", "3:2", "this is a whole number"},
    {"cpu = \"icx\"\nallow = [[\"r81d0\"]]", "2:10", "this is a list"},
    {"cpu = \"icx\"\nallow = [\"MEM_INST_RETIRED.ALL_LODS\"]", "2:10",
     "not known on icx; names like it: MEM_INST_RETIRED.ALL_LOADS"},
    {"cpu = \"icx\"\ndeny = [\"NOTHING.*\"]", "2:9", "matches none on icx"},
    {"cpu = \"icx\"\nallow = [\"cpu/event=0xd00/\"]", "2:10", "at most 0xff on icx"},
    {"cpu = \"icx\"\nallow = [\"\"]", "2:10", "an event is empty"},
    {"cpu = \"icx\"\nfixed = [0]", "2:9", "'fixed' is a list; write [fixed] on a line"},
    {"cpu = \"icx\"\n[fixed]\nallowed = [0]", "3:1", "'allowed' is not known; keys like it: allow"},
    {"cpu = \"icx\"\n[fixed]\nallow = 0", "3:9", "'allow' is a whole number; write allow = [0]"},
    {"cpu = \"icx\"\n[fixed]\nallow = [4]", "3:10", "no fixed counter 4: icx has 0 to 3"},
    {"cpu = \"skx\"\n[fixed]\nallow = [3]", "3:10", "no fixed counter 3: skx has 0 to 2"},
    {"cpu = \"icx\"\n[fixed]\nallow = [-1]", "3:10", "no fixed counter -1"},
    {"cpu = \"icx\"\n[fixed]\nallow = [1.0]", "3:10", "a number or the name of an event"},
    {"cpu = \"icx\"\n[fixed]\nallow = [\"r81d0\"]", "3:10", "no fixed counter counts 'r81d0'"},
    {"cpu = \"icx\"\n[fixed]\nallow = [\"ANY\"]", "3:10", "'ANY' is not known"},
    {"cpu = \"icx\"\n[fixed]\nallow = [0]\ndeny = [1, \"rc0\"]", "4:12", "is allowed above"},
    {"cpu = \"zen2\"\n[fixed]\nallow = [0]", "3:10", "no fixed counters; leave out [fixed]"},
    {"cpu = \"icx\"\ncpu = \"icx\"", "2:", ""},
    {"cpu = \"icx", "1:", ""},
    {"cpu = \"icx\"\nallow = [\"r81d0\"", "2:", ""},
    {"cpu = \"i\xff\"", "1:9", "not UTF-8; save the file as UTF-8"},
    {"# \xc3\xa4\n\xc3\xa4 = 1", "2:1", ""},
    {"cpu = \"icx\"\nallow = [\"\xc3\xb9\"]", "2:10", "'~' is not known"},
    {"\x01", "1:", ""},
};
class PolicyMistake : public testing::TestWithParam<Mistake> {};
INSTANTIATE_TEST_SUITE_P(Mistakes, PolicyMistake, testing::ValuesIn(kMistakes));

TEST_P(PolicyMistake, IsOneLineWithFileAndPlace) {
  const std::string message = error_of(GetParam().text);
  EXPECT_TRUE(message.starts_with(std::string{"p.toml:"} + GetParam().place)) << message;
  EXPECT_NE(message.find(GetParam().says), std::string::npos) << message;
  for (const char c : message) EXPECT_GE(static_cast<unsigned char>(c), ' ') << message;
}

TEST(Policy, ThatIsVeryLargeIsAnError) {
  EXPECT_NE(error_of(std::string((1u << 20) + 1, '\n')).find("at most 1 MiB"), std::string::npos);
}

TEST(Policy, ThatNestsDeeplyIsAnError) {
  EXPECT_TRUE(error_of("allow = " + std::string(100'000, '[')).starts_with("p.toml:1:"));
  std::string tables = "a";
  for (int i = 0; i < 10'000; ++i) tables += ".a";
  EXPECT_TRUE(error_of(tables + " = 1").starts_with("p.toml:1:"));
}

TEST(Policy, OfManyLinesIsRead) {
  std::string text{kIcx};
  text += "allow = [\n";
  for (unsigned code = 0; code < 0x10000; ++code) {
    char line[16];
    std::snprintf(line, sizeof line, "\"r%04x\",\n", code);
    text += line;
  }
  EXPECT_EQ(policy(text + "]").allowed, all_but({}));
}

}  // namespace
}  // namespace vpmu::policy
