// SPDX-License-Identifier: MIT
#include "virt/memory/range_counts.hpp"

#include <algorithm>
#include <iterator>

namespace vpmu::virt::memory {

RangeCounts::Map::iterator RangeCounts::begin_at(std::uint64_t page) {
  const auto next = from_.lower_bound(page);
  if (next != from_.end() && next->first == page) return next;
  const Counts before = next == from_.begin() ? Counts{} : std::prev(next)->second;
  return from_.emplace_hint(next, page, before);
}

void RangeCounts::merge_at(std::uint64_t page) {
  const auto at = from_.find(page);
  if (at == from_.end()) return;
  const Counts before = at == from_.begin() ? Counts{} : std::prev(at)->second;
  if (at->second == before) from_.erase(at);
}

void RangeCounts::add(std::uint64_t first, std::uint64_t end, bool write) {
  const auto last = begin_at(end);
  for (auto at = begin_at(first); at != last; ++at) {
    ++at->second.locks;
    if (write) ++at->second.writes;
  }
  merge_at(first);
  merge_at(end);
}

void RangeCounts::remove(std::uint64_t first, std::uint64_t end, bool write) {
  const auto last = begin_at(end);
  for (auto at = begin_at(first); at != last; ++at) {
    --at->second.locks;
    if (write) --at->second.writes;
  }
  merge_at(first);
  merge_at(end);
}

RangeCounts::Piece RangeCounts::piece(std::uint64_t first, std::uint64_t end) const {
  const auto next = from_.upper_bound(first);
  const Counts counts = next == from_.begin() ? Counts{} : std::prev(next)->second;
  return {next == from_.end() ? end : std::min(end, next->first), counts};
}

}  // namespace vpmu::virt::memory
