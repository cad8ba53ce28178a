// SPDX-License-Identifier: MIT
//
// The decoded blocks of one CPU, found by physical address and mode. Blocks live in chunks that are
// only freed all together: when the cache is full, or never.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// What identifies a block.
struct BlockKey {
  std::uint64_t physical = 0;
  std::uint64_t rip = 0;
  std::uint64_t code_base = 0;
  Mode mode;
};

class BlockCache {
 public:
  /// The most that decoded code may take, in bytes.
  static constexpr std::size_t kCapacity = std::size_t{24} << 20;

  BlockCache();

  /// Null: not there.
  [[nodiscard]] Block* find(const BlockKey& key) const;

  /// A new block with room for `ops` Ops and records, found by `key` from now on. Its Ops are to be
  /// filled in by the caller. `pages`: RAM page indices that its bytes lie in (one or two).
  struct NewBlock {
    Block* block;
    Op* ops;
    OpRecord* records;
  };
  NewBlock add(const BlockKey& key, std::size_t ops, std::size_t page, std::size_t last_page);

  /// True if the next add() might not fit: clear() first, at a moment when no block is running.
  [[nodiscard]] bool full() const { return used_ > kCapacity; }
  void clear();

  /// Takes all blocks with bytes in RAM page `page` out: they are dead, and no edge leads to them.
  void kill_page(std::size_t page);

  [[nodiscard]] std::size_t bytes_used() const { return used_; }

 private:
  static constexpr std::size_t kBuckets = 1 << 14;
  static constexpr std::size_t kChunk = std::size_t{256} << 10;

  static std::size_t bucket_of(const BlockKey& key);
  void* allocate(std::size_t bytes);
  void kill(Block* block);

  std::vector<Block*> buckets_;
  std::unordered_map<std::size_t, std::vector<Block*>> by_page_;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::size_t chunk_left_ = 0;
  std::size_t used_ = 0;
};

/// Links an edge to a block: from now on the edge is followed without looking.
void link(EdgeRef edge, Block& target);

}  // namespace vpmu::machine::x86
