// SPDX-License-Identifier: MIT
#include "cli/exit_status.hpp"

#include <csignal>

namespace vpmu::cli {

int exit_status(const machine::Outcome& outcome, int signal) {
  using Reason = machine::Outcome::Reason;
  switch (outcome.reason) {
    case Reason::kDebugExit: return static_cast<int>((outcome.value << 1 | 1) & 0xff);
    case Reason::kPowerOff:
    case Reason::kReset: return 0;
    case Reason::kCrash:
    case Reason::kRefused: return kStatusCrash;
    case Reason::kInstructions:
    case Reason::kHalted: return kStatusBudget;
    case Reason::kStopped:
    case Reason::kPaused: break;
  }
  return signal == SIGALRM || signal == 0 ? kStatusBudget : 128 + signal;
}

}  // namespace vpmu::cli
