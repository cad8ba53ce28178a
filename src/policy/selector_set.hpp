// SPDX-License-Identifier: MIT
//
// Sets of (event select, unit mask): what a policy allows, as far as general-purpose counters go.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/event_table.hpp"

namespace vpmu::policy {

/// Unit masks of one event select.
using UnitMaskSet = std::bitset<256>;

/// How many event selects a vendor's counters tell apart.
constexpr std::size_t event_selects(silicon::x86::Vendor vendor) {
  return vendor == silicon::x86::Vendor::kIntel ? 0x100 : 0x1000;
}

class SelectorSet {
 public:
  /// Empty.
  explicit SelectorSet(silicon::x86::Vendor vendor)
      : vendor_{vendor}, rows_(event_selects(vendor)) {}

  [[nodiscard]] silicon::x86::Vendor vendor() const { return vendor_; }
  /// How many event selects there are: row(0) to row(events() - 1).
  [[nodiscard]] std::size_t events() const { return rows_.size(); }
  [[nodiscard]] const UnitMaskSet& row(std::size_t event) const { return rows_[event]; }
  [[nodiscard]] UnitMaskSet& row(std::size_t event) { return rows_[event]; }

  /// `selector.event` is below events().
  void insert(silicon::x86::EventSelector selector) {
    rows_[selector.event].set(selector.unit_mask);
  }
  void erase(silicon::x86::EventSelector selector) {
    rows_[selector.event].reset(selector.unit_mask);
  }
  [[nodiscard]] bool contains(silicon::x86::EventSelector selector) const {
    return rows_[selector.event].test(selector.unit_mask);
  }

  /// With a set of the same vendor.
  SelectorSet& operator|=(const SelectorSet& other) {
    for (std::size_t event = 0; event < rows_.size(); ++event) rows_[event] |= other.rows_[event];
    return *this;
  }
  SelectorSet& operator-=(const SelectorSet& other) {
    for (std::size_t event = 0; event < rows_.size(); ++event) rows_[event] &= ~other.rows_[event];
    return *this;
  }
  void invert() {
    for (UnitMaskSet& row : rows_) row.flip();
  }
  [[nodiscard]] std::size_t size() const {
    std::size_t all = 0;
    for (const UnitMaskSet& row : rows_) all += row.count();
    return all;
  }
  friend bool operator==(const SelectorSet&, const SelectorSet&) = default;

 private:
  silicon::x86::Vendor vendor_;
  std::vector<UnitMaskSet> rows_;
};

}  // namespace vpmu::policy
