// SPDX-License-Identifier: MIT
#include "vpmu/silicon/raw_event.hpp"

namespace vpmu::silicon {

const char* name(RawEvent event) {
  static constexpr const char* kNames[kNamedRawEventCount] = {
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
      "memory-accesses",
      "read-modify-writes",
      "slots",
      "backend-bound-slots",
      "l1d-misses",
      "l1d-load-misses",
      "llc-references",
      "llc-misses",
      "dtlb-misses",
      "dtlb-load-walks",
      "dtlb-store-walks",
      "dtlb-walks",
      "exceptions",
      "interrupts",
      "exception-returns",
      "sample-population",
      "samples",
      "kept-samples",
      "sample-collisions",
  };
  const auto index = static_cast<std::size_t>(event);
  return index < kNamedRawEventCount ? kNames[index] : "condition";
}

}  // namespace vpmu::silicon
