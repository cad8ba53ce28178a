// SPDX-License-Identifier: MIT
//
// An x86 guest's counters by number: see virt/counter_status.hpp.
#pragma once

#include "vpmu/silicon/x86/pmu_registers.hpp"
#include "vpmu/virt/counter_status.hpp"

namespace vpmu::virt::x86 {

using virt::CounterIndex;
using virt::CounterObserver;
using virt::CounterStatus;

constexpr CounterIndex gp_counter(unsigned i) {
  return static_cast<CounterIndex>(i);
}
constexpr CounterIndex fixed_counter(unsigned k) {
  return static_cast<CounterIndex>(silicon::x86::GlobalStatus::kFixed0 + k);
}

}  // namespace vpmu::virt::x86
