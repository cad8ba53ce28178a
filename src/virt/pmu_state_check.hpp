// SPDX-License-Identifier: MIT
//
// Whether a saved PMU fits the one that it is to be restored to, as text for the user.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "vpmu/base/result.hpp"
#include "vpmu/virt/counter_status.hpp"

namespace vpmu::virt {

/// With "0x".
std::string hex(std::uint64_t value);

/// Of a configuration: what was saved and what is here.
struct ConfigField {
  const char* name;
  std::uint64_t saved, here;
};
/// An error about the first field that differs.
Result<void> same_fields(std::span<const ConfigField> fields);

/// An error if `value`, of a register named `what`, has bits that are not `writable`.
Result<void> only(std::uint64_t writable, std::uint64_t value, const char* what);

/// States come from files: an enumeration can be anything.
constexpr bool is_status(CounterStatus status) {
  return status <= CounterStatus::kDenied;
}

}  // namespace vpmu::virt
