// SPDX-License-Identifier: MIT
//
// How many locks of ranges there are on each page: an interval map with reference counts.
#pragma once

#include <cstdint>
#include <map>

namespace vpmu::virt::memory {

class RangeCounts {
 public:
  struct Counts {
    std::uint32_t locks = 0;
    std::uint32_t writes = 0;  ///< of those, for writing, too
    friend bool operator==(const Counts&, const Counts&) = default;
  };
  /// From where it was asked for, pages with the same counts.
  struct Piece {
    std::uint64_t end;
    Counts counts;
  };

  void add(std::uint64_t first, std::uint64_t end, bool write);
  /// What was added, exactly.
  void remove(std::uint64_t first, std::uint64_t end, bool write);
  [[nodiscard]] bool empty() const { return from_.empty(); }
  /// At most up to `end`.
  [[nodiscard]] Piece piece(std::uint64_t first, std::uint64_t end) const;

 private:
  using Map = std::map<std::uint64_t, Counts>;
  Map::iterator begin_at(std::uint64_t page);
  void merge_at(std::uint64_t page);

  Map from_;  ///< counts from a page up to the next entry; the first and the last gap have none
};

}  // namespace vpmu::virt::memory
