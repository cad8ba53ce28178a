// SPDX-License-Identifier: MIT
#include "cli/terminal.hpp"

#include <termios.h>
#include <unistd.h>
#include <csignal>

namespace vpmu::cli {

namespace {
// What a signal handler needs must be global. Written before the handlers are installed.
termios g_before;
volatile sig_atomic_t g_changed = 0;

constexpr int kFatalSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT};

void restore_and_die(int signal) {
  restore_terminal();
  // SA_RESETHAND: this time the signal does what it does to a process that does not catch it.
  raise(signal);
}
}  // namespace

void restore_terminal() {
  if (g_changed == 0) return;
  g_changed = 0;
  // A process in the background would be stopped for this, and it is not its terminal then.
  if (tcgetpgrp(STDIN_FILENO) == getpgrp()) tcsetattr(STDIN_FILENO, TCSANOW, &g_before);
}

TerminalMode::TerminalMode() {
  if (isatty(STDIN_FILENO) == 0 || tcgetpgrp(STDIN_FILENO) != getpgrp()) return;
  if (tcgetattr(STDIN_FILENO, &g_before) != 0) return;
  termios mode = g_before;
  mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  mode.c_iflag &= ~static_cast<tcflag_t>(ICRNL | IXON);
  mode.c_cc[VMIN] = 1;
  mode.c_cc[VTIME] = 0;
  struct sigaction action {};
  action.sa_handler = restore_and_die;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : kFatalSignals) sigaction(signal, &action, nullptr);
  g_changed = 1;
  active_ = tcsetattr(STDIN_FILENO, TCSANOW, &mode) == 0;
  if (!active_) g_changed = 0;
}

TerminalMode::~TerminalMode() {
  restore_terminal();
}

}  // namespace vpmu::cli
