// SPDX-License-Identifier: MIT
//
// Events that the modelled Intel server cores have in common, with the names and encodings of
// Intel's event files for Haswell-EP (HSX), Skylake-SP (SKX), Ice Lake-SP (ICX) and Sapphire Rapids
// (SPR).
#pragma once

#include <array>
#include <cstdint>

#include "silicon/x86/models/event_rows.hpp"

namespace vpmu::silicon::x86::intel {

inline constexpr char kFixedTable[] = "SDM 3B table 20-2";
inline constexpr char kArchitecturalTable[] = "SDM 3B table 20-1";
inline constexpr char kAllFiles[] = "Intel event files HSX, SKX, ICX, SPR";
inline constexpr char kOlderFiles[] = "Intel event files HSX, SKX";
inline constexpr char kSinceSkylakeFiles[] = "Intel event files SKX, ICX, SPR";
inline constexpr char kNewerFiles[] = "Intel event files ICX, SPR";
inline constexpr char kSkx[] = "Intel event file SKX";
inline constexpr char kSpr[] = "Intel event file SPR";

inline constexpr char kAccesses[] = "counts accesses, not instructions";
inline constexpr char kDataOnly[] =
    "data only: instruction fetches and prefetches are not modelled";
inline constexpr char kAtTscRate[] = "counts at the TSC's rate, not the crystal's";
inline constexpr char kOneSlotEach[] = "an instruction takes one slot";

inline constexpr std::array kFixed{
    fixed_event("INST_RETIRED.ANY", 0, RawEvent::kInstructions, kFixedTable),
    fixed_event("CPU_CLK_UNHALTED.THREAD", 1, RawEvent::kCycles, kFixedTable),
    fixed_event("CPU_CLK_UNHALTED.REF_TSC", 2, RawEvent::kReferenceCycles, kFixedTable),
};

/// Without the reference cycles, whose name differs.
inline constexpr std::array kArchitectural{
    event_or_fixed("INST_RETIRED.ANY_P", {0xc0, 0x00}, 0, RawEvent::kInstructions,
                   kArchitecturalTable),
    event_or_fixed("CPU_CLK_UNHALTED.THREAD_P", {0x3c, 0x00}, 1, RawEvent::kCycles,
                   kArchitecturalTable),
    event("LONGEST_LAT_CACHE.REFERENCE", {0x2e, 0x4f}, RawEvent::kLlcReferences,
          kArchitecturalTable, kDataOnly),
    event("LONGEST_LAT_CACHE.MISS", {0x2e, 0x41}, RawEvent::kLlcMisses, kArchitecturalTable,
          kDataOnly),
    event("BR_INST_RETIRED.ALL_BRANCHES", {0xc4, 0x00}, RawEvent::kBranches, kArchitecturalTable),
    event("BR_MISP_RETIRED.ALL_BRANCHES", {0xc5, 0x00}, RawEvent::kMispredictedBranches,
          kArchitecturalTable, "mispredicted by the modelled predictor"),
};

inline constexpr std::array kBranches{
    event("BR_INST_RETIRED.NEAR_CALL", {0xc4, 0x02}, RawEvent::kCalls, kAllFiles),
    event("BR_INST_RETIRED.NEAR_RETURN", {0xc4, 0x08}, RawEvent::kReturns, kAllFiles),
    event("BR_INST_RETIRED.NEAR_TAKEN", {0xc4, 0x20}, RawEvent::kTakenBranches, kAllFiles,
          "far branches are counted too"),
};

/// Since Skylake.
inline constexpr std::array kMemory{
    event("MEM_INST_RETIRED.ALL_LOADS", {0xd0, 0x81}, RawEvent::kLoads, kSinceSkylakeFiles,
          kAccesses, kFirstFour),
    event("MEM_INST_RETIRED.ALL_STORES", {0xd0, 0x82}, RawEvent::kStores, kSinceSkylakeFiles,
          kAccesses, kFirstFour),
    event("MEM_INST_RETIRED.ANY", {0xd0, 0x83}, RawEvent::kMemoryAccesses, kSinceSkylakeFiles,
          kAccesses, kFirstFour),
    event("MEM_INST_RETIRED.STLB_MISS_LOADS", {0xd0, 0x11}, RawEvent::kDtlbLoadWalks,
          kSinceSkylakeFiles, kAccesses, kFirstFour),
    event("MEM_INST_RETIRED.STLB_MISS_STORES", {0xd0, 0x12}, RawEvent::kDtlbStoreWalks,
          kSinceSkylakeFiles, kAccesses, kFirstFour),
    event("MEM_LOAD_RETIRED.L1_MISS", {0xd1, 0x08}, RawEvent::kL1dLoadMisses, kSinceSkylakeFiles,
          kAccesses, kFirstFour),
};

/// First and second level; `counters` that can count them differ.
constexpr auto caches(std::uint8_t counters) {
  return std::array{
      event("L1D.REPLACEMENT", {0x51, 0x01}, RawEvent::kL1dMisses, kAllFiles,
            "lines brought in, whether or not one had to go", counters),
      event("L2_RQSTS.ALL_DEMAND_DATA_RD", {0x24, 0xe1}, RawEvent::kL1dLoadMisses, kAllFiles, "",
            counters),
      event("L2_RQSTS.ALL_DEMAND_REFERENCES", {0x24, 0xe7}, RawEvent::kL1dMisses, kAllFiles,
            kDataOnly, counters),
      event("L2_RQSTS.ALL_DEMAND_MISS", {0x24, 0x27}, RawEvent::kLlcReferences, kAllFiles,
            kDataOnly, counters),
  };
}

/// Page walks, by the event selects for loads and stores.
constexpr auto page_walks(std::uint16_t loads, std::uint16_t stores, std::uint8_t counters,
                          const char* source) {
  return std::array{
      event("DTLB_LOAD_MISSES.WALK_COMPLETED", {loads, 0x0e}, RawEvent::kDtlbLoadWalks, source, "",
            counters),
      event("DTLB_STORE_MISSES.WALK_COMPLETED", {stores, 0x0e}, RawEvent::kDtlbStoreWalks, source,
            "", counters),
  };
}

/// What Ice Lake gave up, or renamed.
inline constexpr std::array kBeforeIceLake{
    event("CPU_CLK_UNHALTED.REF_XCLK", {0x3c, 0x01}, RawEvent::kReferenceCycles, kOlderFiles,
          kAtTscRate),
    event("INST_RETIRED.PREC_DIST", {0xc0, 0x01}, RawEvent::kInstructions, kOlderFiles, "", 0x02),
    event("BR_INST_RETIRED.CONDITIONAL", {0xc4, 0x01}, RawEvent::kConditionalBranches, kOlderFiles),
    event("UOPS_RETIRED.RETIRE_SLOTS", {0xc2, 0x02}, RawEvent::kInstructions, kOlderFiles,
          kOneSlotEach),
    event("L2_RQSTS.REFERENCES", {0x24, 0xff}, RawEvent::kL1dMisses, kOlderFiles, kDataOnly),
    event("L2_RQSTS.MISS", {0x24, 0x3f}, RawEvent::kLlcReferences, kOlderFiles, kDataOnly),
    event("DTLB_LOAD_MISSES.MISS_CAUSES_A_WALK", {0x08, 0x01}, RawEvent::kDtlbLoadWalks,
          kOlderFiles),
    event("DTLB_STORE_MISSES.MISS_CAUSES_A_WALK", {0x49, 0x01}, RawEvent::kDtlbStoreWalks,
          kOlderFiles),
};

/// What came with Ice Lake: another encoding of conditional branches, indirect ones, slots.
inline constexpr std::array kSinceIceLake{
    fixed_event("TOPDOWN.SLOTS", 3, RawEvent::kSlots, kFixedTable),
    event_or_fixed("TOPDOWN.SLOTS_P", {0xa4, 0x01}, 3, RawEvent::kSlots, kArchitecturalTable),
    event("TOPDOWN.BACKEND_BOUND_SLOTS", {0xa4, 0x02}, RawEvent::kBackendBoundSlots, kNewerFiles,
          "every slot that no instruction retired through"),
    event("UOPS_RETIRED.SLOTS", {0xc2, 0x02}, RawEvent::kInstructions, kNewerFiles, kOneSlotEach),
    event("BR_INST_RETIRED.COND", {0xc4, 0x11}, RawEvent::kConditionalBranches, kNewerFiles),
    event("BR_INST_RETIRED.INDIRECT", {0xc4, 0x80}, RawEvent::kIndirectBranches, kNewerFiles),
    event("CPU_CLK_UNHALTED.DISTRIBUTED", {0xec, 0x02}, RawEvent::kCycles, kNewerFiles,
          "a core has one thread"),
    event("CPU_CLK_UNHALTED.REF_DISTRIBUTED", {0x3c, 0x08}, RawEvent::kReferenceCycles, kNewerFiles,
          kAtTscRate),
};

}  // namespace vpmu::silicon::x86::intel
