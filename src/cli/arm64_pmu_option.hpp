// SPDX-License-Identifier: MIT
//
// `--pmu` of an arm64 guest: on, off, or KEY=VALUE,... of version and counters.
#pragma once

#include <string_view>

#include "vpmu/base/result.hpp"
#include "vpmu/virt/arm64/pmu_config.hpp"

namespace vpmu::cli {

/// The error names the option, the key and the remedy.
Result<virt::arm64::PmuConfig> arm64_pmu_config(const silicon::arm64::CpuModel& model,
                                                std::string_view text);

}  // namespace vpmu::cli
