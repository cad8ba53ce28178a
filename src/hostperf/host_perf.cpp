// SPDX-License-Identifier: MIT
#include "vpmu/hostperf/host_perf.hpp"

namespace vpmu::hostperf {

const char* name(EventState state) {
  switch (state) {
    case EventState::kOff: return "off";
    case EventState::kInactive: return "inactive";
    case EventState::kActive: return "active";
    case EventState::kError: return "error";
  }
  return "?";
}

}  // namespace vpmu::hostperf
