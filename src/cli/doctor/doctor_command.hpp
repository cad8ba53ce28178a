// SPDX-License-Identifier: MIT
//
// `vpmu doctor`: what this machine has of what vpmu can use, and what to do about the rest.
#pragma once

#include "cli/doctor/checks.hpp"

namespace vpmu::cli::doctor {

inline constexpr int kStatusBroken = 1;  ///< guests do not run here

/// All checks, in the order of the report.
Checks examine(const Host& host, hostperf::PerfSystem& perf, machine::kvm::KvmSystem& kvm);

/// Examines this machine and prints. 0 if guests run here, whatever else is missing.
int run_doctor(bool as_json);

}  // namespace vpmu::cli::doctor
