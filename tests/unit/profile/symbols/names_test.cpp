// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <string>

#include "profile/symbols/printable_name.hpp"
#include "profile/symbols/symbol_table.hpp"

namespace {
using vpmu::profile::demangle;
using vpmu::profile::kLongestName;
using vpmu::profile::printable_name;

TEST(PrintableName, LeavesPlainTextAndOtherAlphabetsAlone) {
  for (const char* name : {"", "main", "operator new[](unsigned long)", "größe", "数", "f\\x"}) {
    EXPECT_EQ(printable_name(name), name);
  }
}

TEST(PrintableName, ShowsWhatWouldActOnATerminal) {
  EXPECT_EQ(printable_name("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(printable_name(std::string_view{"a\0b", 3}), "a\\x00b");
  EXPECT_EQ(printable_name("line\nline\ttab\x7f"), "line\\x0aline\\x09tab\\x7f");
  EXPECT_EQ(printable_name("\xc2\x9b"
                           "31m"),
            "\\xc2\\x9b31m");  // CSI in one letter
  EXPECT_EQ(printable_name("\xe2\x80\xae"
                           "b"),
            "\\xe2\\x80\\xaeb");  // right to left from here
}

TEST(PrintableName, ShowsBytesThatAreNoUtf8) {
  EXPECT_EQ(printable_name("\xff"), "\\xff");
  EXPECT_EQ(printable_name("\xc3"), "\\xc3");                    // cut short
  EXPECT_EQ(printable_name("\xc0\xaf"), "\\xc0\\xaf");           // longer than needed
  EXPECT_EQ(printable_name("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // half of a pair
}

TEST(PrintableName, CutsWhatNobodyReads) {
  const std::string longest(kLongestName, 'a');
  EXPECT_EQ(printable_name(longest), longest);
  EXPECT_EQ(printable_name(longest + "a"), std::string(kLongestName - 3, 'a') + "...");
  EXPECT_LE(printable_name(std::string(kLongestName, '\n')).size(), kLongestName);
}

TEST(Demangle, GivesCxxNamesAsPeopleWriteThem) {
  EXPECT_EQ(demangle("_ZN4vpmu7profile3runEiPKc"), "vpmu::profile::run(int, char const*)");
  EXPECT_EQ(demangle("_Z3fooIiEvT_"), "void foo<int>(int)");
  EXPECT_EQ(demangle("_Z3barv.cold"), "bar() [clone .cold]");
}

TEST(Demangle, GivesRustNamesOfBothKinds) {
  EXPECT_EQ(demangle("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"),
            "core::fmt::Formatter::pad");
  EXPECT_EQ(demangle("_RNvC6_123foo3bar"), "123foo::bar");
}

TEST(Demangle, LeavesOtherNamesAlone) {
  for (const char* name : {"", "main", "_Z", "_ZZ", "_R", "_Rx", "i", "memcpy@plt", "_Zfoo bar"}) {
    EXPECT_EQ(demangle(name), name);
  }
}

TEST(Demangle, LeavesANameAloneThatStandsForGigabytes) {
  // f(A<A<...>, A<...>>): each level names the one before it twice.
  std::string name = "_Z1fI1AIiiE";
  std::string substitution = "S0_";
  for (int i = 0; i < 60; ++i) {
    name += "1AI" + substitution + substitution + "E";
    const int next = i + 1;
    const char digit = static_cast<char>(next < 10 ? '0' + next : 'A' + next - 10);
    substitution = next < 36 ? std::string{"S"} + digit + "_"
                             : std::string{"S1"} + static_cast<char>('0' + (next - 36) % 10) + "_";
  }
  name += "Evv";
  EXPECT_EQ(demangle(name), name);
}

TEST(Demangle, LeavesANameAloneThatIsNestedTooDeep) {
  const std::string name = "_Z1f" + std::string(kLongestName - 5, 'P') + "i";
  const std::string result = demangle(name);
  EXPECT_LE(result.size(), kLongestName);
}
}  // namespace
