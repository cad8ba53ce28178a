// SPDX-License-Identifier: MIT
#include "vpmu/silicon/arm64/event_table.hpp"

#include <algorithm>

namespace vpmu::silicon::arm64 {

const EventRow* find_event(std::span<const EventRow> table, std::uint16_t number) {
  const auto row = std::ranges::find(table, number, &EventRow::number);
  return row == table.end() ? nullptr : &*row;
}

const EventRow* find_event(std::span<const EventRow> table, std::string_view name) {
  const auto row = std::ranges::find(table, name, &EventRow::name);
  return row == table.end() ? nullptr : &*row;
}

std::uint64_t common_events(std::span<const EventRow> table, std::uint16_t first) {
  std::uint64_t events = 0;
  for (const EventRow& row : table) {
    const unsigned common = row.number & ~unsigned{kExtendedEvents};
    if (common < first || common >= first + 32u) continue;
    const unsigned half = (row.number & kExtendedEvents) != 0 ? 32 : 0;
    events |= std::uint64_t{1} << (common - first + half);
  }
  return events;
}

}  // namespace vpmu::silicon::arm64
