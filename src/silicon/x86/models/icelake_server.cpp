// SPDX-License-Identifier: MIT
//
// icelake-server: Intel Xeon Gold 6338 (Ice Lake-SP), 06_6AH stepping 6, at its base clock of
// 2.00 GHz, with Hyper-Threading off: 8 general-purpose and 4 fixed counters.
//
// Events: names and encodings as in Intel's event files for 06_6AH (checked against libpfm4 `icx`).
#include "silicon/x86/models/models.hpp"

#include "silicon/x86/features.hpp"

namespace vpmu::silicon::x86 {
namespace {

using namespace feature;

constexpr std::uint64_t kHz = 2'000'000'000;
constexpr std::uint64_t kCrystalHz = 25'000'000;

constexpr char kVendorName[] = "GenuineIntel";
constexpr char kHypervisorName[] = "vpmuvpmuvpmu";
constexpr char kBrand[49] = "Intel(R) Xeon(R) (vpmu icelake-server) @ 2.00GHz";

constexpr Cache kL1d{Cache::kData, 1, 12, 64};
constexpr Cache kL1i{Cache::kInstruction, 1, 8, 64};
constexpr Cache kL2{Cache::kUnified, 2, 20, 1024};
constexpr Cache kL3{Cache::kUnified, 3, 12, 65536};

constexpr std::uint32_t kAny = CpuidRow::kAnySubleaf;

constexpr PmuModel kPmu{
    .version = 5,
    .gp_counters = 8,
    .gp_width = 48,
    .fixed_counters = 4,
    .fixed_width = 48,
    .arch_event_length = 8,
    // LLC references, LLC misses and topdown slots: the model has no caches and no pipeline.
    .arch_events_unavailable = 1u << 3 | 1u << 4 | 1u << 7,
    .perf_capabilities = 1u << 13,  // full-width writes; no LBR, no PEBS
};

constexpr CpuidRow kCpuid[] = {
    {0x0, kAny, {0x16, text(kVendorName, 0), text(kVendorName, 8), text(kVendorName, 4)}},
    // Family 6, model 6AH, stepping 6. EBX: CLFLUSH line in units of 8 bytes.
    {0x1, kAny, {0x000606a6, (kCacheLine / 8) << 8, kLeaf1Ecx | bits(leaf1_ecx::kPdcm), kLeaf1Edx}},
    // No descriptors: see leaf 4.
    {0x2, kAny, {0x0000ff01, 0, 0, 0}},
    {0x4, 0, {leaf4_eax(kL1d), leaf4_ebx(kL1d), kL1d.sets - 1, 0}},
    {0x4, 1, {leaf4_eax(kL1i), leaf4_ebx(kL1i), kL1i.sets - 1, 0}},
    {0x4, 2, {leaf4_eax(kL2), leaf4_ebx(kL2), kL2.sets - 1, 0}},
    {0x4, 3, {leaf4_eax(kL3), leaf4_ebx(kL3), kL3.sets - 1, 0}},
    {0x6, kAny, {kArat, 0, 0, 0}},
    {0x7, 0, {0, kLeaf7Ebx, 0, 0}},
    {0xd, 0, {kXcr0Low, kXsaveBytes, kXsaveBytes, 0}},
    {0x15, kAny, {1, kHz / kCrystalHz, kCrystalHz, 0}},
    {0x16, kAny, {kHz / 1'000'000, kHz / 1'000'000, 100, 0}},
    {0x40000000,
     kAny,
     {0x40000000, text(kHypervisorName, 0), text(kHypervisorName, 4), text(kHypervisorName, 8)}},
    {0x80000000, kAny, {0x80000008, 0, 0, 0}},
    {0x80000001, kAny, {0, 0, kExtendedEcx, kExtendedEdx}},
    {0x80000002, kAny, {text(kBrand, 0), text(kBrand, 4), text(kBrand, 8), text(kBrand, 12)}},
    {0x80000003, kAny, {text(kBrand, 16), text(kBrand, 20), text(kBrand, 24), text(kBrand, 28)}},
    {0x80000004, kAny, {text(kBrand, 32), text(kBrand, 36), text(kBrand, 40), text(kBrand, 44)}},
    // L2: 1280 KiB, associativity as in leaf 4, 64-byte lines.
    {0x80000006, kAny, {0, 0, 1280u << 16 | 7u << 12 | kCacheLine, 0}},
    {0x80000007, kAny, {0, 0, 0, kInvariantTsc}},
    {0x80000008, kAny, {kAddressSizes, 0, 0, 0}},
};
static_assert(kHz % kCrystalHz == 0, "leaf 15H gives the TSC's frequency exactly");

constexpr auto kAnywhere = CountedOn::kAnyCounter;
constexpr auto kFixedOnly = CountedOn::kFixedCounter;

constexpr EventRow kEvents[] = {
    {"INST_RETIRED.ANY", fixed_only_selector(0), RawEvent::kInstructions, 0, kFixedOnly, ""},
    {"INST_RETIRED.ANY_P", {0xc0, 0x00}, RawEvent::kInstructions, 0, kAnywhere, ""},
    {"CPU_CLK_UNHALTED.THREAD", fixed_only_selector(1), RawEvent::kCycles, 1, kFixedOnly, ""},
    {"CPU_CLK_UNHALTED.THREAD_P", {0x3c, 0x00}, RawEvent::kCycles, 1, kAnywhere, ""},
    {"CPU_CLK_UNHALTED.REF_TSC", fixed_only_selector(2), RawEvent::kReferenceCycles, 2, kFixedOnly,
     ""},
    {"CPU_CLK_UNHALTED.REF_XCLK",
     {0x3c, 0x01},
     RawEvent::kReferenceCycles,
     kNoFixedCounter,
     kAnywhere,
     "counts at the TSC's rate, not the crystal's"},
    {"BR_INST_RETIRED.ALL_BRANCHES",
     {0xc4, 0x00},
     RawEvent::kBranches,
     kNoFixedCounter,
     kAnywhere,
     ""},
    {"BR_INST_RETIRED.COND",
     {0xc4, 0x11},
     RawEvent::kConditionalBranches,
     kNoFixedCounter,
     kAnywhere,
     ""},
    {"BR_INST_RETIRED.NEAR_CALL", {0xc4, 0x02}, RawEvent::kCalls, kNoFixedCounter, kAnywhere, ""},
    {"BR_INST_RETIRED.NEAR_RETURN",
     {0xc4, 0x08},
     RawEvent::kReturns,
     kNoFixedCounter,
     kAnywhere,
     ""},
    {"BR_INST_RETIRED.NEAR_TAKEN",
     {0xc4, 0x20},
     RawEvent::kTakenBranches,
     kNoFixedCounter,
     kAnywhere,
     "far branches are counted too"},
    {"BR_INST_RETIRED.INDIRECT",
     {0xc4, 0x80},
     RawEvent::kIndirectBranches,
     kNoFixedCounter,
     kAnywhere,
     ""},
    {"BR_MISP_RETIRED.ALL_BRANCHES",
     {0xc5, 0x00},
     RawEvent::kMispredictedBranches,
     kNoFixedCounter,
     kAnywhere,
     "mispredicted by the modelled predictor"},
    {"MEM_INST_RETIRED.ALL_LOADS",
     {0xd0, 0x81},
     RawEvent::kLoads,
     kNoFixedCounter,
     kAnywhere,
     "counts reads, not instructions that read"},
    {"MEM_INST_RETIRED.ALL_STORES",
     {0xd0, 0x82},
     RawEvent::kStores,
     kNoFixedCounter,
     kAnywhere,
     "counts writes, not instructions that write"},
};

}  // namespace

const CpuModel kIcelakeServer{
    .name = "icelake-server",
    .vendor = Vendor::kIntel,
    .family = 6,
    .model = 0x6a,
    .stepping = 6,
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
};

}  // namespace vpmu::silicon::x86
