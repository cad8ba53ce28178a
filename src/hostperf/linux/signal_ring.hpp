// SPDX-License-Identifier: MIT
//
// A ring that a signal handler fills and any thread empties, without locks. One of each at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace vpmu::hostperf {

template <typename Entry>
class SignalRing {
  static_assert(std::is_trivially_copyable_v<Entry>);

 public:
  /// `size` is a power of two. All its memory is touched now, not by the first signals.
  explicit SignalRing(std::size_t size) : entries_(size) {}

  /// Async-signal-safe. Without room the entry is counted as lost.
  void put(const Entry& entry) noexcept {
    const std::uint64_t at = written_.load(std::memory_order_relaxed);
    if (at - read_.load(std::memory_order_acquire) == entries_.size()) {
      lost_.store(lost_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return;
    }
    entries_[at & (entries_.size() - 1)] = entry;
    written_.store(at + 1, std::memory_order_release);
  }

  /// Calls `take` with each entry, the oldest first. Gives how many there were.
  template <typename Take>
  std::size_t drain(Take take) {
    const std::uint64_t begin = read_.load(std::memory_order_relaxed);
    const std::uint64_t end = written_.load(std::memory_order_acquire);
    for (std::uint64_t at = begin; at != end; ++at) {
      const Entry entry = entries_[at & (entries_.size() - 1)];
      read_.store(at + 1, std::memory_order_release);
      take(entry);
    }
    return end - begin;
  }

  [[nodiscard]] std::uint64_t lost() const noexcept {
    return lost_.load(std::memory_order_relaxed);
  }

 private:
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

  std::vector<Entry> entries_;
  alignas(64) std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> lost_{0};
  alignas(64) std::atomic<std::uint64_t> read_{0};
};

}  // namespace vpmu::hostperf
