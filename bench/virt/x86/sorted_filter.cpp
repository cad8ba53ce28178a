// SPDX-License-Identifier: MIT
#include "bench/virt/x86/sorted_filter.hpp"

#include <algorithm>

namespace vpmu::bench {

SortedFilter::SortedFilter(const virt::x86::FilterImage& image) : allow_{image.action == 0} {
  for (const std::uint64_t raw : image.used()) {
    const auto entry =
        virt::x86::decode_entry(virt::x86::FilterEntry{{raw}}, true, silicon::x86::Vendor::kIntel);
    (entry->exclude ? excludes_ : includes_).push_back({entry->event, entry->mask, entry->match});
  }
  const auto by_event = [](Entry a, Entry b) { return a.event < b.event; };
  std::stable_sort(includes_.begin(), includes_.end(), by_event);
  std::stable_sort(excludes_.begin(), excludes_.end(), by_event);
}

}  // namespace vpmu::bench
