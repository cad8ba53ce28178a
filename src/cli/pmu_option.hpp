// SPDX-License-Identifier: MIT
//
// The value of --pmu: `on`, `off`, or KEY=VALUE,... out of what the CPU model's PMU has.
#pragma once

#include <string_view>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"

namespace vpmu::cli {

/// What --help says of it. Static storage.
extern const char* const kPmuOptionHelp;

/// KEY=VALUE,...
Result<virt::x86::PmuRequest> parse_pmu_request(std::string_view text);

/// The PMU that a guest gets. Errors name the option.
Result<virt::x86::PmuConfig> pmu_config(const silicon::x86::CpuModel& model, std::string_view text);

}  // namespace vpmu::cli
