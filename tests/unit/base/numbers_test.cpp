// SPDX-License-Identifier: MIT
#include "vpmu/base/numbers.hpp"

#include <type_traits>

#include <gtest/gtest.h>

namespace vpmu {
namespace {

TEST(Numbers, GiveTheirIntegerBack) {
  static_assert(std::is_same_v<decltype(raw(MsrIndex{0})), std::uint32_t>);
  static_assert(std::is_same_v<decltype(raw(Cycles{0})), std::uint64_t>);
  EXPECT_EQ(raw(MsrIndex{0xc0000080}), 0xc0000080u);
  EXPECT_EQ(raw(GuestPhysical{~0ULL}), ~0ULL);
}

TEST(Numbers, OfDifferentSpacesDoNotMix) {
  EXPECT_FALSE((std::is_convertible_v<GuestPhysical, GuestVirtual>));
  EXPECT_FALSE((std::is_convertible_v<std::uint64_t, GuestPhysical>));
  EXPECT_FALSE((std::is_convertible_v<Cycles, std::uint64_t>));
}

}  // namespace
}  // namespace vpmu
