// SPDX-License-Identifier: MIT
//
// Which event select and unit mask means which raw event: one table of rows per CPU model. An event
// that has no row cannot be counted on that model; nothing is guessed.
#pragma once

#include <cstdint>
#include <span>

#include "vpmu/silicon/raw_event.hpp"

namespace vpmu::silicon::x86 {

/// What names an event: 8 bits of event select on Intel, 12 on AMD, and the unit mask.
struct EventSelector {
  std::uint16_t event = 0;
  std::uint8_t unit_mask = 0;
  friend constexpr bool operator==(EventSelector, EventSelector) = default;
};

/// Fixed counters by number.
inline constexpr std::int8_t kNoFixedCounter = -1;

/// Where an event can be counted.
enum class CountedOn : std::uint8_t {
  kAnyCounter,    ///< every general-purpose counter, and `EventRow::fixed` if there is one
  kFixedCounter,  ///< only on `EventRow::fixed`: selector is Linux's pseudo-encoding 00/index+1
};

struct EventRow {
  const char* name;  ///< as the vendor's event files spell it
  EventSelector selector;
  RawEvent raw;
  std::int8_t fixed;
  CountedOn counted_on;
  const char* note;  ///< how the raw event differs from the hardware's; empty if it does not
  /// Where the encoding was taken from, e.g. "SDM 3B 20.2.1.2" or "Intel event file ICX".
  const char* source = "";
  /// Which general-purpose counters can count it, by bit.
  std::uint8_t counters = 0xff;
};

/// The row of a selector; null if the model cannot count it.
const EventRow* find_event(std::span<const EventRow> table, EventSelector selector);

/// The architectural events, Intel SDM vol. 3B table 20-1, in the order of CPUID.0AH:EBX. Where the
/// model's own table has the same selectors, availability in CPUID is only enumeration.
struct ArchitecturalEvent {
  const char* name;
  EventSelector selector;
};
std::span<const ArchitecturalEvent> architectural_events();

/// The pseudo-encoding by which Linux names the event of fixed counter `index`.
constexpr EventSelector fixed_only_selector(unsigned index) {
  return {0, static_cast<std::uint8_t>(index + 1)};
}

}  // namespace vpmu::silicon::x86
