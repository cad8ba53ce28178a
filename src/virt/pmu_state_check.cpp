// SPDX-License-Identifier: MIT
#include "virt/pmu_state_check.hpp"

#include <charconv>

namespace vpmu::virt {

std::string hex(std::uint64_t value) {
  char text[16];
  const auto end = std::to_chars(text, text + sizeof text, value, 16).ptr;
  return "0x" + std::string(text, end);
}

Result<void> same_fields(std::span<const ConfigField> fields) {
  for (const ConfigField& field : fields) {
    if (field.saved == field.here) continue;
    return fail(std::string{"PMU state: saved with "} + field.name + " " +
                std::to_string(field.saved) + ", this PMU has " + std::to_string(field.here));
  }
  return {};
}

Result<void> only(std::uint64_t writable, std::uint64_t value, const char* what) {
  if ((value & ~writable) == 0) return {};
  return fail(std::string{"PMU state: "} + what + " is " + hex(value) + ", of which bits " +
              hex(value & ~writable) + " cannot be set");
}

}  // namespace vpmu::virt
