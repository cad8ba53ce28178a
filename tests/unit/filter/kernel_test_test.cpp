// SPDX-License-Identifier: MIT
#include "cli/filter/kernel_test.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "unit/filter/images.hpp"
#include "unit/kvm/fake_kvm.hpp"

namespace vpmu::cli::filter {
namespace {

using namespace vpmu::test;
constexpr auto kAllow = FilterAction::kAllow;

/// Not valid for Intel guests.
FilterImage for_amd() {
  return masked_image(kAllow, {{0x1c2, 0xff, 0, false}});
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(FilterKernelTest, AgreesWithAKernelThatAccepts) {
  FakeFilterKvm system;
  const auto output = test_on_kernel(file_of(masked_image(kAllow, {})), system);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->status, 0);
  EXPECT_TRUE(has(output->text, "kernel   accepts it"));
  EXPECT_TRUE(has(output->text, "vpmu     accepts it"));
}

TEST(FilterKernelTest, AsksForTheVendorThatTheKernelKnows) {
  for (const Vendor vendor : {Vendor::kIntel, Vendor::kAmd}) {
    FakeFilterKvm system;
    system.vendor = vendor;
    const auto output = test_on_kernel(file_of(for_amd()), system);
    ASSERT_TRUE(output) << output.error().message;
    EXPECT_EQ(output->status, 0) << output->text;
    EXPECT_EQ(has(output->text, "kernel   refuses it: EINVAL"), vendor == Vendor::kIntel);
    EXPECT_EQ(has(output->text, "for Intel guests"), vendor == Vendor::kIntel);
  }
}

TEST(FilterKernelTest, SaysSoIfTheKernelAnswersOtherwise) {
  FakeFilterKvm system;
  system.load_error = EPERM;
  const auto output = test_on_kernel(file_of(masked_image(kAllow, {})), system);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->status, 1);
  EXPECT_TRUE(has(output->text, "EPERM")) << output->text;
  EXPECT_TRUE(has(output->text, "They do not agree."));
}

TEST(FilterKernelTest, AKernelWithoutMaskedEventsCanBeAskedAboutLegacyFilters) {
  FakeFilterKvm system;
  system.extensions.erase(226);
  const auto masked = test_on_kernel(file_of(masked_image(kAllow, {})), system);
  ASSERT_FALSE(masked);
  EXPECT_TRUE(has(masked.error().message, "takes no masked events"));
  const auto legacy = test_on_kernel(file_of(legacy_image(kAllow, {0xc0})), system);
  ASSERT_TRUE(legacy) << legacy.error().message;
  EXPECT_EQ(legacy->status, 0);
}

TEST(FilterKernelTest, WithoutAKernelToAskIsAnError) {
  FakeFilterKvm system;
  system.open_result = -ENOENT;
  const auto output = test_on_kernel(file_of(masked_image(kAllow, {})), system);
  ASSERT_FALSE(output);
  EXPECT_TRUE(has(output.error().message, "/dev/kvm"));
}

TEST(FilterKernelTest, TruncatedFiltersAreShownToTheKernelTruncated) {
  FakeFilterKvm system;
  auto file = file_of(masked_image(kAllow, {{0xc0, 0xff, 0, false}}));
  file.bytes.pop_back();
  const auto output = test_on_kernel(file, system);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->status, 0) << output->text;
  EXPECT_TRUE(has(output->text, "kernel   refuses it: EFAULT")) << output->text;
}

}  // namespace
}  // namespace vpmu::cli::filter
