// SPDX-License-Identifier: MIT
//
// Where a signal has interrupted its thread.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace vpmu::hostperf {

/// Of what a handler with SA_SIGINFO got as its third argument; 0 on CPUs that are not known here.
inline std::uint64_t interrupted_ip(const void* context) {
  const mcontext_t& registers = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uint64_t>(registers.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return registers.pc;
#else
  static_cast<void>(registers);
  return 0;
#endif
}

}  // namespace vpmu::hostperf
