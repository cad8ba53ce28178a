// SPDX-License-Identifier: MIT
#include "cli/size_text.hpp"

#include <gtest/gtest.h>

namespace vpmu::cli {
namespace {

TEST(SizeText, UnitsArePowersOf1024AndMiBWithoutOne) {
  struct Row {
    const char* text;
    std::uint64_t bytes;
  };
  for (const Row row : {Row{"128", 128ULL << 20},
                        {"1K", 1024},
                        {"64M", 64ULL << 20},
                        {"2g", 2ULL << 30},
                        {"1T", 1ULL << 40},
                        {"3MiB", 3ULL << 20},
                        {"3MB", 3ULL << 20},
                        {"0", 0}}) {
    const auto bytes = parse_size(row.text);
    ASSERT_TRUE(bytes.has_value()) << row.text;
    EXPECT_EQ(*bytes, row.bytes) << row.text;
  }
}

TEST(SizeText, AnythingElseIsAnErrorThatNamesIt) {
  for (const char* text : {"", "M", "-1M", "1.5G", "12X", "1MM", "1KM", " 1M", "99999999999T",
                           "18446744073709551616", "1iB"}) {
    const auto bytes = parse_size(text);
    ASSERT_FALSE(bytes.has_value()) << text;
    EXPECT_EQ(bytes.error().message.rfind(std::string{"size '"} + text, 0), 0u);
  }
}

}  // namespace
}  // namespace vpmu::cli
