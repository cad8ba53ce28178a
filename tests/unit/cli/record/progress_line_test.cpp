// SPDX-License-Identifier: MIT
#include "cli/record/progress_line.hpp"

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

TEST(Progress, FitsALineOfATerminal) {
  using cli::record::progress_text;
  EXPECT_EQ(
      progress_text({.samples = 12'345, .instructions = 170'000'000, .file_bytes = 1'258'291}, 2),
      "record: 12,345 samples, 1.2 MiB, 85 MIPS, 2.0 s");
  EXPECT_EQ(progress_text({.samples = 1, .instructions = 0, .file_bytes = 100}, 0),
            "record: 1 sample, 100 bytes, 0 MIPS, 0.0 s");
  constexpr std::uint64_t kMost = std::uint64_t{1} << 42;
  EXPECT_LE(
      progress_text({.samples = kMost, .instructions = kMost, .file_bytes = kMost}, 1e6).size(),
      80u);
}

TEST(Progress, SizesHaveTwoOrThreeDigits) {
  using cli::record::bytes_text;
  EXPECT_EQ(bytes_text(0), "0 bytes");
  EXPECT_EQ(bytes_text(1023), "1023 bytes");
  EXPECT_EQ(bytes_text(1024), "1.0 KiB");
  EXPECT_EQ(bytes_text(57'344), "56 KiB");
  EXPECT_EQ(bytes_text(std::uint64_t{3} << 40), "3.0 TiB");
}

TEST(Progress, IsNeverDueWhereNobodySeesIt) {
  cli::record::ProgressLine hidden{false};
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(hidden.due());
}

}  // namespace
}  // namespace vpmu::test
