// SPDX-License-Identifier: MIT
//
// From probes to checks, area by area. Pure: the same probes give the same text.
#pragma once

#include "cli/doctor/check.hpp"
#include "cli/doctor/host.hpp"
#include "hostperf/linux/perf_probe.hpp"
#include "machine/kvm/kvm_probe.hpp"

namespace vpmu::cli::doctor {

/// What a small guest counted of itself with its own PMU.
struct SelfTest {
  std::string error;  ///< why it did not get that far; empty if it did
  std::uint64_t counted = 0;
  std::uint64_t expected = 0;
};
/// Runs it: needs a few MiB of memory, and nothing else.
SelfTest run_self_test();

/// machine.*: the guest, the host's CPU.
Checks machine_checks(const SelfTest& test, const HostFacts& facts);

/// kvm.*. `hardware`: what the perf probe of hardware events gave, to tell a vPMU that is switched
/// off from a host that has none to share.
Checks kvm_checks(const machine::kvm::KvmProbes& probes, const HostFacts& facts, const Host& host,
                  hostperf::PerfAnswer hardware);

/// perf.*.
Checks perf_checks(const hostperf::PerfProbes& probes, const HostFacts& facts, const Host& host);

/// limits.*.
Checks limit_checks(const HostFacts& facts, const Host& host);

/// tools.*: programs in PATH that people use with vpmu.
Checks tool_checks(const Host& host);

}  // namespace vpmu::cli::doctor
