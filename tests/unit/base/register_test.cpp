// SPDX-License-Identifier: MIT
#include "vpmu/base/register.hpp"

#include <gtest/gtest.h>

namespace vpmu {
namespace {

struct Sample : Register<std::uint64_t> {
  static constexpr Field<0> kLowest{};
  static constexpr Field<15, 8> kByte{};
  static constexpr Field<63> kHighest{};
};
using Whole = Field<63, 0>;

static_assert(Field<15, 8>::kMask == 0xff00);
static_assert(Field<0>::kMask == 1);
static_assert(Field<63>::kMask == 1ULL << 63);
static_assert(Whole::kMask == ~0ULL);
static_assert(mask_of() == 0);
static_assert(mask_of(Sample::kLowest, Sample::kByte, Sample::kHighest) == 0x8000'0000'0000'ff01);
static_assert(disjoint(Sample::kLowest, Sample::kByte, Sample::kHighest));
static_assert(!disjoint(Field<8, 4>{}, Field<12, 8>{}));

TEST(Register, GetsAFieldWithoutItsNeighbours) {
  const Sample sample{{0x8000'0000'0000'5a01}};
  EXPECT_EQ(sample.get(Sample::kLowest), 1u);
  EXPECT_EQ(sample.get(Sample::kByte), 0x5au);
  EXPECT_EQ(sample.get(Sample::kHighest), 1u);
  EXPECT_EQ(sample.get(Whole{}), sample.raw);
}

TEST(Register, SetsAFieldAndKeepsItsNeighbours) {
  Sample sample{{~0ULL}};
  sample.set(Sample::kByte, 0x12);
  EXPECT_EQ(sample.raw, 0xffff'ffff'ffff'12ffULL);
  sample.set(Sample::kHighest, 0);
  EXPECT_EQ(sample.raw, 0x7fff'ffff'ffff'12ffULL);
}

TEST(Register, DropsBitsThatDoNotFitTheField) {
  Sample sample;
  sample.set(Sample::kByte, 0xfff);
  EXPECT_EQ(sample.raw, 0xff00u);
  sample.set(Sample::kLowest, 2);
  EXPECT_EQ(sample.raw, 0xff00u);
}

TEST(Register, OfThirtyTwoBitsStaysThirtyTwoBits) {
  struct Narrow : Register<std::uint32_t> {};
  Narrow narrow{{0xffff'ffff}};
  narrow.set(Field<31, 16>{}, 0);
  EXPECT_EQ(narrow.raw, 0xffffu);
}

}  // namespace
}  // namespace vpmu
