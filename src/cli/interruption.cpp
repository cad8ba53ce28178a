// SPDX-License-Identifier: MIT
#include "cli/interruption.hpp"

#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cmath>

#include "cli/terminal.hpp"
#include "machine/guest_machine.hpp"

namespace vpmu::cli {

namespace {
std::atomic<machine::GuestMachine*> g_machine{nullptr};
std::atomic<int> g_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

void stop_machine(int signal) {
  int none = 0;
  const bool first = g_signal.compare_exchange_strong(none, signal);
  if (!first && signal == SIGINT && none == SIGINT) {
    restore_terminal();
    _exit(128 + SIGINT);
  }
  machine::GuestMachine* machine = g_machine.load();
  if (machine != nullptr) machine->stop();
}

void install(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM};
}  // namespace

Interruption::Interruption(machine::GuestMachine& machine, double seconds) {
  g_signal = 0;
  g_machine = &machine;
  for (const int signal : kSignals) install(signal, stop_machine);
  install(SIGPIPE, SIG_IGN);
  if (seconds > 0) {
    itimerval limit{};
    limit.it_value.tv_sec = static_cast<time_t>(seconds);
    limit.it_value.tv_usec = static_cast<suseconds_t>((seconds - std::floor(seconds)) * 1e6);
    if (limit.it_value.tv_sec == 0 && limit.it_value.tv_usec == 0) limit.it_value.tv_usec = 1;
    // Again and again, should the first one hit a moment at which nothing runs.
    limit.it_interval.tv_usec = 100'000;
    setitimer(ITIMER_REAL, &limit, nullptr);
  }
}

Interruption::~Interruption() {
  const itimerval none{};
  setitimer(ITIMER_REAL, &none, nullptr);
  for (const int signal : kSignals) install(signal, SIG_DFL);
  install(SIGPIPE, SIG_DFL);
  g_machine = nullptr;
}

int Interruption::signal() {
  return g_signal;
}

}  // namespace vpmu::cli
