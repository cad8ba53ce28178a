// SPDX-License-Identifier: MIT
#include "virt/memory/stage_two.hpp"

namespace vpmu::virt::memory {

namespace {

std::uint64_t page_in_block(std::uint64_t address) {
  return address / kPageBytes % kPagesPerBlock;
}

}  // namespace

StageTwo::StageTwo(PinningHost& host, const MemorySlot& slot, bool blocks)
    : layout_{slot.bytes / kPageBytes, page_in_block(raw(slot.begin))},
      congruent_{blocks &&
                 page_in_block(reinterpret_cast<std::uintptr_t>(slot.host)) == layout_.offset},
      blocks_{host, layout_.blocks()},
      mapped_{host, layout_.bits()},
      writable_{host, layout_.bits()} {}

StageTwoState StageTwo::state(std::uint64_t page) const {
  const std::uint8_t block = blocks_.load(layout_.block_of(page));
  if (block != 0) return {true, (block & kBlockWritable) != 0, true};
  const std::uint64_t bit = page + layout_.offset;
  return {mapped_.test(bit), writable_.test(bit), false};
}

bool StageTwo::any(const PageBits& bits, std::uint64_t block) {
  constexpr std::uint64_t kWords = kPagesPerBlock / 64;
  for (std::uint64_t word = block * kWords; word < (block + 1) * kWords; ++word) {
    if (bits.load(word) != 0) return true;
  }
  return false;
}

bool StageTwo::block_free(std::uint64_t block) const {
  return block_possible(block) && (blocks_.load(block) != 0 || !any(mapped_, block));
}

void StageTwo::map(std::uint64_t first, std::uint64_t end, bool writable, bool blocks) {
  layout_.for_blocks(first, end, [&](std::uint64_t block, std::uint64_t from, std::uint64_t to) {
    const std::uint8_t before = blocks_.load(block);
    const bool whole = block_possible(block) && to - from == kPagesPerBlock;
    if (blocks && whole && (before != 0 || writable || !any(writable_, block))) {
      const auto wanted = static_cast<std::uint8_t>(kBlockMapped | (writable ? kBlockWritable : 0));
      blocks_.store(block, before | wanted);
      return;
    }
    if (before != 0) {
      if (!writable || (before & kBlockWritable) != 0) return;
      split(block);
    }
    if (writable) writable_.set_range(from + layout_.offset, to + layout_.offset);
    mapped_.set_range(from + layout_.offset, to + layout_.offset);
  });
}

void StageTwo::unmap(std::uint64_t first, std::uint64_t end) {
  layout_.for_blocks(first, end, [&](std::uint64_t block, std::uint64_t from, std::uint64_t to) {
    if (blocks_.load(block) != 0 && to - from != kPagesPerBlock) split(block);
    mapped_.clear_range(from + layout_.offset, to + layout_.offset);
    writable_.clear_range(from + layout_.offset, to + layout_.offset);
    blocks_.store(block, 0);
  });
}

void StageTwo::write_protect(std::uint64_t first, std::uint64_t end) {
  layout_.for_blocks(first, end, [&](std::uint64_t block, std::uint64_t from, std::uint64_t to) {
    if (blocks_.load(block) != 0) split(block);
    writable_.clear_range(from + layout_.offset, to + layout_.offset);
  });
}

void StageTwo::split(std::uint64_t block) {
  const std::uint64_t first = block * kPagesPerBlock, end = first + kPagesPerBlock;
  mapped_.set_range(first, end);
  if ((blocks_.load(block) & kBlockWritable) != 0)
    writable_.set_range(first, end);
  else
    writable_.clear_range(first, end);
  blocks_.store(block, 0);
}

}  // namespace vpmu::virt::memory
