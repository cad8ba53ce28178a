// SPDX-License-Identifier: MIT
//
// What a modelled CPU can count. Which event select and unit mask of which CPU model means which
// raw event is data (event_table.hpp); docs/counting.md says for every event when it counts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vpmu::silicon {

enum class RawEvent : std::uint8_t {
  kInstructions,          ///< instructions retired; a REP string instruction is one, when it ends
  kCycles,                ///< unhalted core cycles of the deterministic cycle model
  kReferenceCycles,       ///< unhalted cycles at the TSC's rate
  kBranches,              ///< all branch instructions retired, far ones included
  kConditionalBranches,   ///< Jcc, JCXZ, LOOP
  kTakenBranches,         ///< branches that did not fall through
  kIndirectBranches,      ///< near indirect jumps and calls, returns not included
  kCalls,                 ///< near calls, direct and indirect
  kReturns,               ///< near returns
  kMispredictedBranches,  ///< branches that the modelled predictor got wrong
  kLoads,                 ///< data reads from memory by retired instructions
  kStores,                ///< data writes to memory by retired instructions
  kMemoryAccesses,        ///< loads and stores
  kReadModifyWrites,      ///< instructions that read a memory operand and write it back
  kSlots,                 ///< issue slots: cycles times what the model issues per cycle
  kBackendBoundSlots,     ///< issue slots that no instruction retired through
  kL1dMisses,             ///< lines brought into the first-level data cache
  kL1dLoadMisses,         ///< loads that missed it
  kLlcReferences,         ///< accesses that missed the second-level cache
  kLlcMisses,             ///< ... and the last-level one
  kDtlbMisses,            ///< accesses whose page the first-level data TLB did not have
  kDtlbLoadWalks,         ///< page walks for loads: neither TLB level had the page
  kDtlbStoreWalks,        ///< ... for stores
  kDtlbWalks,             ///< both
  kExceptions,            ///< AArch64: exceptions taken, interrupts included
  kInterrupts,            ///< AArch64: IRQs and FIQs taken
  kExceptionReturns,      ///< AArch64: ERETs retired
  kSamplePopulation,      ///< AArch64: operations retired while the guest's SPE profiled them
  kSamples,               ///< AArch64: of these, what its SPE has sampled
  kKeptSamples,           ///< AArch64: of those, what its filters have left
  kSampleCollisions,      ///< AArch64: what was to be sampled while the last sample was in flight
  /// Cycles or edges of a condition, by slot: see cycle_conditions.hpp. Means something else for
  /// every slot and time, so nothing reports these by name.
  kCondition0,
};
/// How many conditions on cycles a vCPU can count at a time: as many as it has counters.
inline constexpr std::size_t kConditionSlots = 8;
/// The events that have a meaning of their own, first in the enumeration.
inline constexpr std::size_t kNamedRawEventCount = static_cast<std::size_t>(RawEvent::kCondition0);
inline constexpr std::size_t kRawEventCount = kNamedRawEventCount + kConditionSlots;

/// The events that no architecture keeps to itself, first among those with a meaning.
inline constexpr std::size_t kCommonRawEventCount = static_cast<std::size_t>(RawEvent::kExceptions);

/// Those that need no SPE, first among those with a meaning.
inline constexpr std::size_t kRawEventCountWithoutSpe =
    static_cast<std::size_t>(RawEvent::kSamplePopulation);

constexpr RawEvent condition_event(std::size_t slot) {
  return static_cast<RawEvent>(kNamedRawEventCount + slot);
}

/// The privilege an instruction retired at. x86: user is CPL 1 to 3. Arm: user is EL0.
enum class Privilege : std::uint8_t { kUser, kKernel };
inline constexpr std::size_t kPrivilegeCount = 2;

/// A set of privileges: what a counter is enabled for.
struct PrivilegeSet {
  bool user = false;
  bool kernel = false;

  [[nodiscard]] constexpr bool contains(Privilege privilege) const {
    return privilege == Privilege::kUser ? user : kernel;
  }
  [[nodiscard]] constexpr bool empty() const { return !user && !kernel; }
  friend constexpr bool operator==(PrivilegeSet, PrivilegeSet) = default;
};
inline constexpr PrivilegeSet kAllPrivileges{true, true};

/// The name that reports use, e.g. "branches". Never null.
const char* name(RawEvent event);

}  // namespace vpmu::silicon
