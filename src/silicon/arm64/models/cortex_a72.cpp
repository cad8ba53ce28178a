// SPDX-License-Identifier: MIT
//
// cortex-a72: Arm Cortex-A72 r0p3 as in NXP's LX2160A at 2.0 GHz, with a generic counter of 25 MHz,
// 1 MiB of L2 and 8 MiB of platform cache. Its PMU is that of Armv8.0: event numbers of 10 bits.
#include "silicon/arm64/models/common_events.hpp"
#include "silicon/arm64/models/models.hpp"

namespace vpmu::silicon::arm64 {

const CpuModel kCortexA72{
    .name = "cortex-a72",
    .midr = 0x410f'd083,
    .hz = 2'000'000'000,
    .counter_hz = 25'000'000,
    .pmu = {.version = 1, .event_counters = 6},
    .events = kOnEveryCore,
    .memory =
        {.l1d = {256, 2}, .l2 = {1024, 16}, .llc = {8192, 16}, .dtlb = {1, 32}, .stlb = {256, 4}},
    .slots_per_cycle = 3,
};

}  // namespace vpmu::silicon::arm64
