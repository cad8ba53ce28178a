// SPDX-License-Identifier: MIT
#include "profile/views/name_table.hpp"

#include <gtest/gtest.h>

namespace vpmu::profile {
namespace {

TEST(NameTable, EqualNamesHaveOneNumber) {
  NameTable names;
  const NameId one = names.add("one");
  const NameId two = names.add("two");
  EXPECT_NE(one, two);
  EXPECT_EQ(names.add("one"), one);
  EXPECT_EQ(names[two], "two");
  EXPECT_EQ(names.add(""), kNoName);
}

TEST(NameTable, ManyNamesStayApart) {
  NameTable names;
  for (int i = 0; i < 10'000; ++i) names.add(std::to_string(i));
  EXPECT_EQ(names.size(), 10'001u);
  for (int i = 0; i < 10'000; ++i)
    EXPECT_EQ(names[names.add(std::to_string(i))], std::to_string(i));
}

TEST(CleanText, ControlCharactersAreQuestionMarks) {
  EXPECT_EQ(clean_text("a\x1b[31mb\n\x7f\t"), "a?[31mb???");
  EXPECT_EQ(clean_text(std::string_view{"\0", 1}), "?");
  EXPECT_EQ(clean_text("\xc2\x9b"), "??") << "CSI as one character";
  EXPECT_EQ(clean_text("\u202egnp.exe"), "???gnp.exe") << "text from right to left";
}

TEST(CleanText, OnlyValidUtf8IsLeft) {
  EXPECT_EQ(clean_text("\u00e4\u4e2d\U0001f600"), "\u00e4\u4e2d\U0001f600");
  EXPECT_EQ(clean_text("\xff\x80z"), "??z");
  EXPECT_EQ(clean_text("\xc0\xaf"), "??") << "longer than it needs to be";
  EXPECT_EQ(clean_text("\xed\xa0\x80"), "???") << "half a surrogate pair";
  EXPECT_EQ(clean_text("\xf4\x90\x80\x80"), "????") << "beyond the last character";
  EXPECT_EQ(clean_text("\xef\xbf\xbf"), "???") << "no character in XML";
  EXPECT_EQ(clean_text("a\xe4"), "a?") << "cut off";
}

TEST(CleanText, LongTextIsCut) {
  EXPECT_EQ(clean_text("abcdef", 4), "abcd...");
  EXPECT_EQ(clean_text("abc\u00e4", 4), "abc...") << "not half a character";
  EXPECT_EQ(clean_text("abcd", 4), "abcd");
}

}  // namespace
}  // namespace vpmu::profile
