// SPDX-License-Identifier: MIT
//
// Events that the modelled cores have in common. Numbers and names of common events are the Arm
// ARM's (D13.12), which cores have them is said by their technical reference manuals.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "vpmu/silicon/arm64/event_table.hpp"

namespace vpmu::silicon::arm64 {

inline constexpr char kCommonEvents[] = "Arm ARM D13.12.3";
inline constexpr char kRecommendedEvents[] = "Arm ARM K3.1";

inline constexpr char kAccesses[] = "counts accesses of retired instructions";
inline constexpr char kDataOnly[] =
    "data only: instruction fetches, prefetches and write-backs are not modelled";
inline constexpr char kOwnershipToo[] = "lines fetched for stores are counted too";
inline constexpr char kRetiredOnly[] = "counts what retires: nothing is speculated";
inline constexpr char kOneEach[] = "an instruction is one operation";
inline constexpr char kAllAtBackend[] = "every slot that no instruction retired through";
inline constexpr char kOwnUnit[] = "of the guest's own SPE, not of the host's";
inline constexpr char kPredictor[] = "mispredicted by the modelled predictor";

/// Every modelled core's.
inline constexpr std::array kOnEveryCore{
    EventRow{0x03, "L1D_CACHE_REFILL", RawEvent::kL1dMisses, kAccesses, kCommonEvents},
    EventRow{0x04, "L1D_CACHE", RawEvent::kMemoryAccesses, kAccesses, kCommonEvents},
    EventRow{0x05, "L1D_TLB_REFILL", RawEvent::kDtlbMisses, kAccesses, kCommonEvents},
    EventRow{0x08, "INST_RETIRED", RawEvent::kInstructions, "", kCommonEvents},
    EventRow{0x09, "EXC_TAKEN", RawEvent::kExceptions, "", kCommonEvents},
    EventRow{0x0a, "EXC_RETURN", RawEvent::kExceptionReturns, "", kCommonEvents},
    EventRow{0x10, "BR_MIS_PRED", RawEvent::kMispredictedBranches, kPredictor, kCommonEvents},
    EventRow{0x11, "CPU_CYCLES", RawEvent::kCycles, "", kCommonEvents},
    EventRow{0x12, "BR_PRED", RawEvent::kBranches, kRetiredOnly, kCommonEvents},
    EventRow{0x13, "MEM_ACCESS", RawEvent::kMemoryAccesses, kAccesses, kCommonEvents},
    EventRow{0x16, "L2D_CACHE", RawEvent::kL1dMisses, kDataOnly, kCommonEvents},
    EventRow{0x17, "L2D_CACHE_REFILL", RawEvent::kLlcReferences, kDataOnly, kCommonEvents},
    EventRow{0x1b, "INST_SPEC", RawEvent::kInstructions, kRetiredOnly, kCommonEvents},
    EventRow{0x1d, "BUS_CYCLES", RawEvent::kCycles, "the bus runs at the core's clock",
             kCommonEvents},
    EventRow{0x40, "L1D_CACHE_RD", RawEvent::kLoads, kAccesses, kRecommendedEvents},
    EventRow{0x41, "L1D_CACHE_WR", RawEvent::kStores, kAccesses, kRecommendedEvents},
    EventRow{0x42, "L1D_CACHE_REFILL_RD", RawEvent::kL1dLoadMisses, kAccesses, kRecommendedEvents},
    EventRow{0x50, "L2D_CACHE_RD", RawEvent::kL1dLoadMisses, kDataOnly, kRecommendedEvents},
    EventRow{0x66, "MEM_ACCESS_RD", RawEvent::kLoads, kAccesses, kRecommendedEvents},
    EventRow{0x67, "MEM_ACCESS_WR", RawEvent::kStores, kAccesses, kRecommendedEvents},
    EventRow{0x70, "LD_SPEC", RawEvent::kLoads, kAccesses, kRecommendedEvents},
    EventRow{0x71, "ST_SPEC", RawEvent::kStores, kAccesses, kRecommendedEvents},
    EventRow{0x76, "PC_WRITE_SPEC", RawEvent::kTakenBranches, kRetiredOnly, kRecommendedEvents},
    EventRow{0x79, "BR_RETURN_SPEC", RawEvent::kReturns, kRetiredOnly, kRecommendedEvents},
    EventRow{0x86, "EXC_IRQ", RawEvent::kInterrupts, "FIQs are counted too", kRecommendedEvents},
};

/// Neoverse N1's and V1's, beyond those.
inline constexpr std::array kOnNeoverse{
    EventRow{0x21, "BR_RETIRED", RawEvent::kBranches, "", kCommonEvents},
    EventRow{0x22, "BR_MIS_PRED_RETIRED", RawEvent::kMispredictedBranches, kPredictor,
             kCommonEvents},
    EventRow{0x25, "L1D_TLB", RawEvent::kMemoryAccesses, kAccesses, kCommonEvents},
    EventRow{0x2d, "L2D_TLB_REFILL", RawEvent::kDtlbWalks, kDataOnly, kCommonEvents},
    EventRow{0x2f, "L2D_TLB", RawEvent::kDtlbMisses, kDataOnly, kCommonEvents},
    EventRow{0x34, "DTLB_WALK", RawEvent::kDtlbWalks, kAccesses, kCommonEvents},
    EventRow{0x36, "LL_CACHE_RD", RawEvent::kLlcReferences, kOwnershipToo, kCommonEvents},
    EventRow{0x37, "LL_CACHE_MISS_RD", RawEvent::kLlcMisses, kOwnershipToo, kCommonEvents},
    EventRow{0x4e, "L1D_TLB_RD", RawEvent::kLoads, kAccesses, kRecommendedEvents},
    EventRow{0x4f, "L1D_TLB_WR", RawEvent::kStores, kAccesses, kRecommendedEvents},
    EventRow{0x5c, "L2D_TLB_REFILL_RD", RawEvent::kDtlbLoadWalks, kDataOnly, kRecommendedEvents},
    EventRow{0x5d, "L2D_TLB_REFILL_WR", RawEvent::kDtlbStoreWalks, kDataOnly, kRecommendedEvents},
};

/// Of Armv8.4, which Neoverse V1 has.
inline constexpr std::array kOfArmv8_4{
    EventRow{0x39, "L1D_CACHE_LMISS_RD", RawEvent::kL1dLoadMisses, kAccesses, kCommonEvents},
    EventRow{0x3a, "OP_RETIRED", RawEvent::kInstructions, kOneEach, kCommonEvents},
    EventRow{0x3b, "OP_SPEC", RawEvent::kInstructions, kOneEach, kCommonEvents},
    EventRow{0x3d, "STALL_SLOT_BACKEND", RawEvent::kBackendBoundSlots, kAllAtBackend,
             kCommonEvents},
    EventRow{0x3f, "STALL_SLOT", RawEvent::kBackendBoundSlots, kAllAtBackend, kCommonEvents},
};

/// Of cores that have SPE. Others, and guests without it, have none of them.
inline constexpr std::array kOfSpe{
    EventRow{kSamplePop, "SAMPLE_POP", RawEvent::kSamplePopulation, kRetiredOnly, kCommonEvents},
    EventRow{0x4001, "SAMPLE_FEED", RawEvent::kSamples, kOwnUnit, kCommonEvents},
    EventRow{0x4002, "SAMPLE_FILTRATE", RawEvent::kKeptSamples, kOwnUnit, kCommonEvents},
    EventRow{kSampleCollision, "SAMPLE_COLLISION", RawEvent::kSampleCollisions, kOwnUnit,
             kCommonEvents},
};

/// One table of these parts, sorted by number.
template <std::size_t... N>
constexpr auto join(const std::array<EventRow, N>&... parts) {
  std::array<EventRow, (N + ...)> all{};
  auto at = all.begin();
  ((at = std::copy(parts.begin(), parts.end(), at)), ...);
  std::sort(all.begin(), all.end(),
            [](const EventRow& a, const EventRow& b) { return a.number < b.number; });
  return all;
}

}  // namespace vpmu::silicon::arm64
