// SPDX-License-Identifier: MIT
//
// zen4: AMD EPYC 9334 (Genoa), family 19h model 11h stepping 1, at its base clock of 2.70 GHz, with
// SMT off: 6 core counters with PerfMonV2's global control and status.
//
// The last-level cache is one core complex's 32 MiB, which all vCPUs share here.
#include <array>

#include "silicon/x86/models/amd_cpuid.hpp"
#include "silicon/x86/models/amd_events.hpp"
#include "silicon/x86/models/models.hpp"

namespace vpmu::silicon::x86 {
namespace {

using feature::Cache;

constexpr std::uint16_t kFamily = 0x19;
constexpr std::uint8_t kModel = 0x11, kStepping = 1;

constexpr char kBrand[49] = "AMD EPYC (vpmu zen4) @ 2.70GHz";

constexpr Cache kL1d{Cache::kData, 1, 8, 64};
constexpr Cache kL1i{Cache::kInstruction, 1, 8, 64};
constexpr Cache kL2{Cache::kUnified, 2, 8, 2048};
constexpr Cache kL3{Cache::kUnified, 3, 16, 32768};

constexpr auto kCpuid =
    amd::cpuid_rows({.signature = feature::signature(kFamily, kModel, kStepping),
                     .highest_extended = 0x80000022,
                     .brand = kBrand,
                     .l1d = kL1d,
                     .l1i = kL1i,
                     .l2 = kL2,
                     .l3 = kL3,
                     .l1_dtlb_entries = 72,
                     .l2_dtlb_entries = 3072});

constexpr PmuModel kPmu{.version = 2, .gp_counters = 6, .gp_width = 48};

constexpr std::array kOwn{
    event("P0_FREQ_CYCLES_NOT_IN_HALT.P0_FREQ_CYCLES", {0x120, 0x01}, RawEvent::kReferenceCycles,
          amd::kZen4Ppr),
    event("RETIRED_OPS", {0xc1, 0x00}, RawEvent::kInstructions, amd::kZen4Ppr,
          "an instruction is one operation"),
    event("RETIRED_INDIRECT_BRANCH_INSTRUCTIONS", {0xcc, 0x00}, RawEvent::kIndirectBranches,
          amd::kZen4Ppr, "returns are not counted"),
    event("DEMAND_DATA_CACHE_FILLS_FROM_SYSTEM.DRAM_IO_NEAR", {0x43, 0x08}, RawEvent::kLlcMisses,
          amd::kZen4Ppr),
    event("ANY_DATA_CACHE_FILLS_FROM_SYSTEM.DRAM_IO_NEAR", {0x44, 0x08}, RawEvent::kLlcMisses,
          amd::kZen4Ppr, "prefetches are not modelled"),
    event("DISPATCH_STALLS_1.BE_STALLS", {0x1a0, 0x1e}, RawEvent::kBackendBoundSlots, amd::kZen4Ppr,
          "every slot that no instruction retired through"),
};
constexpr auto kEvents = join(amd::kRetirement, amd::kMemory, kOwn);

}  // namespace

const CpuModel kZen4{
    .name = "zen4",
    .vendor = Vendor::kAmd,
    .family = kFamily,
    .model = kModel,
    .stepping = kStepping,
    .hz = 2'700'000'000,
    .crystal_hz = 100'000'000,
    .cpuid = kCpuid,
    .pmu = kPmu,
    .events = kEvents,
    .memory = {.l1d = {kL1d.sets, kL1d.ways},
               .l2 = {kL2.sets, kL2.ways},
               .llc = {kL3.sets, kL3.ways},
               .dtlb = {8, 9},  // 72 entries; the CPU's are fully associative
               .stlb = {128, 24}},
    .slots_per_cycle = 6,
};

}  // namespace vpmu::silicon::x86
