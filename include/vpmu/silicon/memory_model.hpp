// SPDX-License-Identifier: MIT
//
// A memory hierarchy that decides which data accesses miss: a first- and second-level data cache
// and two levels of data TLB per vCPU, and a last-level cache that all vCPUs share. Sets are
// replaced least recently used; writes allocate; nothing is prefetched. Levels do not include each
// other: a line that one of them drops stays where else it is. There is no coherence: a vCPU that
// writes a line takes it from nobody.
//
// It only decides what is counted, and changes no cycles. The CPU shows it every access while
// somebody demands one of its events, and otherwise none; what it has seen stays in it meanwhile,
// but for the TLBs, which are flushed whenever the CPU's is.
//
// Storage is allocated at set-up, and costs memory where it was used only. Deterministic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/memory_hierarchy.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::silicon {

/// Sets of keys, each of which keeps the keys used last: a cache by line number, a TLB by page.
class LruSets {
 public:
  /// `sets`: a power of two, or 0 as `ways`: holds nothing then.
  LruSets(std::uint32_t sets, std::uint32_t ways);

  /// Makes `key` the last used one of its set, where it may take the place of the one used least
  /// recently. True: it was there. `key` < 2^64 - 1.
  bool touch(std::uint64_t key) {
    std::uint64_t* set = &slots_[(key & set_mask_) * ways_];
    return *set == key + 1 || touch_slowly(set, key + 1);
  }
  void forget(std::uint64_t key);
  void clear();

  /// All keys; of one set the least recently used first. Any order of sets.
  [[nodiscard]] std::vector<std::uint64_t> save() const;
  /// Forgets everything, then touches `keys`. Refused, and nothing has changed: no such key.
  Result<void> restore(std::span<const std::uint64_t> keys);

 private:
  struct Free {
    void operator()(std::uint64_t* slots) const { std::free(slots); }
  };
  bool touch_slowly(std::uint64_t* set, std::uint64_t slot);
  [[nodiscard]] std::size_t slot_count() const { return (std::size_t{set_mask_} + 1) * ways_; }

  /// By set, last used first: key + 1, or 0.
  std::unique_ptr<std::uint64_t[], Free> slots_;
  std::uint32_t set_mask_ = 0;
  std::uint32_t ways_ = 0;
  std::size_t held_ = 0;  ///< keys
};

class MemoryModel {
 public:
  static constexpr unsigned kLineShift = 6, kPageShift = 12;
  /// An access of up to 64 bytes counts any event at most so often: it may touch two lines and two
  /// pages.
  static constexpr std::uint64_t kMostPerAccess = 2;

  /// `llc`, which other vCPUs' models may share, and `totals` must outlive the model.
  MemoryModel(const MemoryHierarchy& hierarchy, LruSets& llc, RetireTotals& totals)
      : l1d_{hierarchy.l1d.sets, hierarchy.l1d.ways},
        l2_{hierarchy.l2.sets, hierarchy.l2.ways},
        dtlb_{hierarchy.dtlb.sets, hierarchy.dtlb.ways},
        stlb_{hierarchy.stlb.sets, hierarchy.stlb.ways},
        llc_{llc},
        totals_{totals} {}

  /// An access, or the part of one that lies in a page. `bytes` is not 0.
  struct Access {
    std::uint64_t linear;
    std::uint64_t physical;
    unsigned bytes;
    bool write;
    Privilege privilege;
  };
  /// Adds to the totals what the access missed. Every line that it touches counts by itself.
  void see(const Access& access) {
    if (!dtlb_.touch(access.linear >> kPageShift)) translate(access);
    const std::uint64_t first = access.physical >> kLineShift;
    const std::uint64_t last = (access.physical + access.bytes - 1) >> kLineShift;
    for (std::uint64_t line = first; line <= last; ++line) {
      if (!l1d_.touch(line)) fetch(access, line);
    }
  }

  /// CLFLUSH by this vCPU: the line is in none of the caches any more (other vCPUs' own excepted).
  void flush_line(std::uint64_t physical);
  /// All translations, global ones too. Costs nothing if there are none.
  void flush_tlb();

  struct State {
    std::vector<std::uint64_t> l1d, l2, dtlb, stlb;  ///< as LruSets::save()
    friend bool operator==(const State&, const State&) = default;
  };
  /// Without the last level, which has its own.
  [[nodiscard]] State save() const;
  Result<void> restore(const State& state);

 private:
  /// The first-level TLB does not have the page.
  void translate(const Access& access);
  /// The first-level cache does not have the line.
  void fetch(const Access& access, std::uint64_t line);

  LruSets l1d_, l2_, dtlb_, stlb_;
  LruSets& llc_;
  RetireTotals& totals_;
};

}  // namespace vpmu::silicon
