// SPDX-License-Identifier: MIT
#include "cli/filter/dead_entries.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "policy/selector_set.hpp"

namespace vpmu::cli::filter {

namespace {
using policy::UnitMaskSet;
using virt::x86::FilterEntry;
using virt::x86::FilterImage;
using virt::x86::MaskedEvent;

struct Entry {
  std::uint32_t number;
  MaskedEvent says;
  UnitMaskSet covers;
};

UnitMaskSet covered_by(const MaskedEvent& event) {
  UnitMaskSet set;
  for (std::size_t u = 0; u < set.size(); ++u) set[u] = event.covers(static_cast<std::uint8_t>(u));
  return set;
}

bool is_within(const UnitMaskSet& part, const UnitMaskSet& whole) {
  return (part & ~whole).none();
}

/// The entries of one event select, and what was found out about them.
class EventEntries {
 public:
  void add(const Entry& entry) { entries_.push_back(entry); }

  std::vector<DeadEntry> find_dead() {
    remove_duplicates();
    const UnitMaskSet included = united(false, nullptr);
    const UnitMaskSet excluded = united(true, nullptr);
    remove_idle_excludes(included);
    remove_excluded_includes(excluded);
    remove_shadowed(false, included);
    remove_shadowed(true, included);
    return std::move(dead_);
  }

 private:
  [[nodiscard]] UnitMaskSet united(bool exclude, const Entry* except) const {
    UnitMaskSet all;
    for (const Entry& entry : entries_) {
      if (entry.says.exclude == exclude && &entry != except) all |= entry.covers;
    }
    return all;
  }

  /// Takes out every entry that `why` has a reason for. It may look at all of them.
  template <class Why>
  void remove_if(Why&& why) {
    std::vector<Entry> kept;
    for (const Entry& entry : entries_) {
      std::string reason = why(entry);
      if (reason.empty()) {
        kept.push_back(entry);
      } else {
        dead_.push_back({entry.number, std::move(reason)});
      }
    }
    entries_ = std::move(kept);
  }

  void remove_duplicates() {
    std::vector<Entry> seen;
    remove_if([&](const Entry& entry) -> std::string {
      const auto same = std::ranges::find(seen, entry.says, &Entry::says);
      if (same != seen.end()) return fmt::format("is the same as entry {}", same->number);
      seen.push_back(entry);
      return "";
    });
  }

  void remove_idle_excludes(const UnitMaskSet& included) {
    remove_if([&](const Entry& entry) -> std::string {
      if (!entry.says.exclude || (entry.covers & included).any()) return "";
      return included.none() ? "excludes of an event select of which nothing is included"
                             : "excludes unit masks that no entry includes";
    });
  }

  void remove_excluded_includes(const UnitMaskSet& excluded) {
    remove_if([&](const Entry& entry) -> std::string {
      if (entry.says.exclude || !is_within(entry.covers, excluded)) return "";
      return fmt::format("includes only what is excluded by {}", covering(entry, true, excluded));
    });
  }

  void remove_shadowed(bool exclude, const UnitMaskSet& included) {
    // The narrowest go first.
    std::ranges::sort(entries_, [](const Entry& a, const Entry& b) {
      return std::pair{a.covers.count(), b.number} < std::pair{b.covers.count(), a.number};
    });
    for (std::size_t i = 0; i < entries_.size();) {
      const Entry entry = entries_[i];
      const UnitMaskSet needed = entry.covers & included;
      if (entry.says.exclude != exclude || !is_within(needed, united(exclude, &entries_[i]))) {
        ++i;
        continue;
      }
      entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
      dead_.push_back(
          {entry.number,
           fmt::format("{0} only what is {1} by {2} already", exclude ? "excludes" : "includes",
                       exclude ? "excluded" : "included", covering(entry, exclude, needed))});
    }
  }

  /// "entry 3", or "entries 3 and 7": those that cover what `entry` does of `needed`.
  [[nodiscard]] std::string covering(const Entry& entry, bool exclude,
                                     const UnitMaskSet& needed) const {
    const UnitMaskSet wanted = entry.covers & needed;
    std::vector<std::uint32_t> numbers;
    for (const Entry& other : entries_) {
      if (other.says.exclude != exclude || other.number == entry.number) continue;
      if (is_within(wanted, other.covers)) return fmt::format("entry {}", other.number);
      if ((wanted & other.covers).any()) numbers.push_back(other.number);
    }
    std::ranges::sort(numbers);
    constexpr std::size_t kMost = 8;
    if (numbers.size() > kMost) return fmt::format("{} entries together", numbers.size());
    const std::uint32_t last = numbers.back();
    numbers.pop_back();
    return fmt::format("entries {} and {} together", fmt::join(numbers, ", "), last);
  }

  std::vector<Entry> entries_;
  std::vector<DeadEntry> dead_;
};
}  // namespace

std::vector<DeadEntry> dead_entries(const FilterImage& image, silicon::x86::Vendor vendor) {
  std::vector<DeadEntry> dead;
  std::map<std::uint16_t, EventEntries> events;
  for (std::uint32_t i = 0; i < image.used().size(); ++i) {
    const auto says = decode_entry(FilterEntry{{image.entries[i]}}, image.masked(), vendor);
    if (!says) {
      dead.push_back({i, "has bits that no event select and unit mask has: KVM drops it"});
    } else if (says->is_dead()) {
      dead.push_back({i, fmt::format("matches {:#04x} outside its mask {:#04x}: no unit mask does",
                                     says->match, says->mask)});
    } else {
      events[says->event].add({i, *says, covered_by(*says)});
    }
  }
  for (auto& [event, entries] : events)
    std::ranges::move(entries.find_dead(), std::back_inserter(dead));
  std::ranges::sort(dead, {}, &DeadEntry::entry);
  return dead;
}

}  // namespace vpmu::cli::filter
