// SPDX-License-Identifier: MIT
//
// zen2: AMD EPYC 7302 (Rome), family 17h model 31h stepping 0, at its base clock of 3.00 GHz, with
// SMT off: 6 core counters, no global control.
//
// The last-level cache is one core complex's 16 MiB, which all vCPUs share here.
#include <array>

#include "silicon/x86/models/amd_cpuid.hpp"
#include "silicon/x86/models/amd_events.hpp"
#include "silicon/x86/models/models.hpp"

namespace vpmu::silicon::x86 {
namespace {

using feature::Cache;

constexpr std::uint16_t kFamily = 0x17;
constexpr std::uint8_t kModel = 0x31, kStepping = 0;

constexpr char kBrand[49] = "AMD EPYC (vpmu zen2) @ 3.00GHz";

constexpr Cache kL1d{Cache::kData, 1, 8, 64};
constexpr Cache kL1i{Cache::kInstruction, 1, 8, 64};
constexpr Cache kL2{Cache::kUnified, 2, 8, 1024};
constexpr Cache kL3{Cache::kUnified, 3, 16, 16384};

constexpr auto kCpuid =
    amd::cpuid_rows({.signature = feature::signature(kFamily, kModel, kStepping),
                     .highest_extended = 0x8000001e,
                     .brand = kBrand,
                     .l1d = kL1d,
                     .l1i = kL1i,
                     .l2 = kL2,
                     .l3 = kL3,
                     .l1_dtlb_entries = 64,
                     .l2_dtlb_entries = 2048});

constexpr PmuModel kPmu{.version = 1, .gp_counters = 6, .gp_width = 48};

constexpr std::array kOwn{
    event("RETIRED_UOPS", {0xc1, 0x00}, RawEvent::kInstructions, amd::kZen2Ppr,
          "an instruction is one operation"),
    event("DATA_CACHE_REFILLS_FROM_SYSTEM.LS_MABRESP_LCL_DRAM", {0x43, 0x08}, RawEvent::kLlcMisses,
          amd::kZen2Ppr),
};
constexpr auto kEvents = join(amd::kRetirement, amd::kMemory, kOwn);

}  // namespace

const CpuModel kZen2{
    .name = "zen2",
    .vendor = Vendor::kAmd,
    .family = kFamily,
    .model = kModel,
    .stepping = kStepping,
    .hz = 3'000'000'000,
    .crystal_hz = 100'000'000,
    .cpuid = kCpuid,
    .pmu = kPmu,
    .events = kEvents,
    .memory = {.l1d = {kL1d.sets, kL1d.ways},
               .l2 = {kL2.sets, kL2.ways},
               .llc = {kL3.sets, kL3.ways},
               .dtlb = {16, 4},  // 64 entries; the CPU's are fully associative
               .stlb = {128, 16}},
    .slots_per_cycle = 6,
};

}  // namespace vpmu::silicon::x86
