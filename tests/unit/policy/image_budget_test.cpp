// SPDX-License-Identifier: MIT
#include <string>

#include <gtest/gtest.h>

#include "policy/compiler.hpp"

namespace vpmu::policy {
namespace {
using silicon::x86::Vendor;
using virt::x86::FilterAction;

SelectorSet one_unit_mask_of(unsigned events) {
  SelectorSet set{Vendor::kAmd};
  for (unsigned event = 0; event < events; ++event) {
    set.insert({static_cast<std::uint16_t>(event), 1});
  }
  return set;
}

testing::AssertionResult has(const std::string& message, const std::string& part) {
  if (message.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << message << "\nhas no \"" << part << '"';
}

TEST(ImageBudget, UpToThreeHundredEntriesFit) {
  const auto image = to_image(compile(one_unit_mask_of(300), 0, 0));
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->count, 300u);
  EXPECT_TRUE(image->masked());
}

TEST(ImageBudget, OfMoreEventSelectsThanEntriesSaysHowManyMustGo) {
  const auto image = to_image(compile(one_unit_mask_of(302), 0, 0));
  ASSERT_FALSE(image.has_value());
  EXPECT_TRUE(has(image.error().message, "takes 302 entries, and 300 is the most"));
  // Allowing them whole takes an entry just as well.
  EXPECT_FALSE(has(image.error().message, "allowed whole"));
  EXPECT_TRUE(has(image.error().message, "fits once the 2 costliest are denied whole"));
}

/// 40 event selects of 8 single bits, 8 entries each, and one of all but these, 9: 329
/// (minimise_test).
SelectorSet too_many() {
  SelectorSet set{Vendor::kIntel};
  set.row(0x80).set();
  for (unsigned bit = 0; bit < 8; ++bit) {
    for (unsigned event = 0; event < 40; ++event) set.row(event).set(std::size_t{1} << bit);
    set.row(0x80).reset(std::size_t{1} << bit);
  }
  return set;
}

TEST(ImageBudget, OfTooManyEntriesSaysWhichCostMostAndWhatWouldBeSaved) {
  const auto image = to_image(compile(too_many(), 0, 0, {FilterAction::kAllow}));
  ASSERT_FALSE(image.has_value());
  const std::string& message = image.error().message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_TRUE(has(message, "takes 329 entries, and 300 is the most"));
  EXPECT_TRUE(has(
      message, "event select 0x80 (9 entries; allowing all unit masks saves 8, denying them 9)"));
  EXPECT_TRUE(
      has(message,
          "event selects 0x00, 0x01, 0x02, 0x03 (8 entries each; allowing all unit masks saves "
          "7, denying them 8)"));
  // 29 must be saved: 8 + 7 + 7 + 7 are, and 9 + 8 + 8 are not enough.
  EXPECT_TRUE(
      has(message, "the 4 costliest are allowed whole or the 4 costliest are denied whole"));
}

TEST(ImageBudget, OfTooManyEntriesThatDenySaysTheSameTheOtherWayRound) {
  SelectorSet allowed = too_many();
  allowed.invert();
  const auto image = to_image(compile(allowed, 0, 0, {FilterAction::kDeny}));
  ASSERT_FALSE(image.has_value());
  EXPECT_TRUE(
      has(image.error().message,
          "event select 0x80 (9 entries; allowing all unit masks saves 9, denying them 8)"));
}

}  // namespace
}  // namespace vpmu::policy
