// SPDX-License-Identifier: MIT
#include "machine/pc/filter_log.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "vpmu/silicon/x86/event_selector.hpp"
#include "vpmu/virt/x86/pv_perf_abi.hpp"

namespace vpmu::machine {

using silicon::x86::EventSelector;
using silicon::x86::Vendor;
using virt::x86::CounterIndex;
using virt::x86::EventFilter;
using virt::x86::FilterVerdict;
using virt::x86::PmuState;

namespace {
constexpr unsigned kFixed0 = static_cast<unsigned>(virt::x86::fixed_counter(0));

bool is_fixed(CounterIndex counter) {
  return static_cast<unsigned>(counter) >= kFixed0;
}
unsigned fixed_number(CounterIndex counter) {
  return static_cast<unsigned>(counter) - kFixed0;
}
bool exists(CounterIndex counter) {
  return is_fixed(counter) ? fixed_number(counter) < PmuState::kMaxFixed
                           : static_cast<unsigned>(counter) < PmuState::kMaxGp;
}

FilterVerdict explain(const EventFilter& filter, CounterIndex counter, EventSelector event) {
  return is_fixed(counter) ? filter.explain_fixed(fixed_number(counter)) : filter.explain(event);
}

void add_up(FilterLog::Filter& filter, CounterIndex counter, const FilterVerdict& verdict) {
  switch (verdict.reason) {
    case FilterVerdict::Reason::kIncluded:
    case FilterVerdict::Reason::kExcluded: ++filter.by_entry.at(verdict.entry); break;
    case FilterVerdict::Reason::kNotIncluded: ++filter.not_included; break;
    case FilterVerdict::Reason::kFixedBitmap:
      ++filter.by_fixed_bitmap.at(fixed_number(counter));
      break;
  }
}

/// A saved filter, and the verdicts of its denials.
Result<void> check(FilterLog::Filter& filter, Vendor vendor, unsigned vcpus) {
  if (!filter.image) {
    if (filter.denied() == 0 && filter.by_entry.empty() && filter.denials.empty()) return {};
    return fail("an event filter that was none has denied something");
  }
  const auto made = EventFilter::create(*filter.image, vendor);
  if (!made) return fail("an event filter is not one");
  const bool fits = filter.by_entry.size() == filter.image->count &&
                    filter.denials.size() <= FilterLog::kMaxDenials;
  if (!fits) return fail("an event filter has more denials than there can be");
  for (FilterLog::Denial& denial : filter.denials) {
    const bool no_pv_event = denial.pv_event && *denial.pv_event >= virt::x86::pv::kMaxEvents;
    if (denial.vcpu >= vcpus || !exists(denial.counter) || no_pv_event) {
      return fail("an event filter has denied what there is not");
    }
    denial.verdict = explain(**made, denial.counter, denial.event);
  }
  return {};
}
}  // namespace

std::uint64_t FilterLog::Filter::denied() const {
  return std::accumulate(by_entry.begin(), by_entry.end(), not_included) +
         std::accumulate(by_fixed_bitmap.begin(), by_fixed_bitmap.end(), std::uint64_t{0});
}

void FilterLog::begin(const EventFilter* filter, std::string name, std::uint64_t since) {
  if (!filters_.empty()) filters_.back().denials.shrink_to_fit();
  if (filters_.size() == kMaxFilters) filters_.erase(filters_.begin());
  Filter& begun = filters_.emplace_back();
  begun.name = std::move(name);
  begun.since = since;
  in_force_ = filter;
  if (filter == nullptr) return;
  begun.image = filter->image();
  begun.by_entry.resize(begun.image->count);
  begun.denials.reserve(kMaxDenials);
}

void FilterLog::denied(unsigned vcpu, CounterIndex counter, std::uint64_t config) {
  if (in_force_ == nullptr) return;
  const EventSelector event = silicon::x86::selector_of(in_force_->vendor(), config);
  add({.vcpu = vcpu, .counter = counter, .event = event, .verdict = *verdict(counter, event)});
}

void FilterLog::denied_pv_event(unsigned vcpu, unsigned pv_event, CounterIndex asked,
                                EventSelector event) {
  if (in_force_ == nullptr) return;
  add({.vcpu = vcpu,
       .counter = asked,
       .pv_event = static_cast<std::uint8_t>(pv_event),
       .event = event,
       .verdict = *verdict(asked, event)});
}

void FilterLog::add(const Denial& denial) {
  if (denial.verdict.admitted) return;
  Filter& filter = filters_.back();
  add_up(filter, denial.counter, denial.verdict);
  auto known = std::ranges::find_if(filter.denials, [&](const Denial& each) {
    return each.vcpu == denial.vcpu && each.counter == denial.counter &&
           each.pv_event == denial.pv_event && each.event == denial.event;
  });
  if (known == filter.denials.end()) {
    if (filter.denials.size() == kMaxDenials) return;
    known = filter.denials.insert(known, denial);
  }
  ++known->count;
}

std::optional<FilterVerdict> FilterLog::verdict(CounterIndex counter, std::uint64_t config) const {
  if (in_force_ == nullptr) return std::nullopt;
  return verdict(counter, silicon::x86::selector_of(in_force_->vendor(), config));
}

std::optional<FilterVerdict> FilterLog::verdict(CounterIndex asked, EventSelector event) const {
  if (in_force_ == nullptr) return std::nullopt;
  return explain(*in_force_, asked, event);
}

Result<void> FilterLog::restore(const State& state, const EventFilter* in_force, Vendor vendor,
                                unsigned vcpus) {
  if (state.size() > kMaxFilters) return fail("there are more event filters than are remembered");
  std::vector<Filter> restored = state;
  for (Filter& filter : restored) {
    if (auto done = check(filter, vendor, vcpus); !done) return done;
  }
  filters_ = std::move(restored);
  if (in_force != nullptr) filters_.back().denials.reserve(kMaxDenials);
  in_force_ = in_force;
  return {};
}

}  // namespace vpmu::machine
