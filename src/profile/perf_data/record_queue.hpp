// SPDX-License-Identifier: MIT
//
// Puts records in order of time, as perf does: a round's end says that everything up to the highest
// time before the previous round's end has come. Holds two rounds, and never more than kMost
// records: then the older half goes on, and what comes too late for its place is late.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace vpmu::profile::perf_data {

class RecordQueue {
 public:
  struct Entry {
    std::uint64_t time;
    std::uint64_t offset;  ///< of the record in the file
  };
  static constexpr std::size_t kMost = std::size_t{1} << 22;

  void add(std::uint64_t time, std::uint64_t offset) {
    sorted_ = sorted_ && time >= highest_;
    highest_ = std::max(highest_, time);
    entries_.push_back({time, offset});
  }
  [[nodiscard]] bool full() const { return entries_.size() >= kMost; }

  /// Each calls deliver(offset) for what is now in order, until it returns false; so do they.
  template <class Deliver>
  bool end_round(Deliver deliver) {
    const std::uint64_t limit = previous_highest_;
    previous_highest_ = highest_;
    sort();
    const auto end =
        std::upper_bound(entries_.begin(), entries_.end(), limit,
                         [](std::uint64_t time, const Entry& entry) { return time < entry.time; });
    return hand_out(static_cast<std::size_t>(end - entries_.begin()), deliver);
  }
  template <class Deliver>
  bool make_room(Deliver deliver) {
    sort();
    return hand_out(entries_.size() / 2, deliver);
  }
  template <class Deliver>
  bool end(Deliver deliver) {
    sort();
    return hand_out(entries_.size(), deliver);
  }

 private:
  void sort() {
    if (sorted_) return;
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return a.time != b.time ? a.time < b.time : a.offset < b.offset;
    });
    sorted_ = true;
  }
  template <class Deliver>
  bool hand_out(std::size_t count, Deliver& deliver) {
    for (std::size_t n = 0; n < count; ++n) {
      if (!deliver(entries_[n].offset)) return false;
    }
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count));
    return true;
  }

  std::vector<Entry> entries_;
  bool sorted_ = true;
  std::uint64_t highest_ = 0;
  std::uint64_t previous_highest_ = 0;
};

}  // namespace vpmu::profile::perf_data
