// SPDX-License-Identifier: MIT
#include "cli/annotate/name_match.hpp"

#include <gtest/gtest.h>

namespace {
using vpmu::cli::annotate::match_of;
using vpmu::cli::annotate::NameMatch;
using vpmu::profile::Symbol;

NameMatch match(const char* name, const char* wanted) {
  return match_of(Symbol{0, 0, name, "_Zlinkage"}, wanted);
}

TEST(NameMatch, TheMoreWasWrittenTheBetter) {
  struct Case {
    const char* name;
    const char* wanted;
    NameMatch match;
  };
  const Case cases[] = {
      {"main", "main", NameMatch::kWhole},
      {"ns::Table::find(int) const", "ns::Table::find(int) const", NameMatch::kWhole},
      {"ns::Table::find(int) const", "_Zlinkage", NameMatch::kWhole},
      {"ns::Table::find(int) const", "ns::Table::find", NameMatch::kWithoutParameters},
      {"f(void (*)(int), g(char))", "f", NameMatch::kWithoutParameters},
      {"ns::Table::find(int) const", "Table::find", NameMatch::kLastParts},
      {"ns::Table::find(int) const", "find", NameMatch::kLastParts},
      {"hash.constprop.0", "hash", NameMatch::kWithoutParameters},
      {"f.isra.0.constprop.12", "f", NameMatch::kWithoutParameters},
      {"ns::f(int) [clone .isra.0]", "f", NameMatch::kLastParts},
      {"f(int) [clone .isra.0] [clone .constprop.1]", "f", NameMatch::kWithoutParameters},
      {"core::fmt::pad", "pad", NameMatch::kLastParts},
  };
  for (const Case& c : cases) EXPECT_EQ(match(c.name, c.wanted), c.match) << c.wanted;
}

TEST(NameMatch, OtherFunctionsAreNotMeant) {
  EXPECT_EQ(match("main", "mai"), NameMatch::kNone);
  EXPECT_EQ(match("main", "ain"), NameMatch::kNone);
  EXPECT_EQ(match("main", ""), NameMatch::kNone);
  EXPECT_EQ(match("ns::Table::find(int)", "able::find"), NameMatch::kNone);
  EXPECT_EQ(match("f(int) [clone .cold]", "f"), NameMatch::kNone);
  EXPECT_EQ(match("f.cold", "f"), NameMatch::kNone);
  EXPECT_EQ(match("f.part.0", "f"), NameMatch::kNone);
  EXPECT_EQ(match("f(int) [clone .cold] [clone .isra.0]", "f"), NameMatch::kNone);
  EXPECT_EQ(match("f.0", "f"), NameMatch::kNone);
  EXPECT_EQ(match("0", "f"), NameMatch::kNone);
  EXPECT_EQ(match("f)", "g"), NameMatch::kNone);
}
}  // namespace
