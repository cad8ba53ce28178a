// SPDX-License-Identifier: MIT
//
// The AArch64 CPU models, one per file in this folder.
#pragma once

#include "vpmu/silicon/arm64/cpu_model.hpp"

namespace vpmu::silicon::arm64 {

/// PMSIDR_EL1: filters by event, type and latency; samples instructions at intervals of 1024 or
/// more with a random part behind them; counters of 12 bits, records of up to 64 bytes, data
/// sources.
inline constexpr std::uint64_t kPmsidr = 0x2'643f;
/// PMBIDR_EL1: records aligned to 64 bytes; manages the access flag.
inline constexpr std::uint64_t kPmbidr = 0x26;

extern const CpuModel kArmv8_5;
extern const CpuModel kCortexA72;
extern const CpuModel kNeoverseN1;
extern const CpuModel kNeoverseV1;

}  // namespace vpmu::silicon::arm64
