// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "policy/compiler.hpp"

namespace vpmu::policy {
namespace {
using virt::x86::MaskedEvent;

constexpr std::uint64_t kBudget = CompileOptions{}.budget;

UnitMaskSet set_of(std::initializer_list<unsigned> unit_masks) {
  UnitMaskSet set;
  for (const unsigned u : unit_masks) set.set(u);
  return set;
}

/// As KVM decides: some include covers it, and no exclude.
UnitMaskSet said_by(const CompiledRow& row) {
  UnitMaskSet said;
  for (unsigned u = 0; u < 256; ++u) {
    const auto covers = [&](bool exclude) {
      return std::ranges::any_of(row.entries, [&](const MaskedEvent& entry) {
        return entry.exclude == exclude && entry.covers(static_cast<std::uint8_t>(u));
      });
    };
    said.set(u, covers(false) && !covers(true));
  }
  return said;
}

void expect_entries(const UnitMaskSet& wanted, std::size_t entries) {
  const CompiledRow row = minimise(0xd0, wanted, kBudget);
  EXPECT_EQ(said_by(row), wanted) << wanted;
  EXPECT_EQ(row.entries.size(), entries) << wanted;
  EXPECT_TRUE(row.minimal) << wanted;
}

TEST(Minimise, NothingTakesNoEntry) {
  expect_entries({}, 0);
}

TEST(Minimise, OneCubeTakesOneEntry) {
  expect_entries(UnitMaskSet{}.set(), 1);
  expect_entries(set_of({0x81}), 1);
  expect_entries(set_of({0x40, 0x42, 0x48, 0x4a}), 1);
}

TEST(Minimise, AllButOneTakeAnIncludeAndAnExclude) {
  // Not one: the number of points of a cube is a power of two.
  expect_entries(UnitMaskSet{}.set().reset(0x55), 2);
  expect_entries(set_of({0x81, 0x82, 0x83}), 2);
}

TEST(Minimise, SingleBitsTakeAnEntryEach) {
  // An include of s of them saves s - 1 includes. It covers 0 and the s (s - 1) / 2 unit masks of
  // two of these bits, and no exclude covers two of all those: the smallest cube of a|b and a|c
  // contains a, that of a|b and c|d or 0 contains a as well. So it costs at least s excludes more,
  // one of them (that of 0) shared with other such includes.
  UnitMaskSet wanted;
  for (unsigned bit = 0; bit < 8; ++bit) {
    wanted.set(1U << bit);
    expect_entries(wanted, bit + 1);
  }
}

TEST(Minimise, AllButSingleBitsTakeAnIncludeAndAnExcludeEach) {
  // All neighbours of a single bit are wanted, so that an exclude covers it alone. Let t of them
  // have none: no include covers those. Then 0 takes an include that has these t bits clear, and
  // each pair of them one that has both set, all different: 8 - t + 1 + t (t - 1) / 2 entries.
  // These are 9 for t = 0 and no fewer from t = 3 on, and 8 for t = 1 and t = 2; but there the unit
  // mask of such a bit and an excluded one takes another include, which has the latter bit set and
  // not both of a pair.
  UnitMaskSet wanted = UnitMaskSet{}.set();
  for (unsigned bit = 0; bit < 8; ++bit) wanted.reset(1U << bit);
  expect_entries(wanted, 9);
}

TEST(Minimise, ParityTakesAnEntryForEveryOtherPoint) {
  // Of three bits: no two of the four points are neighbours, nor are two of the other four. An
  // include of two of them covers two others, and each takes an exclude of its own.
  expect_entries(set_of({1, 2, 4, 7}), 4);
}

TEST(Minimise, MixesIncludesAndExcludes) {
  // Four includes, one for each value of bits 7:4, and in each the single bits of 3:0: of the first
  // two and of the last two, without their unit masks 0 and 3. Not more than 4 * 2 + 3.
  UnitMaskSet wanted;
  for (unsigned high = 0; high < 4; ++high) {
    for (unsigned low = 0; low < 4; ++low) wanted.set(0x10U << high | 1U << low);
  }
  const CompiledRow row = minimise(0, wanted, kBudget);
  EXPECT_EQ(said_by(row), wanted);
  EXPECT_LE(row.entries.size(), 11u);
  EXPECT_TRUE(row.minimal);
}

TEST(Minimise, BitsWithoutMeaningAreNotLookedAt) {
  UnitMaskSet wanted;
  for (unsigned u = 0; u < 256; ++u) wanted.set(u, (u & 0x11) == 0x10 || (u & 0x12) == 0x10);
  const CompiledRow row = minimise(0, wanted, kBudget);
  EXPECT_EQ(said_by(row), wanted);
  for (const MaskedEvent& entry : row.entries) EXPECT_EQ(entry.mask & ~0x13, 0);
}

TEST(Minimise, EntriesAreTheEventSelectsAndIncludesComeFirst) {
  const CompiledRow row = minimise(0x1c2, UnitMaskSet{}.set().reset(3).reset(0x80), kBudget);
  EXPECT_EQ(row.event, 0x1c2);
  for (const MaskedEvent& entry : row.entries) {
    EXPECT_EQ(entry.event, 0x1c2);
    EXPECT_FALSE(entry.is_dead());
  }
  EXPECT_TRUE(std::ranges::is_sorted(row.entries, {}, &MaskedEvent::exclude));
}

TEST(Minimise, SaysThatItIsTheBestFoundWhenTheBudgetEnds) {
  UnitMaskSet wanted;
  std::mt19937 random;  // NOLINT(cert-msc32-c,cert-msc51-cpp): always the same set
  for (unsigned u = 0; u < 256; ++u) wanted.set(u, (random() & 1) != 0);
  const CompiledRow row = minimise(0, wanted, 1'000);
  EXPECT_FALSE(row.minimal);
  EXPECT_EQ(said_by(row), wanted);
  EXPECT_LE(row.entries.size(), wanted.count());
  EXPECT_EQ(said_by(minimise(0, wanted, 0)), wanted);
}

TEST(Minimise, GivesTheSameForTheSame) {
  UnitMaskSet wanted;
  std::mt19937 random;  // NOLINT(cert-msc32-c,cert-msc51-cpp): always the same sets
  for (int set = 0; set < 10; ++set) {
    for (unsigned u = 0; u < 256; ++u) wanted.set(u, random() % 10 == 0);
    const CompiledRow once = minimise(0, wanted, 5'000);
    const CompiledRow again = minimise(0, wanted, 5'000);
    EXPECT_EQ(once.entries, again.entries);
    EXPECT_EQ(once.minimal, again.minimal);
  }
}

/// Fewest entries of every function of some bits, breadth first: a union of n + 1 cubes is one of n
/// with one more; what n entries say less a cube takes n + 1.
class AllMinima {
 public:
  using Function = std::uint32_t;  ///< bit p: has point p

  explicit AllMinima(unsigned bits) : minimum_(std::size_t{1} << (1U << bits), kNone) {
    for (unsigned mask = 0; mask < 1U << bits; ++mask) {
      for (unsigned match = 0; match < 1U << bits; ++match) {
        if ((match & ~mask) != 0) continue;
        Function cube = 0;
        for (unsigned p = 0; p < 1U << bits; ++p) cube |= Function{(p & mask) == match} << p;
        cubes_.push_back(cube);
      }
    }
    std::vector<std::vector<Function>> unions{{0}};
    minimum_[0] = 0;
    while (!unions.back().empty()) unions.push_back(one_more(unions.back(), unions.size(), false));
    for (std::size_t n = 0; n < unions.size() + cubes_.size(); ++n) {
      std::vector<Function> said;
      for (std::size_t f = 0; f < minimum_.size(); ++f) {
        if (minimum_[f] == n) said.push_back(static_cast<Function>(f));
      }
      one_more(said, n + 1, true);
    }
  }
  [[nodiscard]] std::size_t of(Function f) const { return minimum_[f]; }

 private:
  static constexpr std::size_t kNone = SIZE_MAX;

  std::vector<Function> one_more(const std::vector<Function>& before, std::size_t n, bool exclude) {
    std::vector<Function> found;
    for (const Function f : before) {
      for (const Function cube : cubes_) {
        const Function with = exclude ? f & ~cube : f | cube;
        if (minimum_[with] <= n) continue;
        minimum_[with] = n;
        found.push_back(with);
      }
    }
    return found;
  }

  std::vector<Function> cubes_;
  std::vector<std::size_t> minimum_;
};

/// The unit masks whose `bits` make up a point of the function, and whose other bits are `rest`; or
/// anything, where `free` has them.
UnitMaskSet embedded(AllMinima::Function f, const std::vector<unsigned>& bits, unsigned rest,
                     unsigned free) {
  unsigned used = 0;
  for (const unsigned bit : bits) used |= 1U << bit;
  UnitMaskSet set;
  for (unsigned u = 0; u < 256; ++u) {
    unsigned point = 0;
    for (std::size_t i = 0; i < bits.size(); ++i) point |= (u >> bits[i] & 1) << i;
    set.set(u, (f >> point & 1) != 0 && (u & ~used & ~free) == rest);
  }
  return set;
}

TEST(Minimise, AgreesWithBreadthFirstSearchOnAllFunctionsOfThreeBits) {
  const AllMinima minima{3};
  for (AllMinima::Function f = 0; f < 1U << 8; ++f) {
    expect_entries(embedded(f, {0, 1, 2}, 0, 0), minima.of(f));
    expect_entries(embedded(f, {6, 1, 3}, 0x80, 0), minima.of(f));
    expect_entries(embedded(f, {2, 4, 7}, 0, 0x6b), minima.of(f));
    expect_entries(embedded(f, {5, 3, 0}, 0x10, 0x42), minima.of(f));
  }
}

TEST(Minimise, AgreesWithBreadthFirstSearchOnAllFunctionsOfFourBits) {
  const AllMinima minima{4};
  for (AllMinima::Function f = 0; f < 1U << 16; ++f) {
    const CompiledRow row = minimise(0, embedded(f, {0, 2, 5, 7}, 0x08, 0x50), 4'000);
    ASSERT_TRUE(row.minimal) << f;
    ASSERT_EQ(row.entries.size(), minima.of(f)) << f;
  }
}

TEST(Minimise, NeverTakesMoreThanTheEntriesThatASetWasMadeOf) {
  std::mt19937 random;  // NOLINT(cert-msc32-c,cert-msc51-cpp): always the same sets
  const auto cube = [&](bool exclude) {
    const auto mask = static_cast<std::uint8_t>(random() & random());
    return MaskedEvent{0, mask, static_cast<std::uint8_t>(random() & mask), exclude};
  };
  for (int set = 0; set < 2'000; ++set) {
    CompiledRow made;
    const std::size_t includes = 1 + random() % 4;
    const std::size_t excludes = random() % 5;
    for (std::size_t i = 0; i < includes; ++i) made.entries.push_back(cube(false));
    for (std::size_t i = 0; i < excludes; ++i) made.entries.push_back(cube(true));
    const UnitMaskSet wanted = said_by(made);
    const CompiledRow row = minimise(0, wanted, kBudget);
    EXPECT_EQ(said_by(row), wanted);
    if (row.minimal) {
      EXPECT_LE(row.entries.size(), made.entries.size()) << wanted;
    }
  }
}

}  // namespace
}  // namespace vpmu::policy
