// SPDX-License-Identifier: MIT
//
// Opening events from outside on all vCPUs of a machine, or on all of its host CPUs.
#pragma once

#include <cstddef>
#include <string>

#include "machine/guest_machine.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_perf.hpp"

namespace vpmu::machine {

/// On each vCPU and each host CPU at most so many events from outside at a time: what is left is
/// enough for a guest that uses all of its PMU.
inline constexpr std::size_t kMostEvents = hostperf::ModelledHostPerf::kEventsPerVcpu / 2;
static_assert(kMostEvents <= hostperf::ModelledHostPerf::kEventsPerHostCpu);
Result<void> check_number(std::size_t events);

/// An error names the event, what is wrong with it and what to do.
Result<hostperf::EventId> open_event(GuestMachine& machine, const std::string& name,
                                     const hostperf::EventAttr& attr, hostperf::Target target,
                                     hostperf::OverflowHandler& handler);

}  // namespace vpmu::machine
