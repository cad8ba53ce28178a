// SPDX-License-Identifier: MIT
//
// Which PMUv3 event number means which raw event: one table of rows per CPU model. An event that
// has no row cannot be counted on that model; nothing is guessed. SW_INCR and CHAIN have no rows:
// they are made by the performance monitoring unit itself, of no raw event, on every model.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "vpmu/silicon/raw_event.hpp"

namespace vpmu::silicon::arm64 {

/// Arm ARM D13.12: events that the performance monitoring unit makes itself.
inline constexpr std::uint16_t kSwIncr = 0x00;
inline constexpr std::uint16_t kChain = 0x1e;
/// What the cycle counter counts.
inline constexpr std::uint16_t kCpuCycles = 0x11;
/// The first of the second range of common events: PMCEID0_EL0[63:32] and PMCEID1_EL0[63:32].
inline constexpr std::uint16_t kExtendedEvents = 0x4000;

/// Arm ARM D13.12: what the Statistical Profiling Extension does.
inline constexpr std::uint16_t kSamplePop = 0x4000;
inline constexpr std::uint16_t kSampleCollision = 0x4003;
constexpr bool is_sample_event(std::uint16_t number) {
  return number >= kSamplePop && number <= kSampleCollision;
}
/// Their bits of PMCEID0_EL0.
inline constexpr std::uint64_t kSampleEvents = std::uint64_t{0xf} << 32;

struct EventRow {
  std::uint16_t number;
  const char* name;  ///< as the Arm ARM or the core's manual spells it
  RawEvent raw;
  const char* note;    ///< how the raw event differs from the hardware's; empty if it does not
  const char* source;  ///< where number and name were taken from, e.g. "Arm ARM D13.12.3"
};

/// The row of an event; null if the model cannot count it.
const EventRow* find_event(std::span<const EventRow> table, std::uint16_t number);
/// The row of that name, spelled exactly so.
const EventRow* find_event(std::span<const EventRow> table, std::string_view name);

/// Events 0 to 31 (`first` 0) or 32 to 63 (`first` 32) that the table has by bit, and those 0x4000
/// above in the upper half: PMCEID0_EL0 and PMCEID1_EL0, but for SW_INCR and CHAIN.
std::uint64_t common_events(std::span<const EventRow> table, std::uint16_t first);

}  // namespace vpmu::silicon::arm64
