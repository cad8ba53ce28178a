// SPDX-License-Identifier: MIT
#include "vpmu/silicon/raw_event.hpp"

namespace vpmu::silicon {

const char* name(RawEvent event) {
  static constexpr const char* kNames[kRawEventCount] = {
      "instructions",
      "cycles",
      "ref-cycles",
      "branches",
      "conditional-branches",
      "taken-branches",
      "indirect-branches",
      "calls",
      "returns",
      "mispredicted-branches",
      "loads",
      "stores",
  };
  return kNames[static_cast<std::size_t>(event)];
}

}  // namespace vpmu::silicon
