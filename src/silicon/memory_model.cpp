// SPDX-License-Identifier: MIT
#include "vpmu/silicon/memory_model.hpp"

#include <algorithm>
#include <bit>

#include "vpmu/base/ensure.hpp"

namespace vpmu::silicon {

// ---- Sets ---------------------------------------------------------------------------------------

LruSets::LruSets(std::uint32_t sets, std::uint32_t ways) {
  ensure((sets == 0 || std::has_single_bit(sets)) && (sets == 0) == (ways == 0));
  set_mask_ = sets == 0 ? 0 : sets - 1;
  ways_ = ways;
  // Of zeroed memory that is never touched none exists. One slot is always there to be looked at.
  const std::size_t slots = std::max<std::size_t>(slot_count(), 1);
  slots_.reset(static_cast<std::uint64_t*>(std::calloc(slots, sizeof(std::uint64_t))));
  ensure(slots_ != nullptr);
}

bool LruSets::touch_slowly(std::uint64_t* set, std::uint64_t slot) {
  if (ways_ == 0) return false;
  std::uint64_t* end = set + ways_;
  std::uint64_t* found = std::find(set + 1, end, slot);
  const bool hit = found != end;
  if (!hit) {
    --found;
    if (*found == 0) ++held_;
  }
  std::copy_backward(set, found, found + 1);
  *set = slot;
  return hit;
}

void LruSets::forget(std::uint64_t key) {
  std::uint64_t* set = &slots_[(key & set_mask_) * ways_];
  std::uint64_t* end = set + ways_;
  std::uint64_t* found = std::find(set, end, key + 1);
  if (found == end) return;
  std::copy(found + 1, end, found);
  end[-1] = 0;
  --held_;
}

void LruSets::clear() {
  if (held_ == 0) return;
  std::fill_n(slots_.get(), slot_count(), 0);
  held_ = 0;
}

std::vector<std::uint64_t> LruSets::save() const {
  std::vector<std::uint64_t> keys;
  keys.reserve(held_);
  for (std::size_t set = 0; keys.size() < held_; set += ways_) {
    for (std::size_t n = set + ways_; n-- > set;) {
      if (slots_[n] != 0) keys.push_back(slots_[n] - 1);
    }
  }
  return keys;
}

Result<void> LruSets::restore(std::span<const std::uint64_t> keys) {
  if (std::ranges::find(keys, ~std::uint64_t{0}) != keys.end())
    return fail("a cache or TLB cannot hold the last of all lines or pages");
  clear();
  for (const std::uint64_t key : keys) touch(key);
  return {};
}

// ---- The hierarchy ------------------------------------------------------------------------------

void MemoryModel::translate(const Access& access) {
  totals_.add(RawEvent::kDtlbMisses, access.privilege, 1);
  if (stlb_.touch(access.linear >> kPageShift)) return;
  totals_.add(RawEvent::kDtlbWalks, access.privilege, 1);
  totals_.add(access.write ? RawEvent::kDtlbStoreWalks : RawEvent::kDtlbLoadWalks, access.privilege,
              1);
}

void MemoryModel::fetch(const Access& access, std::uint64_t line) {
  totals_.add(RawEvent::kL1dMisses, access.privilege, 1);
  if (!access.write) totals_.add(RawEvent::kL1dLoadMisses, access.privilege, 1);
  if (l2_.touch(line)) return;
  totals_.add(RawEvent::kLlcReferences, access.privilege, 1);
  if (!llc_.touch(line)) totals_.add(RawEvent::kLlcMisses, access.privilege, 1);
}

void MemoryModel::flush_line(std::uint64_t physical) {
  for (LruSets* cache : {&l1d_, &l2_, &llc_}) cache->forget(physical >> kLineShift);
}

void MemoryModel::flush_tlb() {
  dtlb_.clear();
  stlb_.clear();
}

MemoryModel::State MemoryModel::save() const {
  return {l1d_.save(), l2_.save(), dtlb_.save(), stlb_.save()};
}

Result<void> MemoryModel::restore(const State& state) {
  return l1d_.restore(state.l1d)
      .and_then([&] { return l2_.restore(state.l2); })
      .and_then([&] { return dtlb_.restore(state.dtlb); })
      .and_then([&] { return stlb_.restore(state.stlb); });
}

}  // namespace vpmu::silicon
