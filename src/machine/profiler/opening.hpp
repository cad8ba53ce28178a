// SPDX-License-Identifier: MIT
//
// Opening events from outside on all vCPUs of a machine, or on all of its host CPUs.
#pragma once

#include <string>

#include "machine/machine.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_perf.hpp"

namespace vpmu::machine {

/// An error names the event, what is wrong with it and what to do.
Result<hostperf::EventId> open_event(Machine& machine, const std::string& name,
                                     const hostperf::EventAttr& attr, hostperf::Target target,
                                     hostperf::OverflowHandler& handler);

}  // namespace vpmu::machine
