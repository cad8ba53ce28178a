// SPDX-License-Identifier: MIT
#include "hostperf/linux/perf_system.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace vpmu::hostperf {

int LinuxPerfSystem::open(const perf_event_attr& attr) {
  // The kernel writes the size it knows into the attr if it refuses ours.
  perf_event_attr copy = attr;
  const long descriptor = syscall(SYS_perf_event_open, &copy, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  return descriptor < 0 ? -errno : static_cast<int>(descriptor);
}

void LinuxPerfSystem::close(int descriptor) {
  ::close(descriptor);
}

}  // namespace vpmu::hostperf
