// SPDX-License-Identifier: MIT
//
// What perf_event_open gives this process here: each kind of event that vpmu or its users need is
// opened once, disabled, and closed again. Nothing counts meanwhile.
//
// The kernel asks for permission before it looks for a PMU. So a refusal says nothing about what
// there is, and ENOENT says that permission is not the problem: PerfAnswer keeps the two apart.
#pragma once

#include <cstdint>

#include "hostperf/linux/perf_system.hpp"

namespace vpmu::hostperf {

/// What an errno of perf_event_open means.
enum class PerfAnswer : std::uint8_t {
  kWorks,
  kDenied,         ///< EACCES, EPERM: may not; whether it is there is not known
  kNoEvent,        ///< ENOENT: no PMU here counts that
  kNoFeature,      ///< EOPNOTSUPP, ENODEV, ENXIO: the PMU cannot do that
  kBusy,           ///< EBUSY: somebody has the PMU for himself
  kNoDescriptors,  ///< EMFILE, ENFILE
  kNoSyscall,      ///< ENOSYS
  kNotUnderstood,  ///< EINVAL, E2BIG: this kernel knows no such attribute
  kFailed,         ///< anything else
};

/// Of an errno; 0 is kWorks.
PerfAnswer perf_answer(int error);

/// The errno of each probe, 0 where it worked.
struct PerfProbes {
  int software = 0;         ///< task-clock, user code
  int kernel = 0;           ///< task-clock, kernel code too
  int cycles = 0;           ///< hardware, user code
  int instructions = 0;     ///< hardware, user code
  int raw = 0;              ///< by the CPU's own event code
  int branch_stack = 0;     ///< samples with the branches before them: LBR and its like
  int precise = 0;          ///< precise_ip 1
  unsigned precise_ip = 0;  ///< the highest that opens; 0 if `precise` is an error
};

PerfProbes probe_perf(PerfSystem& system);

}  // namespace vpmu::hostperf
