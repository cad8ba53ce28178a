// SPDX-License-Identifier: MIT
//
// How the models write their event tables: one function per kind of row, and join() to put tables
// together from the parts that models have in common.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "vpmu/silicon/x86/event_table.hpp"

namespace vpmu::silicon::x86 {

inline constexpr std::uint8_t kEveryCounter = 0xff;
/// Counters 0 to 3: the others of Intel's eight are simpler.
inline constexpr std::uint8_t kFirstFour = 0x0f;

/// Counted by general-purpose counters only.
constexpr EventRow event(const char* name, EventSelector selector, RawEvent raw, const char* source,
                         const char* note = "", std::uint8_t counters = kEveryCounter) {
  return {name, selector, raw, kNoFixedCounter, CountedOn::kAnyCounter, note, source, counters};
}

/// Counted by every general-purpose counter and by a fixed one.
constexpr EventRow event_or_fixed(const char* name, EventSelector selector, std::int8_t fixed,
                                  RawEvent raw, const char* source) {
  return {name, selector, raw, fixed, CountedOn::kAnyCounter, "", source, kEveryCounter};
}

/// Counted by a fixed counter only.
constexpr EventRow fixed_event(const char* name, std::int8_t fixed, RawEvent raw,
                               const char* source) {
  const auto selector = fixed_only_selector(static_cast<unsigned>(fixed));
  return {name, selector, raw, fixed, CountedOn::kFixedCounter, "", source, kEveryCounter};
}

template <std::size_t... N>
constexpr auto join(const std::array<EventRow, N>&... parts) {
  std::array<EventRow, (N + ...)> all{};
  auto at = all.begin();
  ((at = std::copy(parts.begin(), parts.end(), at)), ...);
  return all;
}

}  // namespace vpmu::silicon::x86
