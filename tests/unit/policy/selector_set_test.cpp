// SPDX-License-Identifier: MIT
#include "policy/selector_set.hpp"

#include <gtest/gtest.h>

namespace vpmu::policy {
namespace {
using silicon::x86::Vendor;

TEST(SelectorSet, HasWhatWasInserted) {
  SelectorSet set{Vendor::kIntel};
  set.insert({0xd0, 0x81});
  EXPECT_TRUE(set.contains({0xd0, 0x81}));
  EXPECT_FALSE(set.contains({0xd0, 0x82}));
  EXPECT_FALSE(set.contains({0xd1, 0x81}));
  set.erase({0xd0, 0x81});
  EXPECT_EQ(set.size(), 0u);
}

TEST(SelectorSet, TellsTwelveBitsOfEventSelectApartOnAmd) {
  EXPECT_EQ(SelectorSet{Vendor::kIntel}.events(), 256u);
  SelectorSet set{Vendor::kAmd};
  EXPECT_EQ(set.events(), 4096u);
  set.insert({0x1c2, 0});
  EXPECT_FALSE(set.contains({0x0c2, 0}));
}

TEST(SelectorSet, UnionDifferenceAndComplementAreThoseOfSets) {
  SelectorSet a{Vendor::kIntel};
  SelectorSet b{Vendor::kIntel};
  a.insert({1, 2});
  b.insert({1, 2});
  b.insert({3, 4});
  SelectorSet both = a;
  both |= b;
  EXPECT_EQ(both, b);
  both -= a;
  EXPECT_EQ(both.size(), 1u);
  EXPECT_TRUE(both.contains({3, 4}));
  both.invert();
  EXPECT_EQ(both.size(), 0x10000u - 1);
  EXPECT_FALSE(both.contains({3, 4}));
}

}  // namespace
}  // namespace vpmu::policy
