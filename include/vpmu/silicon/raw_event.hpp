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
};
inline constexpr std::size_t kRawEventCount = 12;

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
