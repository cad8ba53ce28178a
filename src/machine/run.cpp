// SPDX-License-Identifier: MIT
#include "machine/run.hpp"

namespace vpmu::machine {

const char* name(Outcome::Reason reason) {
  switch (reason) {
    case Outcome::Reason::kDebugExit: return "debug-exit";
    case Outcome::Reason::kPowerOff: return "power-off";
    case Outcome::Reason::kReset: return "reset";
    case Outcome::Reason::kCrash: return "crash";
    case Outcome::Reason::kRefused: return "entry-refused";
    case Outcome::Reason::kInstructions: return "instruction-limit";
    case Outcome::Reason::kHalted: return "halted";
    case Outcome::Reason::kStopped: return "stopped";
    case Outcome::Reason::kPaused: return "paused";
  }
  return "?";
}

}  // namespace vpmu::machine
