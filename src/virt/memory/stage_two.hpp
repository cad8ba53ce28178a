// SPDX-License-Identifier: MIT
//
// The stage 2 entries of a slot: pages and blocks of 2 MiB, each absent, readable or writable. What
// they map to follows from the slot. Two bits for each page, which have memory only where
// pages are mapped singly, and a byte for each block.
//
// One thread at a time changes it; others may ask meanwhile, and see an entry as it was or as it
// is.
#pragma once

#include <cstdint>

#include "virt/memory/host_array.hpp"

namespace vpmu::virt::memory {

/// Of an entry.
struct StageTwoState {
  bool mapped = false;
  bool writable = false;
  bool block = false;
};

class StageTwo {
 public:
  /// `blocks`: where pages and their memory lie alike in blocks of 2 MiB, those may be used.
  StageTwo(PinningHost& host, const MemorySlot& slot, bool blocks);
  [[nodiscard]] bool valid() const {
    return blocks_.valid() && mapped_.valid() && writable_.valid();
  }
  [[nodiscard]] std::size_t bytes() const {
    return blocks_.bytes() + mapped_.bytes() + writable_.bytes();
  }
  [[nodiscard]] const PageLayout& layout() const { return layout_; }

  [[nodiscard]] StageTwoState state(std::uint64_t page) const;
  [[nodiscard]] bool block_possible(std::uint64_t block) const {
    return congruent_ && layout_.block_end(block) - layout_.block_first(block) == kPagesPerBlock;
  }

  /// A fault may be answered with a block: it is one, or nothing in it is mapped.
  [[nodiscard]] bool block_free(std::uint64_t block) const;

  /// Blocks where they are possible, wanted and whole. What was writable stays so.
  void map(std::uint64_t first, std::uint64_t end, bool writable, bool blocks);
  /// Takes blocks apart where they are not meant as a whole.
  void unmap(std::uint64_t first, std::uint64_t end);
  /// As pages, readable still.
  void write_protect(std::uint64_t first, std::uint64_t end);

 private:
  static constexpr std::uint8_t kBlockMapped = 1, kBlockWritable = 2;

  [[nodiscard]] static bool any(const PageBits& bits, std::uint64_t block);
  void split(std::uint64_t block);

  PageLayout layout_;
  bool congruent_;
  HostArray<std::uint8_t> blocks_;
  PageBits mapped_, writable_;
};

}  // namespace vpmu::virt::memory
