// SPDX-License-Identifier: MIT
#include "cli/filter/check.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/filter/images.hpp"

namespace vpmu::cli::filter {
namespace {

using namespace vpmu::test;
using virt::x86::FilterError;
constexpr auto kAllow = FilterAction::kAllow;

const std::vector<Vendor> kBoth{Vendor::kIntel, Vendor::kAmd};

bool warns(const CheckResult& result, std::string_view part) {
  return std::ranges::any_of(result.warnings, [&](const Warning& warning) {
    return warning.text.find(part) != std::string::npos;
  });
}

TEST(FilterCheck, AnswersForEachVendorThatIsAskedFor) {
  const auto file =
      file_of(masked_image(kAllow, {{0xc0, 0xff, 0, false}, {0x1c2, 0xff, 0, false}}));
  const CheckResult both = check(file, kBoth, {});
  ASSERT_EQ(both.answers.size(), 2u);
  ASSERT_TRUE(both.answers[0].refusal);
  EXPECT_EQ(both.answers[0].refusal->error, FilterError::kReservedBits);
  EXPECT_EQ(both.answers[0].refusal->entry, 1u);
  EXPECT_FALSE(both.answers[1].refusal);
  EXPECT_TRUE(both.valid());
  EXPECT_FALSE(check(file, {Vendor::kIntel}, {}).valid());
}

TEST(FilterCheck, WarnsOfBytesThatNobodyReads) {
  auto file = file_of(masked_image(kAllow, {{0xc0, 0xff, 0, false}}));
  EXPECT_TRUE(check(file, kBoth, {}).warnings.empty());
  file.bytes.resize(file.bytes.size() + 5);
  EXPECT_TRUE(warns(check(file, kBoth, {}), "5 bytes follow the last entry"));
}

TEST(FilterCheck, WarnsOfPaddingThatIsNotZero) {
  for (const std::size_t at : {16, 31}) {
    auto file = file_of(masked_image(kAllow, {}));
    file.bytes[at] = std::byte{1};
    EXPECT_TRUE(warns(check(file, kBoth, {}), "padding")) << at;
  }
}

TEST(FilterCheck, WarnsOfFixedCountersThatTheCpuHasNot) {
  const auto file = file_of(masked_image(kAllow, {}, 0x8000'000f));
  EXPECT_TRUE(check(file, kBoth, {}).warnings.empty());
  EXPECT_TRUE(warns(check(file, kBoth, 4), "bits 0x80000000 of counters"));
  EXPECT_TRUE(warns(check(file, kBoth, 0), "bits 0x8000000f of counters"));
  EXPECT_TRUE(check(file, kBoth, 32).warnings.empty());
  const auto denies = file_of(masked_image(FilterAction::kDeny, {}, 0x8000'000f));
  EXPECT_TRUE(check(denies, kBoth, 4).warnings.empty()) << "they are denied, which does no harm";
}

TEST(FilterCheck, WarnsOfDeadEntriesOnceUnlessVendorsDiffer) {
  const CheckResult alike = check(file_of(masked_image(kAllow, {{0xc0, 0, 1, false}})), kBoth, {});
  ASSERT_EQ(alike.warnings.size(), 1u);
  EXPECT_EQ(alike.warnings[0].entry, 0u);
  EXPECT_FALSE(alike.warnings[0].only_for);

  const CheckResult legacy = check(file_of(legacy_image(kAllow, {0xc0, 0x1'0000'00c2})), kBoth, {});
  ASSERT_EQ(legacy.warnings.size(), 1u);
  EXPECT_EQ(legacy.warnings[0].entry, 1u);
  EXPECT_EQ(legacy.warnings[0].only_for, Vendor::kIntel);
}

TEST(FilterCheck, DoesNotWarnOfWhatIsRefused) {
  auto file = file_of(masked_image(kAllow, {{0xc0, 0, 1, false}}));
  file.bytes.resize(10);
  const CheckResult result = check(file, kBoth, 4);
  EXPECT_FALSE(result.valid());
  EXPECT_TRUE(result.warnings.empty());
}

}  // namespace
}  // namespace vpmu::cli::filter
