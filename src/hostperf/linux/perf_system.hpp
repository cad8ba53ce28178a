// SPDX-License-Identifier: MIT
//
// The one system call that Linux perf is reached by, behind an interface, so that whoever uses it
// can be tested without a kernel that agrees.
#pragma once

#include <linux/perf_event.h>

namespace vpmu::hostperf {

class PerfSystem {
 public:
  /// perf_event_open(2) for the calling thread on any CPU: a descriptor, or minus the errno.
  virtual int open(const perf_event_attr& attr) = 0;
  virtual void close(int descriptor) = 0;

 protected:
  ~PerfSystem() = default;
};

/// The running kernel's.
class LinuxPerfSystem final : public PerfSystem {
 public:
  int open(const perf_event_attr& attr) override;
  void close(int descriptor) override;
};

}  // namespace vpmu::hostperf
