// SPDX-License-Identifier: MIT
//
// Sets of counters: one bit each, at its place in IA32_PERF_GLOBAL_CTRL.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "vpmu/virt/x86/counter_status.hpp"

namespace vpmu::virt::x86 {

constexpr std::uint64_t low_bits(unsigned count) {
  return count == 0 ? 0 : ~std::uint64_t{0} >> (64 - count);
}

constexpr std::uint64_t bit(CounterIndex index) {
  return std::uint64_t{1} << static_cast<unsigned>(index);
}

constexpr bool is_fixed(CounterIndex index) {
  return static_cast<unsigned>(index) >= silicon::x86::GlobalStatus::kFixed0;
}

/// Number among those of its kind.
constexpr unsigned place(CounterIndex index) {
  return is_fixed(index) ? static_cast<unsigned>(index) - silicon::x86::GlobalStatus::kFixed0
                         : static_cast<unsigned>(index);
}

template <class Function>
void for_each(std::uint64_t counters, Function function) {
  for (; counters != 0; counters &= counters - 1) {
    function(static_cast<CounterIndex>(std::countr_zero(counters)));
  }
}

/// The four bits of IA32_FIXED_CTR_CTRL that are fixed counter k's.
constexpr silicon::x86::FixedControl control_of(std::uint64_t fixed_control, unsigned k) {
  using silicon::x86::FixedControl;
  return {{fixed_control >> (FixedControl::kBits * k) & low_bits(FixedControl::kBits)}};
}

}  // namespace vpmu::virt::x86
