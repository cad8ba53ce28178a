// SPDX-License-Identifier: MIT
//
// Sets of unit masks seen as points of the eight-dimensional cube, in four words: what the search
// for the fewest entries computes with.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "policy/selector_set.hpp"

namespace vpmu::policy {

using Point = std::uint8_t;

class PointSet {
 public:
  static constexpr std::size_t kWords = 4;

  constexpr PointSet() = default;
  explicit PointSet(const UnitMaskSet& set) {
    for (std::size_t i = 0; i < set.size(); ++i) {
      if (set.test(i)) insert(static_cast<Point>(i));
    }
  }
  static constexpr PointSet all() { return ~PointSet{}; }
  /// All points with bit `bit` set.
  static constexpr PointSet with_bit(unsigned bit) {
    PointSet set;
    for (std::size_t i = 0; i < kWords; ++i) {
      set.words_[i] = bit < 6 ? kWithBit[bit] : (i >> (bit - 6) & 1) != 0 ? ~std::uint64_t{0} : 0;
    }
    return set;
  }

  constexpr void insert(Point p) { words_[p / 64] |= std::uint64_t{1} << (p % 64); }
  constexpr void erase(Point p) { words_[p / 64] &= ~(std::uint64_t{1} << (p % 64)); }
  [[nodiscard]] constexpr bool contains(Point p) const {
    return (words_[p / 64] >> (p % 64) & 1) != 0;
  }
  [[nodiscard]] constexpr bool empty() const {
    return (words_[0] | words_[1] | words_[2] | words_[3]) == 0;
  }
  [[nodiscard]] constexpr unsigned size() const {
    unsigned n = 0;
    for (const std::uint64_t word : words_) n += static_cast<unsigned>(std::popcount(word));
    return n;
  }
  [[nodiscard]] constexpr bool within(const PointSet& other) const {
    return (*this - other).empty();
  }
  [[nodiscard]] constexpr bool meets(const PointSet& other) const {
    return !(*this & other).empty();
  }
  /// The lowest point. Not of an empty set.
  [[nodiscard]] constexpr Point first() const {
    std::size_t i = 0;
    while (words_[i] == 0) ++i;
    return static_cast<Point>(64 * i + static_cast<std::size_t>(std::countr_zero(words_[i])));
  }
  /// Each point moved to the other side in direction `bit`.
  [[nodiscard]] constexpr PointSet flipped(unsigned bit) const {
    PointSet to;
    if (bit < 6) {
      for (std::size_t i = 0; i < kWords; ++i) {
        to.words_[i] = (words_[i] & kWithBit[bit]) >> (1U << bit) | (words_[i] & ~kWithBit[bit])
                                                                        << (1U << bit);
      }
    } else {
      for (std::size_t i = 0; i < kWords; ++i) to.words_[i] = words_[i ^ (1U << (bit - 6))];
    }
    return to;
  }

  /// Calls `f` with each point, from the lowest.
  template <class F>
  constexpr void for_each(F&& f) const {
    for (std::size_t i = 0; i < kWords; ++i) {
      for (std::uint64_t rest = words_[i]; rest != 0; rest &= rest - 1) {
        f(static_cast<Point>(64 * i + static_cast<std::size_t>(std::countr_zero(rest))));
      }
    }
  }

  constexpr PointSet& operator|=(const PointSet& o) {
    for (std::size_t i = 0; i < kWords; ++i) words_[i] |= o.words_[i];
    return *this;
  }
  constexpr PointSet& operator&=(const PointSet& o) {
    for (std::size_t i = 0; i < kWords; ++i) words_[i] &= o.words_[i];
    return *this;
  }
  constexpr PointSet& operator-=(const PointSet& o) {
    for (std::size_t i = 0; i < kWords; ++i) words_[i] &= ~o.words_[i];
    return *this;
  }
  friend constexpr PointSet operator|(PointSet a, const PointSet& b) { return a |= b; }
  friend constexpr PointSet operator&(PointSet a, const PointSet& b) { return a &= b; }
  friend constexpr PointSet operator-(PointSet a, const PointSet& b) { return a -= b; }
  friend constexpr PointSet operator~(PointSet a) {
    for (std::uint64_t& word : a.words_) word = ~word;
    return a;
  }
  friend constexpr bool operator==(const PointSet&, const PointSet&) = default;

 private:
  /// In a set of the numbers 0 to 63: those with bit n set.
  static constexpr std::array<std::uint64_t, 6> kWithBit = {
      0xaaaa'aaaa'aaaa'aaaa, 0xcccc'cccc'cccc'cccc, 0xf0f0'f0f0'f0f0'f0f0,
      0xff00'ff00'ff00'ff00, 0xffff'0000'ffff'0000, 0xffff'ffff'0000'0000};

  std::array<std::uint64_t, kWords> words_{};
};

}  // namespace vpmu::policy
