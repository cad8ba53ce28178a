// SPDX-License-Identifier: MIT
//
// The parts of a report that are about an arm64 machine, as pc_report.hpp has them of a PC.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/report_parts.hpp"
#include "machine/arm64_board/machine.hpp"

namespace vpmu::cli {

void add_guest_part(const machine::arm64::Machine& machine, nlohmann::ordered_json& report);
/// An element of `vcpus` for each, and the event filter.
void add_counts(const machine::arm64::Machine& machine, nlohmann::ordered_json& report);
/// How many instructions were executed in which way: a matter of the host's, and of where the run
/// was interrupted.
nlohmann::ordered_json execution_json(const machine::arm64::Machine& machine);
/// A line for people if much of it was executed in a slower way than it could have been; or
/// nothing.
std::string execution_remark(const machine::arm64::Machine& machine);
ExitsAndInterrupts exits_and_interrupts(const machine::arm64::Machine& machine);

}  // namespace vpmu::cli
