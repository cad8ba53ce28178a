// SPDX-License-Identifier: MIT
//
// While it lives, the thread that made it is interrupted by a signal again and again.
#pragma once

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <ctime>

namespace vpmu::test {

class ThreadTimer {
 public:
  ThreadTimer(int signal, std::chrono::nanoseconds period) : signal_{signal} {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event._sigev_un._tid = gettid();
    ok_ = timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
    const timespec every{.tv_sec = 0, .tv_nsec = static_cast<long>(period.count())};
    const itimerspec times{.it_interval = every, .it_value = every};
    if (ok_) timer_settime(timer_, 0, &times, nullptr);
  }
  /// Nor does a signal come behind it.
  ~ThreadTimer() {
    sigset_t set;
    sigset_t before;
    sigemptyset(&set);
    sigaddset(&set, signal_);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    if (ok_) timer_delete(timer_);
    const timespec now{};
    while (sigtimedwait(&set, nullptr, &now) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ThreadTimer(const ThreadTimer&) = delete;
  ThreadTimer& operator=(const ThreadTimer&) = delete;
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  const int signal_;
  timer_t timer_{};
  bool ok_ = false;
};

}  // namespace vpmu::test
