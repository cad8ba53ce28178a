// SPDX-License-Identifier: MIT
//
// `vpmu cpu list` and `vpmu cpu show MODEL`.
#pragma once

#include <string>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::cli {

/// The model of that name; the error lists those there are.
Result<const silicon::x86::CpuModel*> cpu_model(const std::string& name);

/// One line per model.
std::string list_cpus();
/// Identity, PMU and events of a model, for people.
std::string show_cpu(const silicon::x86::CpuModel& model);

}  // namespace vpmu::cli
