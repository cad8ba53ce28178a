// SPDX-License-Identifier: MIT
//
// icelake-server: Intel Xeon Gold 6338 (Ice Lake-SP), 06_6AH stepping 6, at its base clock of
// 2.00 GHz, with Hyper-Threading off: 8 general-purpose and 4 fixed counters. 48 MiB of L3 in 32
// slices.
#include <array>

#include "silicon/x86/models/intel_cpuid.hpp"
#include "silicon/x86/models/intel_events.hpp"
#include "silicon/x86/models/intel_lbr.hpp"
#include "silicon/x86/models/models.hpp"

namespace vpmu::silicon::x86 {
namespace {

using feature::Cache;

constexpr std::uint32_t kHz = 2'000'000'000;
constexpr std::uint32_t kCrystalHz = 25'000'000;
static_assert(kHz % kCrystalHz == 0, "leaf 15H gives the TSC's frequency exactly");
constexpr std::uint8_t kModel = 0x6a, kStepping = 6;
constexpr bool kTsx = false;

constexpr char kBrand[49] = "Intel(R) Xeon(R) (vpmu icelake-server) @ 2.00GHz";

constexpr Cache kL1d{Cache::kData, 1, 12, 64};
constexpr Cache kL1i{Cache::kInstruction, 1, 8, 64};
constexpr Cache kL2{Cache::kUnified, 2, 20, 1024};
constexpr Cache kL3{Cache::kUnified, 3, 12, 65536};

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
    .version = 5,
    .gp_counters = 8,
    .gp_width = 48,
    .fixed_counters = 4,
    .fixed_width = 48,
    .arch_event_length = 8,
    .perf_capabilities = intel::perf_capabilities(kLbr),
};

constexpr char kIcx[] = "Intel event file ICX";
constexpr std::array kOwn{
    event("CPU_CLK_UNHALTED.REF_XCLK", {0x3c, 0x01}, RawEvent::kReferenceCycles, kIcx,
          intel::kAtTscRate),
};
constexpr auto kEvents = join(intel::kFixed, intel::kArchitectural, intel::kBranches,
                              intel::kSinceIceLake, intel::kMemory, intel::caches(kFirstFour),
                              intel::page_walks(0x08, 0x49, kFirstFour, kIcx), kOwn);

}  // namespace

const CpuModel kIcelakeServer{
    .name = "icelake-server",
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
               .stlb = {256, 8}},
    .slots_per_cycle = 5,
    .lbr = kLbr,
    .tsx = kTsx,
};

}  // namespace vpmu::silicon::x86
