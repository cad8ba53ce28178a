// SPDX-License-Identifier: MIT
#include "machine/x86/block_cache.hpp"

#include <algorithm>
#include <new>

namespace vpmu::machine::x86 {

BlockCache::BlockCache() : buckets_(kBuckets) {}

std::size_t BlockCache::bucket_of(const BlockKey& key) {
  const std::uint64_t mixed =
      (key.physical ^ key.rip << 7 ^ std::uint64_t{key.mode.bits} << 40) * 0x9e3779b97f4a7c15;
  return mixed >> 50;
}

Block* BlockCache::find(const BlockKey& key) const {
  for (Block* block = buckets_[bucket_of(key)]; block != nullptr; block = block->next_in_bucket) {
    if (block->physical == key.physical && block->rip == key.rip && block->mode == key.mode &&
        block->cs_base == key.code_base)
      return block;
  }
  return nullptr;
}

void* BlockCache::allocate(std::size_t bytes) {
  bytes = (bytes + 63) & ~std::size_t{63};
  if (bytes > chunk_left_) {
    chunks_.push_back(std::make_unique<std::byte[]>(kChunk + 64));
    chunk_left_ = kChunk;
  }
  auto base = reinterpret_cast<std::uintptr_t>(chunks_.back().get());
  base = (base + 63) & ~std::uintptr_t{63};
  void* at = reinterpret_cast<void*>(base + kChunk - chunk_left_);
  chunk_left_ -= bytes;
  used_ += bytes;
  return at;
}

BlockCache::NewBlock BlockCache::add(const BlockKey& key, std::size_t ops, std::size_t page,
                                     std::size_t last_page) {
  // Ops first: they are what runs. The block's own hot members share its first cache lines.
  auto* op = static_cast<Op*>(allocate(ops * sizeof(Op)));
  auto* block = new (allocate(sizeof(Block))) Block;
  auto* records = static_cast<OpRecord*>(allocate(ops * sizeof(OpRecord)));
  std::uninitialized_default_construct_n(op, ops);
  std::uninitialized_default_construct_n(records, ops);
  block->ops = op;
  block->records = records;
  block->rip = key.rip;
  block->physical = key.physical;
  block->mode = key.mode;
  block->cs_base = key.code_base;
  Block*& bucket = buckets_[bucket_of(key)];
  block->next_in_bucket = bucket;
  bucket = block;
  by_page_[page].push_back(block);
  if (last_page != page) by_page_[last_page].push_back(block);
  return {block, op, records};
}

void BlockCache::clear() {
  std::fill(buckets_.begin(), buckets_.end(), nullptr);
  by_page_.clear();
  chunks_.clear();
  chunk_left_ = 0;
  used_ = 0;
}

void BlockCache::kill(Block* block) {
  if (block->dead) return;
  block->dead = true;
  Block** at = &buckets_[bucket_of({block->physical, block->rip, block->cs_base, block->mode})];
  while (*at != nullptr && *at != block) at = &(*at)->next_in_bucket;
  if (*at == block) *at = block->next_in_bucket;
  for (EdgeRef ref = block->incoming; ref;) {
    Block& from = ref.block();
    const unsigned number = ref.number();
    ref = from.next_incoming[number];
    from.edge[number].target = nullptr;
    from.listed_in[number] = nullptr;
    from.next_incoming[number] = EdgeRef{};
  }
  block->incoming = EdgeRef{};
}

void BlockCache::kill_page(std::size_t page) {
  const auto found = by_page_.find(page);
  if (found == by_page_.end()) return;
  for (Block* block : found->second) kill(block);
  by_page_.erase(found);
}

void link(EdgeRef edge, Block& target) {
  Block& from = edge.block();
  const unsigned number = edge.number();
  from.edge[number].target = &target;
  if (from.listed_in[number] == &target) return;
  if (from.listed_in[number] != nullptr) {
    EdgeRef* at = &from.listed_in[number]->incoming;
    while (*at && *at != edge) at = &at->block().next_incoming[at->number()];
    if (*at) *at = from.next_incoming[number];
  }
  from.listed_in[number] = &target;
  from.next_incoming[number] = target.incoming;
  target.incoming = edge;
}

}  // namespace vpmu::machine::x86
