// SPDX-License-Identifier: MIT
//
// What this process has locked, and what it may lock.
#pragma once

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace vpmu::virt::memory {

/// A line of /proc/self/status, in bytes.
inline std::uint64_t status(const std::string& name) {
  std::ifstream file{"/proc/self/status"};
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1)) * 1024;
  }
  ADD_FAILURE() << "no " << name;
  return 0;
}
inline std::uint64_t locked_bytes() {
  return status("VmLck");
}

/// This process may lock so much, whoever it is, until the end of the scope. The hard limit stays.
class LockLimit {
 public:
  explicit LockLimit(std::uint64_t bytes) {
    getrlimit(RLIMIT_MEMLOCK, &before_);
    const rlimit now{bytes, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_MEMLOCK, &now), 0);
    syscall(SYS_capget, &header_, sets_.data());
    auto fewer = sets_;
    fewer[0].effective &= ~(1U << CAP_IPC_LOCK);
    EXPECT_EQ(syscall(SYS_capset, &header_, fewer.data()), 0);
  }
  ~LockLimit() {
    syscall(SYS_capset, &header_, sets_.data());
    setrlimit(RLIMIT_MEMLOCK, &before_);
  }
  LockLimit(const LockLimit&) = delete;
  LockLimit& operator=(const LockLimit&) = delete;

 private:
  rlimit before_{};
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets_{};
};

}  // namespace vpmu::virt::memory
