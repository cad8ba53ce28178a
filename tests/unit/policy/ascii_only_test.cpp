// SPDX-License-Identifier: MIT
#include "policy/ascii_only.hpp"

#include <gtest/gtest.h>

namespace vpmu::policy {
namespace {
using std::string_view_literals::operator""sv;

TEST(AsciiOnly, LeavesAsciiAsItIs) {
  constexpr std::string_view kText = "cpu = \"icx\"\r\n\t# \x01\x7f\0"sv;
  EXPECT_EQ(ascii_only(kText), std::string{kText});
  EXPECT_EQ(ascii_only(""), std::string{});
}

TEST(AsciiOnly, PutsATildeForEachOtherCharacter) {
  EXPECT_EQ(ascii_only("a\xc3\xb9z"), "a~z");
  EXPECT_EQ(ascii_only("\xe2\x82\xac\xf0\x9f\x98\x80"), "~~");
  // The first and the last of each length, and those around the surrogates.
  EXPECT_EQ(ascii_only("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"
                       "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
            "~~~~~~~~");
}

TEST(AsciiOnly, DropsAByteOrderMark) {
  EXPECT_EQ(ascii_only("\xef\xbb\xbf"
                       "a"),
            "a");
}

TEST(AsciiOnly, SaysWhereTextIsNotUtf8) {
  for (const std::string_view wrong :
       {"\x80"sv, "\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc3"sv, "\xc3z"sv, "\xe0\x9f\xbf"sv,
        "\xe2\x82"sv, "\xed\xa0\x80"sv, "\xf0\x8f\xbf\xbf"sv, "\xf0\x9f\x98"sv,
        "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv}) {
    const auto text = ascii_only(std::string{"a\n\xc3\xb9z"} + std::string{wrong});
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error(), (Place{2, 3}));
  }
}

}  // namespace
}  // namespace vpmu::policy
