// SPDX-License-Identifier: MIT
//
// Sets of counters: one bit each, at the place that CounterIndex says.
#pragma once

#include <bit>
#include <cstdint>

#include "vpmu/virt/counter_status.hpp"

namespace vpmu::virt {

constexpr std::uint64_t low_bits(unsigned count) {
  return count == 0 ? 0 : ~std::uint64_t{0} >> (64 - count);
}

constexpr std::uint64_t bit(CounterIndex index) {
  return std::uint64_t{1} << static_cast<unsigned>(index);
}

template <class Function>
void for_each(std::uint64_t counters, Function function) {
  for (; counters != 0; counters &= counters - 1) {
    function(static_cast<CounterIndex>(std::countr_zero(counters)));
  }
}

}  // namespace vpmu::virt
