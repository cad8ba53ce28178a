// SPDX-License-Identifier: MIT
//
// A run of a guest, whatever its machine: how far it may go, and how it ended.
#pragma once

#include <cstdint>

namespace vpmu::machine {

/// How a run ended.
struct Outcome {
  enum class Reason : std::uint8_t {
    kDebugExit,  ///< wrote the debug-exit device; `value` is what it wrote
    kPowerOff,
    kReset,
    kCrash,         ///< vCPU `value` cannot go on: a triple fault, an exception that has no vector
    kRefused,       ///< vCPU `value` cannot run on its host CPU, or not now
    kInstructions,  ///< the limit was reached
    kHalted,        ///< all vCPUs are halted, and nothing can wake one any more
    kStopped,       ///< stop()
    kPaused,        ///< RunLimits::pause_at was reached
  };
  Reason reason = Reason::kStopped;
  std::uint32_t value = 0;
};

/// The name that reports use, e.g. "debug-exit". Never null.
const char* name(Outcome::Reason reason);

struct RunLimits {
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::uint64_t instructions = kNone;  ///< of all vCPUs together, exact
  /// Return when all vCPUs together have retired this many, exact. Whatever ends run(), the next
  /// call goes on as if there had been no pause; so does a machine restored from what save() gave.
  std::uint64_t pause_at = kNone;
};

}  // namespace vpmu::machine
