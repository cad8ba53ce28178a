// SPDX-License-Identifier: MIT
//
// haswell-server: Intel Xeon E5-2698 v3 (Haswell-EP), 06_3FH stepping 2, at its base clock of
// 2.30 GHz, with Hyper-Threading off: 8 general-purpose and 3 fixed counters. 40 MiB of L3 in 16
// slices. No transactional memory: Intel's microcode updates took it away. Leaves 15H and 16H,
// which came with Skylake, are there, since guests know the clocks from them; the crystal is the
// bus clock.
#include <array>

#include "silicon/x86/models/intel_cpuid.hpp"
#include "silicon/x86/models/intel_events.hpp"
#include "silicon/x86/models/intel_lbr.hpp"
#include "silicon/x86/models/models.hpp"

namespace vpmu::silicon::x86 {
namespace {

using feature::Cache;

constexpr std::uint32_t kHz = 2'300'000'000;
constexpr std::uint32_t kCrystalHz = 100'000'000;
static_assert(kHz % kCrystalHz == 0, "leaf 15H gives the TSC's frequency exactly");
constexpr std::uint8_t kModel = 0x3f, kStepping = 2;
constexpr bool kTsx = false;

constexpr char kBrand[49] = "Intel(R) Xeon(R) (vpmu haswell-server) @ 2.30GHz";

constexpr Cache kL1d{Cache::kData, 1, 8, 64};
constexpr Cache kL1i{Cache::kInstruction, 1, 8, 64};
constexpr Cache kL2{Cache::kUnified, 2, 8, 512};
constexpr Cache kL3{Cache::kUnified, 3, 20, 32768};

constexpr LbrModel kLbr = intel::haswell_lbr(kTsx);

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
    .version = 3,
    .gp_counters = 8,
    .gp_width = 48,
    .fixed_counters = 3,
    .fixed_width = 48,
    .arch_event_length = 7,
    .perf_capabilities = intel::perf_capabilities(kLbr),
};

/// Of memory, Haswell's files name micro-operations.
constexpr char kHsx[] = "Intel event file HSX";
constexpr std::array kOwn{
    event("MEM_UOPS_RETIRED.ALL_LOADS", {0xd0, 0x81}, RawEvent::kLoads, kHsx, intel::kAccesses,
          kFirstFour),
    event("MEM_UOPS_RETIRED.ALL_STORES", {0xd0, 0x82}, RawEvent::kStores, kHsx, intel::kAccesses,
          kFirstFour),
    event("MEM_UOPS_RETIRED.STLB_MISS_LOADS", {0xd0, 0x11}, RawEvent::kDtlbLoadWalks, kHsx,
          intel::kAccesses, kFirstFour),
    event("MEM_UOPS_RETIRED.STLB_MISS_STORES", {0xd0, 0x12}, RawEvent::kDtlbStoreWalks, kHsx,
          intel::kAccesses, kFirstFour),
    event("MEM_LOAD_UOPS_RETIRED.L1_MISS", {0xd1, 0x08}, RawEvent::kL1dLoadMisses, kHsx,
          intel::kAccesses, kFirstFour),
};
constexpr auto kEvents =
    join(intel::kFixed, intel::kArchitectural, intel::kBranches, intel::kBeforeIceLake,
         intel::caches(kEveryCounter), intel::page_walks(0x08, 0x49, kEveryCounter, kHsx), kOwn);

}  // namespace

const CpuModel kHaswellServer{
    .name = "haswell-server",
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
               .stlb = {128, 8}},
    .slots_per_cycle = 4,
    .lbr = kLbr,
    .tsx = kTsx,
};

}  // namespace vpmu::silicon::x86
