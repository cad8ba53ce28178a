// SPDX-License-Identifier: MIT
//
// neoverse-n1: Arm Neoverse N1 r3p1 as in Ampere Altra at 3.0 GHz, with a generic counter of
// 25 MHz, 1 MiB of L2 per core and 32 MiB of system-level cache.
#include "silicon/arm64/models/common_events.hpp"
#include "silicon/arm64/models/models.hpp"

namespace vpmu::silicon::arm64 {
namespace {

constexpr auto kEvents = join(kOnEveryCore, kOnNeoverse, kOfSpe);

}  // namespace

const CpuModel kNeoverseN1{
    .name = "neoverse-n1",
    .midr = 0x413f'd0c1,
    .hz = 3'000'000'000,
    .counter_hz = 25'000'000,
    .pmu = {.version = 4, .event_counters = 6},
    .events = kEvents,
    .memory =
        {.l1d = {256, 4}, .l2 = {2048, 8}, .llc = {32768, 16}, .dtlb = {1, 48}, .stlb = {256, 5}},
    .slots_per_cycle = 4,
    .spe = {.version = kSpeV1, .pmsidr = kPmsidr, .pmbidr = kPmbidr},
};

}  // namespace vpmu::silicon::arm64
