// SPDX-License-Identifier: MIT
//
// Signals that end a run in good order: SIGINT (Ctrl-C), SIGTERM, SIGHUP, and SIGALRM for the time
// limit. The handler only stops the machine; the run then returns, and the report is written. A
// second SIGINT, should the machine not stop, ends the process at once.
#pragma once

#include <csignal>

namespace vpmu::machine {
class GuestMachine;
}

namespace vpmu::cli {

/// At most one at a time. While it lives, SIGPIPE is ignored: a closed console is an error of
/// write().
class Interruption {
 public:
  /// `machine` must outlive this. `seconds` 0: no time limit.
  Interruption(machine::GuestMachine& machine, double seconds);
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  /// The signal that ended the run; 0 if none did. SIGALRM: the time limit.
  [[nodiscard]] static int signal();
};

}  // namespace vpmu::cli
