// SPDX-License-Identifier: MIT
//
// Which pages of a slot are pinned: a count for each 2 MiB block, and a bit for each page, which is
// looked at (and has memory) only where a block is not pinned as a whole.
//
// One thread at a time changes it; others may ask meanwhile.
#pragma once

#include <cstdint>
#include <memory>

#include "virt/memory/host_array.hpp"

namespace vpmu::virt::memory {

class PinMap {
 public:
  PinMap(PinningHost& host, const PageLayout& layout)
      : layout_{layout}, counts_{host, layout.blocks()}, bits_{host, layout.bits()} {}
  /// The host had memory for it.
  [[nodiscard]] bool valid() const { return counts_.valid() && bits_.valid(); }
  [[nodiscard]] std::size_t bytes() const { return counts_.bytes() + bits_.bytes(); }

  [[nodiscard]] bool pinned(std::uint64_t page) const;
  [[nodiscard]] std::uint64_t pinned_in(std::uint64_t first, std::uint64_t end) const;

  /// From `first` on, at most up to `end`, pages of which all are pinned, or none.
  struct Run {
    std::uint64_t end;
    bool pinned;
  };
  [[nodiscard]] Run run(std::uint64_t first, std::uint64_t end) const;

  /// Of these pages none is pinned; then all are. And the other way round.
  void set(std::uint64_t first, std::uint64_t end);
  void clear(std::uint64_t first, std::uint64_t end);

  /// For whoever asks for many (SlotPages).
  [[nodiscard]] const std::uint32_t* counts() const { return counts_.data(); }
  [[nodiscard]] const std::uint64_t* bits() const { return bits_.data(); }

 private:
  static constexpr std::uint32_t kWhole = kPagesPerBlock;  ///< count: the bits say nothing

  void set_bits(std::uint64_t first, std::uint64_t end) const {
    bits_.set_range(first + layout_.offset, end + layout_.offset);
  }
  void clear_bits(std::uint64_t first, std::uint64_t end) const {
    bits_.clear_range(first + layout_.offset, end + layout_.offset);
  }

  PageLayout layout_;
  HostArray<std::uint32_t> counts_;
  PageBits bits_;
};

}  // namespace vpmu::virt::memory
