// SPDX-License-Identifier: MIT
#include "vpmu/virt/counter_status.hpp"

namespace vpmu::virt {

const char* name(CounterStatus status) {
  switch (status) {
    case CounterStatus::kOff: return "off";
    case CounterStatus::kCounting: return "counting";
    case CounterStatus::kUnsupportedEvent: return "unsupported event";
    case CounterStatus::kStarved: return "starved";
    case CounterStatus::kDenied: return "denied";
  }
  return "?";
}

}  // namespace vpmu::virt
