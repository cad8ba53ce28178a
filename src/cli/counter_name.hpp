// SPDX-License-Identifier: MIT
//
// What reports call a counter: "pmc0", "fixed1".
#pragma once

#include <string>

#include "vpmu/virt/x86/counter_status.hpp"

namespace vpmu::cli {

constexpr bool is_fixed(virt::x86::CounterIndex counter) {
  return counter >= virt::x86::fixed_counter(0);
}
/// Number among those of its kind.
constexpr unsigned number_of(virt::x86::CounterIndex counter) {
  const auto first = is_fixed(counter) ? virt::x86::fixed_counter(0) : virt::x86::gp_counter(0);
  return static_cast<unsigned>(counter) - static_cast<unsigned>(first);
}
inline std::string counter_name(virt::x86::CounterIndex counter) {
  return (is_fixed(counter) ? "fixed" : "pmc") + std::to_string(number_of(counter));
}

}  // namespace vpmu::cli
