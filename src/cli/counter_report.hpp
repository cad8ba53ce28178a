// SPDX-License-Identifier: MIT
//
// What became of the counters that the guest used: for the report, and the ones that stood still
// for people. A guest cannot see that the host did not count its event; its user should.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "machine/machine.hpp"

namespace vpmu::cli {

/// Counters that are on, or ever were: what they count, how that is going and since when.
nlohmann::ordered_json counters(const machine::Vcpu& vcpu, const silicon::x86::CpuModel& model);

/// Counters that are enabled at the end but do not do what the guest asked of them.
nlohmann::ordered_json counters_not_counting(const machine::Vcpu& vcpu,
                                             const machine::FilterLog& filters);

/// A line for each vCPU and event that stood still at some time, and each filter that denied it,
/// each ending with a newline.
std::string counter_troubles(const machine::Machine& machine);

}  // namespace vpmu::cli
