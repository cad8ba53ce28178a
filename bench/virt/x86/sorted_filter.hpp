// SPDX-License-Identifier: MIT
//
// The textbook way to decide by a masked filter, to compare with: includes and excludes apart, each
// sorted by event select; a decision finds one entry of its event select by binary search and walks
// from there in both directions, through the includes and then through the excludes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vpmu/silicon/x86/event_table.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::bench {

class SortedFilter {
 public:
  /// Of a valid masked image for Intel.
  explicit SortedFilter(const virt::x86::FilterImage& image);

  [[nodiscard]] bool admits(silicon::x86::EventSelector event) const {
    const bool matched = covered(includes_, event) && !covered(excludes_, event);
    return matched == allow_;
  }

 private:
  struct Entry {
    std::uint16_t event;
    std::uint8_t mask;
    std::uint8_t match;
  };
  using Entries = std::vector<Entry>;

  static bool covered(const Entries& entries, silicon::x86::EventSelector asked) {
    std::size_t low = 0, high = entries.size();
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (entries[middle].event == asked.event) return walk(entries, middle, asked);
      if (entries[middle].event < asked.event) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return false;
  }
  static bool walk(const Entries& entries, std::size_t from, silicon::x86::EventSelector asked) {
    for (std::size_t i = from; i < entries.size() && entries[i].event == asked.event; ++i) {
      if ((asked.unit_mask & entries[i].mask) == entries[i].match) return true;
    }
    for (std::size_t i = from; i-- > 0 && entries[i].event == asked.event;) {
      if ((asked.unit_mask & entries[i].mask) == entries[i].match) return true;
    }
    return false;
  }

  Entries includes_;
  Entries excludes_;
  bool allow_;
};

}  // namespace vpmu::bench
