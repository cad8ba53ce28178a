// SPDX-License-Identifier: MIT
//
// The pages of a vCPU's profiling buffers, pinned: the one in use, and the last few that were. A
// guest's driver switches its buffer off and on at each context switch; a buffer that comes back is
// pinned still.
//
//   buffer becomes enabled:  if (!cache.reuse(key, now)) cache.pin(key, pages of the buffer, now);
//   buffer is disabled:      cache.release(now);
//
// A buffer is the same if its key is, or if it lies in one that is pinned: drivers go on behind
// what was recorded. If only the key's generation is another, the guest may have changed its
// tables: the VMM walks them again, and pin() compares. `now`, in any unit, is for drop_older()
// alone. Belongs to the vCPU's thread; what vCPUs share is their budget.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <vector>

#include "vpmu/base/errno_error.hpp"
#include "vpmu/virt/memory/address_space.hpp"

namespace vpmu::virt::memory {

/// So many bytes of buffers may all vCPUs of a VM have pinned.
class PinBudget {
 public:
  explicit PinBudget(std::uint64_t bytes) : left_{bytes} {}
  bool take(std::uint64_t bytes) {
    std::uint64_t left = left_;
    do {
      if (bytes > left) return false;
    } while (!left_.compare_exchange_weak(left, left - bytes));
    return true;
  }
  void give_back(std::uint64_t bytes) { left_ += bytes; }
  [[nodiscard]] std::uint64_t left() const { return left_; }

 private:
  std::atomic<std::uint64_t> left_;
};

struct PinCacheConfig {
  unsigned buffers = 4;                          ///< at least 1: that in use, and as many idle ones
  std::uint64_t most_bytes = ~std::uint64_t{0};  ///< of all of them; what PMBIDR_EL1 may tell
  PinBudget* budget = nullptr;                   ///< null: none. Outlives the cache
};

/// What a buffer is known by.
struct BufferKey {
  std::uint64_t root = 0;   ///< translation table base and ASID
  std::uint64_t begin = 0;  ///< its first page
  std::uint64_t limit = 0;
  std::uint64_t generation =
      0;  ///< of the guest's tables: another one after each change that was seen

  [[nodiscard]] bool same_place(const BufferKey& other) const {
    return root == other.root && begin == other.begin && limit == other.limit;
  }
  /// All of the other's pages are among its own, which were found by the same tables.
  [[nodiscard]] bool covers(const BufferKey& other) const {
    return root == other.root && begin <= other.begin && limit >= other.limit &&
           generation == other.generation;
  }
  friend bool operator==(const BufferKey&, const BufferKey&) = default;
};

struct PinCacheStatistics {
  std::uint64_t hits = 0;       ///< by key: no work at all
  std::uint64_t rewalks = 0;    ///< walked again, and found as they were
  std::uint64_t pins = 0;       ///< buffers that were pinned
  std::uint64_t evictions = 0;  ///< idle buffers that had to go

  friend bool operator==(const PinCacheStatistics&, const PinCacheStatistics&) = default;
};

/// Plain data, for saving.
struct PinCacheState {
  /// Pages that follow one another.
  struct Run {
    std::uint64_t begin = 0;
    std::uint64_t pages = 0;
    friend bool operator==(const Run&, const Run&) = default;
  };
  struct Buffer {
    BufferKey key;
    std::uint64_t used = 0;
    std::vector<Run> runs;
    friend bool operator==(const Buffer&, const Buffer&) = default;
  };
  std::vector<Buffer> buffers;  ///< the most recently used first
  bool in_use = false;          ///< the first of them is
  PinCacheStatistics statistics;
  friend bool operator==(const PinCacheState&, const PinCacheState&) = default;
};

class PinCache {
 public:
  PinCache(AddressSpace& space, const PinCacheConfig& config);
  ~PinCache();
  PinCache(const PinCache&) = delete;
  PinCache& operator=(const PinCache&) = delete;

  /// The buffer with that key, or one that covers it, is pinned: it is in use now.
  bool reuse(const BufferKey& key, std::uint64_t now = 0);
  /// The buffer has these pages, in its order, each the address of a page; it is pinned and in use
  /// now. What was in use before is idle. Idle ones go, the least recently used first, if it would
  /// be too many, or too many bytes, or the host refuses. Errors; the old buffer is idle then:
  ///   EFBIG   more than the cache or the budget may ever have, or has left ("buffer too large")
  ///   EFAULT  a page that is no guest memory
  ///   others  of AddressSpace::lock_range(), EPERM for read-only memory and ENOMEM for
  ///           RLIMIT_MEMLOCK among them
  ErrnoResult<void> pin(const BufferKey& key, std::span<const GuestPhysical> pages,
                        std::uint64_t now = 0);
  /// None is in use.
  void release(std::uint64_t now = 0);

  /// Idle buffers go, the least recently used first, until so many bytes have been unpinned: for
  /// when memory is short. How many were.
  std::uint64_t drop(std::uint64_t bytes);
  /// Idle ones that were used, or released, before `time` the last time: for a timer.
  void drop_older(std::uint64_t time);
  /// Idle ones and that in use: before slots change.
  void drop_all();

  [[nodiscard]] PinCacheState save() const;
  /// On a cache without buffers. Errors as pin(), and EINVAL: no state of a cache like this. It has
  /// none then.
  ErrnoResult<void> restore(const PinCacheState& state);

  [[nodiscard]] std::uint64_t pinned_bytes() const { return bytes_; }
  [[nodiscard]] unsigned buffers() const { return static_cast<unsigned>(buffers_.size()); }
  [[nodiscard]] const PinCacheStatistics& statistics() const { return statistics_; }

 private:
  struct Buffer {
    BufferKey key;
    std::vector<GuestPhysical> pages;
    std::vector<RangeLock> locks;
    std::uint64_t used = 0;  ///< the last time

    [[nodiscard]] std::uint64_t bytes() const { return pages.size() * kPageBytes; }
  };
  using Buffers = std::list<Buffer>;

  void use(Buffers::iterator buffer, std::uint64_t now);
  void remove(Buffers::iterator buffer);
  bool evict();
  bool make_room(std::uint64_t bytes);
  ErrnoResult<void> lock_pages(Buffer& buffer);
  ErrnoResult<RangeLock> lock_run(GuestPhysical begin, std::uint64_t bytes);

  AddressSpace& space_;
  const PinCacheConfig config_;
  Buffers buffers_;  ///< the most recently used first; in_use_: the first is in use
  bool in_use_ = false;
  std::uint64_t bytes_ = 0;
  PinCacheStatistics statistics_;
};

}  // namespace vpmu::virt::memory
