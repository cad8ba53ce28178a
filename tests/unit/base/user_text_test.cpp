// SPDX-License-Identifier: MIT
#include "base/user_text.hpp"

#include <string>

#include <gtest/gtest.h>

namespace vpmu {
namespace {

TEST(UserText, IsOneLine) {
  EXPECT_EQ(one_line("a\r\nb\tc\x1b[1m\x7f"), "a??b?c?[1m?");
  EXPECT_EQ(in_quotes("a\rb"), "'a?b'");
}

TEST(UserText, DoesNotCutALetterInTwo) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "\xc3\xa4";  // a letter of two bytes
  for (const std::string& written : {text, "x" + text}) {
    const std::string message = in_quotes(written);
    EXPECT_EQ((message.size() - std::string{"''..."}.size() - written.size() % 2) % 2, 0u);
  }
}

}  // namespace
}  // namespace vpmu
