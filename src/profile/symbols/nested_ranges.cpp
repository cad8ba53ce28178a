// SPDX-License-Identifier: MIT
#include "profile/symbols/nested_ranges.hpp"

#include <algorithm>

namespace vpmu::profile {

NestedRanges::NestedRanges(const std::vector<AddressRange>& ranges) {
  std::vector<std::uint32_t> open;  // the innermost last
  std::uint64_t done = 0;           // pieces are made up to here
  const auto close_until = [&](std::uint64_t address) {
    while (!open.empty() && ranges[open.back()].end <= address) {
      add(done, ranges[open.back()].end, open.back());
      done = std::max(done, ranges[open.back()].end);
      open.pop_back();
    }
  };
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].end <= ranges[i].start) continue;
    close_until(ranges[i].start);
    if (!open.empty()) add(done, ranges[i].start, open.back());
    done = ranges[i].start;
    open.push_back(static_cast<std::uint32_t>(i));
  }
  close_until(~std::uint64_t{0});
  starts_.shrink_to_fit();
  ranges_.shrink_to_fit();
}

void NestedRanges::add(std::uint64_t start, std::uint64_t end, std::uint32_t range) {
  if (end <= start) return;
  // What was nobody's up to here begins where the piece before ended: that one's end marker.
  if (!starts_.empty() && starts_.back() == start) {
    ranges_.back() = range;
  } else {
    starts_.push_back(start);
    ranges_.push_back(range);
  }
  starts_.push_back(end);
  ranges_.push_back(kNone);
}

std::uint32_t NestedRanges::find(std::uint64_t address) const {
  // Without a branch that depends on the address: those are mispredicted every second time.
  const std::uint64_t* first = starts_.data();
  std::size_t length = starts_.size();
  if (length == 0 || address < *first) return kNone;
  while (length > 1) {
    const std::size_t half = length / 2;
    first += first[half] <= address ? half : 0;
    length -= half;
  }
  return ranges_[static_cast<std::size_t>(first - starts_.data())];
}

}  // namespace vpmu::profile
