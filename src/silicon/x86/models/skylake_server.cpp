// SPDX-License-Identifier: MIT
//
// skylake-server: Intel Xeon Gold 6130 (Skylake-SP), 06_55H stepping 4, at its base clock of
// 2.10 GHz, with Hyper-Threading off: 8 general-purpose and 3 fixed counters. 22 MiB of L3 in 16
// slices. Its transactional memory aborts every transaction, as after Intel's microcode updates.
#include "silicon/x86/models/intel_cpuid.hpp"
#include "silicon/x86/models/intel_events.hpp"
#include "silicon/x86/models/intel_lbr.hpp"
#include "silicon/x86/models/models.hpp"

namespace vpmu::silicon::x86 {
namespace {

using feature::Cache;

constexpr std::uint32_t kHz = 2'100'000'000;
constexpr std::uint32_t kCrystalHz = 25'000'000;
static_assert(kHz % kCrystalHz == 0, "leaf 15H gives the TSC's frequency exactly");
constexpr std::uint8_t kModel = 0x55, kStepping = 4;
constexpr bool kTsx = true;

constexpr char kBrand[49] = "Intel(R) Xeon(R) (vpmu skylake-server) @ 2.10GHz";

constexpr Cache kL1d{Cache::kData, 1, 8, 64};
constexpr Cache kL1i{Cache::kInstruction, 1, 8, 64};
constexpr Cache kL2{Cache::kUnified, 2, 16, 1024};
constexpr Cache kL3{Cache::kUnified, 3, 11, 32768};

constexpr LbrModel kLbr = intel::skylake_lbr(kTsx);

constexpr auto kCpuid = intel::cpuid_rows({.signature = feature::signature(6, kModel, kStepping),
                                           .hz = kHz,
                                           .crystal_hz = kCrystalHz,
                                           .brand = kBrand,
                                           .l1d = kL1d,
                                           .l1i = kL1i,
                                           .l2 = kL2,
                                           .l3 = kL3,
                                           .lbr = kLbr,
                                           .tsx = kTsx});

constexpr PmuModel kPmu{
    .version = 4,
    .gp_counters = 8,
    .gp_width = 48,
    .fixed_counters = 3,
    .fixed_width = 48,
    .arch_event_length = 7,
    .perf_capabilities = intel::perf_capabilities(kLbr),
};

constexpr auto kEvents =
    join(intel::kFixed, intel::kArchitectural, intel::kBranches, intel::kMemory,
         intel::caches(kEveryCounter), intel::page_walks(0x08, 0x49, kEveryCounter, intel::kSkx),
         intel::kBeforeIceLake);

}  // namespace

const CpuModel kSkylakeServer{
    .name = "skylake-server",
    .vendor = Vendor::kIntel,
    .family = 6,
    .model = kModel,
    .stepping = kStepping,
    .hz = kHz,
    .crystal_hz = kCrystalHz,
    .cpuid = kCpuid,
    .pmu = kPmu,
    .events = kEvents,
    .memory = {.l1d = {kL1d.sets, kL1d.ways},
               .l2 = {kL2.sets, kL2.ways},
               .llc = {kL3.sets, kL3.ways},
               .dtlb = {16, 4},
               .stlb = {128, 12}},
    .slots_per_cycle = 4,
    .lbr = kLbr,
    .tsx = kTsx,
};

}  // namespace vpmu::silicon::x86
