// SPDX-License-Identifier: MIT
//
// The PMU event filter as its definition reads (docs/abi/event-filter.md): a structure's bytes in,
// an errno or decisions out. Slow, obviously right, and sharing nothing with src/virt: it knows
// neither its types nor its constants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace vpmu::property {

class ReferenceFilter {
 public:
  /// Of bytes that are all the memory there is.
  ReferenceFilter(std::span<const std::uint8_t> bytes, bool amd);

  /// What the ioctl would return, positive; 0: it is a filter, and the rest may be asked.
  [[nodiscard]] int error() const { return error_; }
  /// The entry that made it an error, if one did.
  [[nodiscard]] std::optional<std::size_t> bad_entry() const { return bad_entry_; }

  struct Decision {
    bool admitted;
    std::optional<std::size_t> include, exclude;  ///< the first entry of each that matches
  };
  /// Bits 7:0 (Intel) or 11:0 (AMD) of `event` are the event select.
  [[nodiscard]] Decision decide(std::uint32_t event, std::uint32_t unit_mask) const;
  [[nodiscard]] bool admits_fixed(unsigned k) const;

  [[nodiscard]] std::size_t entries() const { return entries_.size(); }
  /// The event select of an entry, which need not be one.
  [[nodiscard]] std::uint32_t event_of(std::size_t entry) const;
  [[nodiscard]] std::uint32_t match_of(std::size_t entry) const {
    return static_cast<std::uint32_t>(entries_[entry] >> 8 & 0xff);
  }

 private:
  [[nodiscard]] int check(std::span<const std::uint8_t> bytes);
  [[nodiscard]] bool matches(std::size_t entry, bool exclude, std::uint32_t event,
                             std::uint32_t unit_mask) const;

  bool amd_;
  std::uint64_t action_ = 0, bitmap_ = 0, flags_ = 0;
  std::vector<std::uint64_t> entries_;
  std::optional<std::size_t> bad_entry_;
  int error_;
};

}  // namespace vpmu::property
