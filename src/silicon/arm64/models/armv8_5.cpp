// SPDX-License-Identifier: MIT
//
// armv8.5: no real core, but the performance monitoring unit of Armv8.5 for guests that use it:
// event counters of 64 bits; and SPEv1p2. Its MIDR_EL1 is one of those that are left to software.
// Events are those of neoverse-v1; clocks and caches are round numbers.
#include "silicon/arm64/models/common_events.hpp"
#include "silicon/arm64/models/models.hpp"
#include "vpmu/silicon/arm64/pmu_registers.hpp"
#include "vpmu/silicon/arm64/spe_registers.hpp"

namespace vpmu::silicon::arm64 {
namespace {

constexpr auto kEvents = join(kOnEveryCore, kOnNeoverse, kOfArmv8_4, kOfSpe);

}  // namespace

const CpuModel kArmv8_5{
    .name = "armv8.5",
    .midr = 0x000f'8500,
    .hz = 2'000'000'000,
    .counter_hz = 1'000'000'000,
    .pmu = {.version = kPmuV3p5, .event_counters = 8},
    .events = kEvents,
    .memory =
        {.l1d = {256, 4}, .l2 = {1024, 8}, .llc = {16384, 16}, .dtlb = {1, 64}, .stlb = {256, 8}},
    .slots_per_cycle = 4,
    .spe = {.version = kSpeV1p2, .pmsidr = kPmsidr | Pmsidr::kFne.kMask, .pmbidr = kPmbidr},
};

}  // namespace vpmu::silicon::arm64
