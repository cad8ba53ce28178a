// SPDX-License-Identifier: MIT
//
// Sets of PV perf's events: bit i is event i.
#pragma once

#include <bit>
#include <cstdint>

namespace vpmu::virt::x86 {

constexpr std::uint32_t event_bit(unsigned i) {
  return std::uint32_t{1} << i;
}

/// The lowest first.
template <class Function>
void for_each_event(std::uint32_t events, Function function) {
  for (; events != 0; events &= events - 1) {
    function(static_cast<unsigned>(std::countr_zero(events)));
  }
}

}  // namespace vpmu::virt::x86
