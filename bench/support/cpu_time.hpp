// SPDX-License-Identifier: MIT
#pragma once

#include <ctime>

namespace vpmu::bench {

/// Of this thread, user and system.
inline double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace vpmu::bench
