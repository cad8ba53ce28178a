// SPDX-License-Identifier: MIT
//
// `vpmu cpu list` and `vpmu cpu show MODEL [--events]`: text for a terminal of 100 columns.
#pragma once

#include <string>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::cli {

/// The model of that name; the error lists those there are.
Result<const silicon::x86::CpuModel*> cpu_model(const std::string& name);

/// A table with one line per model, under a line of headings.
std::string list_cpus();
/// Identity, PMU, memory hierarchy of a model.
std::string show_cpu(const silicon::x86::CpuModel& model);
/// Its events: two lines each, or three where the name is long; what is below an event is indented.
std::string show_events(const silicon::x86::CpuModel& model);

}  // namespace vpmu::cli
