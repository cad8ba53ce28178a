// SPDX-License-Identifier: MIT
#include "vpmu/silicon/x86/event_table.hpp"

namespace vpmu::silicon::x86 {

const EventRow* find_event(std::span<const EventRow> table, EventSelector selector) {
  for (const EventRow& row : table) {
    if (row.selector == selector) return &row;
  }
  return nullptr;
}

std::span<const ArchitecturalEvent> architectural_events() {
  static constexpr ArchitecturalEvent kEvents[] = {
      {"UnHalted Core Cycles", {0x3c, 0x00}},
      {"Instruction Retired", {0xc0, 0x00}},
      {"UnHalted Reference Cycles", {0x3c, 0x01}},
      {"LLC Reference", {0x2e, 0x4f}},
      {"LLC Misses", {0x2e, 0x41}},
      {"Branch Instruction Retired", {0xc4, 0x00}},
      {"Branch Misses Retired", {0xc5, 0x00}},
      {"Topdown Slots", {0xa4, 0x01}},
  };
  return kEvents;
}

}  // namespace vpmu::silicon::x86
