// SPDX-License-Identifier: MIT
//
// What became of the counters of an arm64 guest and of its event filter, as counter_report.hpp and
// filter_report.hpp have it of a PC's.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "machine/arm64_board/machine.hpp"

namespace vpmu::cli {

/// Those that are not off, or have a value.
nlohmann::ordered_json counters(const machine::arm64::Vcpu& vcpu,
                                const silicon::arm64::CpuModel& model);
/// Those that are enabled and stand still, and if the filter did it, by which of its ranges.
nlohmann::ordered_json counters_not_counting(const machine::arm64::Vcpu& vcpu,
                                             const machine::arm64::Machine& machine);
/// Its filter and what that has denied; empty if it never had one.
nlohmann::ordered_json event_filters(const machine::arm64::Machine& machine);

/// A line for each vCPU and event that stood still at some time.
std::string counter_troubles(const machine::arm64::Machine& machine);

}  // namespace vpmu::cli
