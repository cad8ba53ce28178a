// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::cli {

/// As the Arm ARM spells it, of the registers of PMU, GIC and generic timer; "S3_0_C1_C0_1" of all
/// others.
std::string register_name(silicon::arm64::SystemRegister reg);

}  // namespace vpmu::cli
