// SPDX-License-Identifier: MIT
//
// The parts of a report that are about a PC: its PMU, PV perf, last branch records, event filters.
#pragma once

#include <nlohmann/json.hpp>

#include "cli/report_parts.hpp"
#include "machine/machine.hpp"

namespace vpmu::cli {

/// How it was started, and what it was offered.
void add_guest_part(const machine::Machine& machine, nlohmann::ordered_json& report);
/// An element of `vcpus` for each, and the event filters.
void add_counts(const machine::Machine& machine, nlohmann::ordered_json& report);
/// What the host had to do for it.
void add_host_part(const machine::Machine& machine, nlohmann::ordered_json& report);
ExitsAndInterrupts exits_and_interrupts(const machine::Machine& machine);

}  // namespace vpmu::cli
