// SPDX-License-Identifier: MIT
//
// The CPU models, one per file in this folder.
#pragma once

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::silicon::x86 {

extern const CpuModel kHaswellServer;
extern const CpuModel kIcelakeServer;
extern const CpuModel kSapphireRapids;
extern const CpuModel kSkylakeServer;
extern const CpuModel kZen2;
extern const CpuModel kZen4;

}  // namespace vpmu::silicon::x86
