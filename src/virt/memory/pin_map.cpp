// SPDX-License-Identifier: MIT
#include "virt/memory/pin_map.hpp"

namespace vpmu::virt::memory {

bool PinMap::pinned(std::uint64_t page) const {
  const std::uint64_t block = layout_.block_of(page);
  const std::uint32_t count = counts_.load(block);
  if (count == 0) return false;
  return count == kWhole || bits_.test(page + layout_.offset);
}

std::uint64_t PinMap::pinned_in(std::uint64_t first, std::uint64_t end) const {
  std::uint64_t count = 0;
  while (first < end) {
    const Run piece = run(first, end);
    if (piece.pinned) count += piece.end - first;
    first = piece.end;
  }
  return count;
}

PinMap::Run PinMap::run(std::uint64_t first, std::uint64_t end) const {
  const bool is_pinned = pinned(first);
  while (first < end) {
    const std::uint64_t block = layout_.block_of(first);
    const std::uint32_t count = counts_.load(block);
    if (count == (is_pinned ? kWhole : 0)) {
      first = layout_.block_end(block);
      continue;
    }
    if (pinned(first) != is_pinned) break;
    ++first;
  }
  return {first < end ? first : end, is_pinned};
}

void PinMap::set(std::uint64_t first, std::uint64_t end) {
  layout_.for_blocks(first, end, [this](std::uint64_t block, std::uint64_t from, std::uint64_t to) {
    const std::uint32_t before = counts_.load(block);
    const std::uint32_t count = before + static_cast<std::uint32_t>(to - from);
    if (count != kWhole) {
      // What is in the bits is from a time when the block was pinned in part.
      if (before == 0) clear_bits(layout_.block_first(block), layout_.block_end(block));
      set_bits(from, to);
    }
    counts_.store(block, count);
  });
}

void PinMap::clear(std::uint64_t first, std::uint64_t end) {
  layout_.for_blocks(first, end, [this](std::uint64_t block, std::uint64_t from, std::uint64_t to) {
    const std::uint32_t before = counts_.load(block);
    const std::uint32_t count = before - static_cast<std::uint32_t>(to - from);
    if (count != 0) {
      if (before == kWhole) set_bits(layout_.block_first(block), layout_.block_end(block));
      clear_bits(from, to);
    }
    counts_.store(block, count);
  });
}

}  // namespace vpmu::virt::memory
