// SPDX-License-Identifier: MIT
//
// Sets of an x86 PMU's counters: one bit each, at its place in IA32_PERF_GLOBAL_CTRL.
#pragma once

#include <cstdint>

#include "virt/counter_sets.hpp"
#include "vpmu/virt/x86/counter_status.hpp"

namespace vpmu::virt::x86 {

using virt::bit;
using virt::for_each;
using virt::low_bits;

constexpr bool is_fixed(CounterIndex index) {
  return static_cast<unsigned>(index) >= silicon::x86::GlobalStatus::kFixed0;
}

/// Number among those of its kind.
constexpr unsigned place(CounterIndex index) {
  return is_fixed(index) ? static_cast<unsigned>(index) - silicon::x86::GlobalStatus::kFixed0
                         : static_cast<unsigned>(index);
}

/// The four bits of IA32_FIXED_CTR_CTRL that are fixed counter k's.
constexpr silicon::x86::FixedControl control_of(std::uint64_t fixed_control, unsigned k) {
  using silicon::x86::FixedControl;
  return {{fixed_control >> (FixedControl::kBits * k) & low_bits(FixedControl::kBits)}};
}

}  // namespace vpmu::virt::x86
