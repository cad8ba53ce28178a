// SPDX-License-Identifier: MIT
//
// Vectors as arrays of lanes, and the functors that lift a function of one lane to vectors. All of
// it is plain integer code: the compiler makes vector instructions of the loops where it can, and
// the result does not depend on which ones the host has.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "machine/x86/ops_sse_operands.hpp"

namespace vpmu::machine::x86 {

template <class T, class V>
using Lanes = std::array<T, sizeof(V) / sizeof(T)>;

template <class T, class V>
[[gnu::always_inline]] inline Lanes<T, V> lanes(const V& vector) {
  return std::bit_cast<Lanes<T, V>>(vector);
}

template <class V, class T>
[[gnu::always_inline]] inline V vector(const std::array<T, sizeof(V) / sizeof(T)>& from) {
  return std::bit_cast<V>(from);
}

/// kF(a[i], b[i]) in each lane.
template <class T, T (*kF)(T, T)>
struct Each {
  template <class V>
  static V run(const V& a, const V& b) {
    auto x = lanes<T>(a);
    const auto y = lanes<T>(b);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = kF(x[i], y[i]);
    return vector<V>(x);
  }
};

/// kF(b[i]) in each lane.
template <class T, T (*kF)(T)>
struct EachSource {
  template <class V>
  static V run(const V&, const V& b) {
    auto y = lanes<T>(b);
    for (T& lane : y) lane = kF(lane);
    return vector<V>(y);
  }
};

/// kF(x[2i], x[2i + 1]) of a in the lower half of the result, of b in the upper.
template <class T, T (*kF)(T, T)>
struct Horizontal {
  template <class V>
  static V run(const V& a, const V& b) {
    const auto x = lanes<T>(a), y = lanes<T>(b);
    Lanes<T, V> r;
    constexpr std::size_t kHalf = r.size() / 2;
    for (std::size_t i = 0; i < kHalf; ++i) {
      r[i] = kF(x[2 * i], x[2 * i + 1]);
      r[kHalf + i] = kF(y[2 * i], y[2 * i + 1]);
    }
    return vector<V>(r);
  }
};

/// Next wider type of the same signedness.
template <class T>
using Wider = std::conditional_t<
    std::is_signed_v<T>,
    std::conditional_t<sizeof(T) == 1, std::int16_t,
                       std::conditional_t<sizeof(T) == 2, std::int32_t, std::int64_t>>,
    std::conditional_t<sizeof(T) == 1, std::uint16_t,
                       std::conditional_t<sizeof(T) == 2, std::uint32_t, std::uint64_t>>>;

/// `value` limited to what T holds.
template <class T, class From>
constexpr T saturate(From value) {
  constexpr From kLow = std::numeric_limits<T>::min(), kHigh = std::numeric_limits<T>::max();
  return static_cast<T>(value < kLow ? kLow : value > kHigh ? kHigh : value);
}

}  // namespace vpmu::machine::x86
