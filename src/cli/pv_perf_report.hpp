// SPDX-License-Identifier: MIT
//
// PV perf for the report, and in words: what the guest was offered, which events it has used and
// what they are on the host, and which of them did not count as it wanted.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "machine/machine.hpp"

namespace vpmu::cli {

/// The field `pv_perf`: what the guest is offered; null: nothing.
nlohmann::ordered_json pv_perf_offer(const machine::Machine& machine);
/// The field `pv_perf` of a vCPU that is offered it.
nlohmann::ordered_json pv_perf_of_vcpu(const machine::Vcpu& vcpu, const machine::Machine& machine);

/// Lines about what vCPUs did with it; empty if none used it.
std::string pv_perf_summary(const machine::Machine& machine);
/// Lines about events that stood still, one for each vCPU, event and reason.
std::string pv_perf_troubles(const machine::Machine& machine);

}  // namespace vpmu::cli
