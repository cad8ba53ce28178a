// SPDX-License-Identifier: MIT
//
// The AArch64 CPU models, one per file in this folder.
#pragma once

#include "vpmu/silicon/arm64/cpu_model.hpp"

namespace vpmu::silicon::arm64 {

extern const CpuModel kArmv8_5;
extern const CpuModel kCortexA72;
extern const CpuModel kNeoverseN1;
extern const CpuModel kNeoverseV1;

}  // namespace vpmu::silicon::arm64
