// SPDX-License-Identifier: MIT
//
// The CPU models, one per file in this folder.
#pragma once

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::silicon::x86 {

extern const CpuModel kIcelakeServer;

}  // namespace vpmu::silicon::x86
