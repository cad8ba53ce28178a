// SPDX-License-Identifier: MIT
//
// The terminal while a guest has it: keys reach the guest one by one and are not echoed, but Ctrl-C
// still interrupts. The terminal gets back what it had on every way out: at the end of the run, and
// when this process is killed by a signal that can be caught.
#pragma once

namespace vpmu::cli {

/// At most one at a time. Does nothing if standard input is not a terminal.
class TerminalMode {
 public:
  TerminalMode();
  ~TerminalMode();
  TerminalMode(const TerminalMode&) = delete;
  TerminalMode& operator=(const TerminalMode&) = delete;

  [[nodiscard]] bool active() const { return active_; }

 private:
  bool active_ = false;
};

/// Gives the terminal back what it had, now. Async-signal-safe; for those who leave without running
/// destructors.
void restore_terminal();

}  // namespace vpmu::cli
