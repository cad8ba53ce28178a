// SPDX-License-Identifier: MIT
#include "vpmu/virt/arm64/event_filter.hpp"

#include <algorithm>

#include "vpmu/silicon/arm64/pmu_registers.hpp"

namespace vpmu::virt::arm64 {

EventFilter::EventFilter(std::uint8_t pmu_version)
    : words_{silicon::arm64::event_numbers(pmu_version) / 64} {
  admitted_.fill(~std::uint64_t{0});
}

tl::expected<void, FilterError> EventFilter::set(const FilterRange& range) {
  if (has_run_) return tl::make_unexpected(FilterError::kBusy);
  const std::size_t end = std::size_t{range.base_event} + range.nevents;
  if (end > words_ * 64 || range.action > FilterRange::kDeny) {
    return tl::make_unexpected(FilterError::kInvalid);
  }
  const bool allow = range.action == FilterRange::kAllow;
  if (ranges_.empty() && allow) admitted_.fill(0);
  for (std::size_t event = range.base_event; event < end;) {
    const std::size_t next = std::min(end, (event / 64 + 1) * 64);
    const std::uint64_t bits = ~std::uint64_t{0} >> (64 - (next - event)) << event % 64;
    std::uint64_t& word = admitted_[event / 64];
    word = allow ? word | bits : word & ~bits;
    event = next;
  }
  ranges_.push_back(range);
  return {};
}

FilterVerdict EventFilter::explain(std::uint16_t event) const {
  FilterVerdict verdict{.admitted = admits(event)};
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    if (ranges_[i].covers(event)) verdict.range = i;
  }
  return verdict;
}

bool EventFilter::default_admits() const {
  return ranges_.empty() || ranges_.front().action == FilterRange::kDeny;
}

}  // namespace vpmu::virt::arm64
