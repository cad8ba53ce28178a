// SPDX-License-Identifier: MIT
//
// neoverse-v1: Arm Neoverse V1 r1p1 at 2.6 GHz, with a generic counter of 100 MHz, 1 MiB of L2 per
// core and 32 MiB of system-level cache.
#include "silicon/arm64/models/common_events.hpp"
#include "silicon/arm64/models/models.hpp"

namespace vpmu::silicon::arm64 {
namespace {

constexpr auto kEvents = join(kOnEveryCore, kOnNeoverse, kOfArmv8_4, kOfSpe);

}  // namespace

const CpuModel kNeoverseV1{
    .name = "neoverse-v1",
    .midr = 0x411f'd401,
    .hz = 2'600'000'000,
    .counter_hz = 100'000'000,
    .pmu = {.version = 5, .event_counters = 6},
    .events = kEvents,
    .memory =
        {.l1d = {256, 4}, .l2 = {2048, 8}, .llc = {32768, 16}, .dtlb = {1, 40}, .stlb = {512, 4}},
    .slots_per_cycle = 8,
    .spe = {.version = kSpeV1p1, .pmsidr = kPmsidr, .pmbidr = kPmbidr},
};

}  // namespace vpmu::silicon::arm64
