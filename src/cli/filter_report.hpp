// SPDX-License-Identifier: MIT
//
// The event filters that a guest had, and what they denied: for the report, and in words.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "machine/pc/pv_perf_log.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::cli {

/// One for each filter, in their order. Empty if there never was one.
nlohmann::ordered_json event_filters(const machine::Machine& machine);

/// Adds to `json` what in the filter made it say that: `entry` (null if it is none) and `reason`.
void add_verdict(const virt::x86::FilterVerdict& verdict, nlohmann::ordered_json& json);

/// "is denied by entry 3 of filter 'a.json'" of each filter that denied a vCPU's counter, all
/// different.
std::vector<std::string> denied_by(const machine::FilterLog& log, unsigned vcpu,
                                   const machine::CounterLog::Trouble& trouble,
                                   silicon::x86::Vendor vendor);
/// The same of an event of PV perf, of which filters are asked that question.
std::vector<std::string> pv_event_denied_by(const machine::FilterLog& log, unsigned vcpu,
                                            const virt::x86::PvPerf::HostEvent& event);

}  // namespace vpmu::cli
