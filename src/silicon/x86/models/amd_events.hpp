// SPDX-License-Identifier: MIT
//
// Events that the modelled AMD cores have in common. Names are the titles of the PPRs' event
// descriptions, as libpfm4 spells them too; .ALL stands for a set of unit mask bits that the PPRs
// give as one number.
#pragma once

#include <array>

#include "silicon/x86/models/event_rows.hpp"

namespace vpmu::silicon::x86::amd {

inline constexpr char kPprs[] = "PPR 55803, PPR 55901";
inline constexpr char kZen2Ppr[] = "PPR 55803";
inline constexpr char kZen4Ppr[] = "PPR 55901";
inline constexpr char kLinux[] = "Linux perf, amd_zen generic events";

inline constexpr char kRetired[] = "counts accesses that retire, not operations dispatched";
inline constexpr char kDataOnly[] =
    "data only: instruction fetches and prefetches are not modelled";

inline constexpr std::array kRetirement{
    event("RETIRED_INSTRUCTIONS", {0xc0, 0x00}, RawEvent::kInstructions, kPprs),
    event("CYCLES_NOT_IN_HALT", {0x76, 0x00}, RawEvent::kCycles, kPprs),
    event("RETIRED_BRANCH_INSTRUCTIONS", {0xc2, 0x00}, RawEvent::kBranches, kPprs),
    event("RETIRED_BRANCH_INSTRUCTIONS_MISPREDICTED", {0xc3, 0x00}, RawEvent::kMispredictedBranches,
          kPprs, "mispredicted by the modelled predictor"),
    event("RETIRED_TAKEN_BRANCH_INSTRUCTIONS", {0xc4, 0x00}, RawEvent::kTakenBranches, kPprs),
    event("RETIRED_NEAR_RETURNS", {0xc8, 0x00}, RawEvent::kReturns, kPprs),
    event("RETIRED_CONDITIONAL_BRANCH_INSTRUCTIONS", {0xd1, 0x00}, RawEvent::kConditionalBranches,
          kPprs),
};

inline constexpr std::array kMemory{
    event("LS_DISPATCH.LD_DISPATCH", {0x29, 0x01}, RawEvent::kLoads, kPprs, kRetired),
    event("LS_DISPATCH.STORE_DISPATCH", {0x29, 0x02}, RawEvent::kStores, kPprs, kRetired),
    event("LS_DISPATCH.LD_ST_DISPATCH", {0x29, 0x04}, RawEvent::kReadModifyWrites, kPprs,
          "such an instruction counts as a load and as a store, too"),
    event("DATA_CACHE_ACCESSES", {0x40, 0x00}, RawEvent::kMemoryAccesses, kLinux, kRetired),
    event("REQUESTS_TO_L2_GROUP1.RD_BLK_L.RD_BLK_X.CHANGE_TO_X", {0x60, 0xc8}, RawEvent::kL1dMisses,
          kLinux),
    event("REQUESTS_TO_L2_GROUP1.ALL", {0x60, 0xff}, RawEvent::kL1dMisses, kLinux, kDataOnly),
    event("CORE_TO_L2_CACHEABLE_REQUEST_ACCESS_STATUS.LS_RD_BLK_C", {0x64, 0x08},
          RawEvent::kLlcReferences, kPprs),
    event("CORE_TO_L2_CACHEABLE_REQUEST_ACCESS_STATUS.LS_RD_BLK_C.IC_FILL_MISS", {0x64, 0x09},
          RawEvent::kLlcReferences, kLinux, kDataOnly),
    event("L1_DTLB_MISS.ALL", {0x45, 0xff}, RawEvent::kDtlbMisses, kLinux),
    event("L1_DTLB_MISS.ALL_L2_MISS", {0x45, 0xf0}, RawEvent::kDtlbWalks, kLinux),
};

}  // namespace vpmu::silicon::x86::amd
