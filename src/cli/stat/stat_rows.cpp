// SPDX-License-Identifier: MIT
#include "cli/stat/stat_rows.hpp"

#include <algorithm>
#include <span>

namespace vpmu::cli::stat {

namespace {
using machine::CountsReading;
using silicon::RawEvent;

__extension__ using Wide = unsigned __int128;

struct Ratio {
  RawEvent part;
  RawEvent whole;
  bool percent;
  const char* unit;
};
constexpr Ratio kRatios[] = {
    {RawEvent::kInstructions, RawEvent::kCycles, false, "insn per cycle"},
    {RawEvent::kMispredictedBranches, RawEvent::kBranches, true, "of all branches"},
    {RawEvent::kTakenBranches, RawEvent::kBranches, true, "of all branches"},
    {RawEvent::kConditionalBranches, RawEvent::kBranches, true, "of all branches"},
    {RawEvent::kLlcMisses, RawEvent::kLlcReferences, true, "of all cache refs"},
    {RawEvent::kL1dLoadMisses, RawEvent::kLoads, true, "of all loads"},
    {RawEvent::kDtlbLoadWalks, RawEvent::kLoads, true, "of all loads"},
    {RawEvent::kDtlbStoreWalks, RawEvent::kStores, true, "of all stores"},
    {RawEvent::kL1dMisses, RawEvent::kMemoryAccesses, true, "of all accesses"},
    {RawEvent::kDtlbMisses, RawEvent::kMemoryAccesses, true, "of all accesses"},
    {RawEvent::kBackendBoundSlots, RawEvent::kSlots, true, "of all slots"},
};

/// count * by / of to the nearest, or the largest number there is.
std::uint64_t scaled(std::uint64_t count, std::uint64_t by, std::uint64_t of) {
  const Wide result = (Wide{count} * by + of / 2) / of;
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  return result > kMost ? kMost : static_cast<std::uint64_t>(result);
}

/// The time that a vCPU had on host CPUs: every event that is enabled sees it pass.
std::uint64_t task_time(const CountsReading& reading, std::size_t vcpu) {
  std::uint64_t longest = 0;
  for (const auto& event : reading.counts) {
    longest = std::max(longest, event[vcpu].time_enabled_ns);
  }
  return longest;
}

/// Of vCPUs [begin, end).
StatRow sum(const StatEvent& event, const CountsReading& reading, std::size_t begin,
            std::size_t end) {
  StatRow row;
  row.event = &event;
  for (std::size_t vcpu = begin; vcpu < end; ++vcpu) {
    if (event.task_clock) {
      const std::uint64_t time = task_time(reading, vcpu);
      row.count += time;
      row.time_enabled_ns += time;
      row.time_running_ns += time;
      continue;
    }
    const CountsReading::Count& count = reading.counts[event.counted][vcpu];
    if (count.error) {
      ++row.in_error;
      continue;
    }
    row.count += count.value;
    row.time_enabled_ns += count.time_enabled_ns;
    row.time_running_ns += count.time_running_ns;
  }
  if (row.in_error == end - begin) {
    row.not_counted = "pinned, and did not fit";
  } else if (row.time_running_ns == 0) {
    row.not_counted = row.time_enabled_ns == 0 ? "its vCPU did not run" : "found no free counter";
  }
  return row;
}

bool same_modes(const hostperf::EventAttr& a, const hostperf::EventAttr& b) {
  return a.exclude_user == b.exclude_user && a.exclude_kernel == b.exclude_kernel &&
         a.exclude_guest == b.exclude_guest && a.exclude_host == b.exclude_host;
}

/// What `row` is a part of, counted for the same vCPUs and modes; null if it is not there.
const StatRow* find_whole(const StatRow& row, RawEvent whole, std::span<const StatRow> rows) {
  const auto found = std::ranges::find_if(rows, [&](const StatRow& other) {
    return other.event->raw == whole && other.vcpu == row.vcpu && other.not_counted == nullptr &&
           same_modes(other.event->attr, row.event->attr);
  });
  return found == rows.end() ? nullptr : &*found;
}

std::optional<Metric> ratio(const StatRow& row, std::span<const StatRow> rows) {
  for (const Ratio& each : kRatios) {
    if (row.event->raw != each.part) continue;
    const StatRow* whole = find_whole(row, each.whole, rows);
    if (whole == nullptr || whole->value() == 0) continue;
    const double value = static_cast<double>(row.value()) / static_cast<double>(whole->value());
    return Metric{each.percent ? 100 * value : value, 2, each.percent, each.unit};
  }
  return std::nullopt;
}

/// `elapsed_ns`: machine time.
std::optional<Metric> metric(const StatRow& row, std::span<const StatRow> rows, double elapsed_ns) {
  if (row.not_counted != nullptr) return std::nullopt;
  if (row.event->task_clock) {
    if (elapsed_ns == 0) return std::nullopt;
    return Metric{static_cast<double>(row.count) / elapsed_ns, 3, false, "CPUs utilized"};
  }
  const hostperf::EventAttr& attr = row.event->attr;
  if (row.event->raw == RawEvent::kCycles && !attr.exclude_user && !attr.exclude_kernel) {
    return Metric{static_cast<double>(row.value()) / static_cast<double>(row.time_enabled_ns), 3,
                  false, "GHz"};
  }
  return ratio(row, rows);
}
}  // namespace

std::uint64_t StatRow::value() const {
  return time_running_ns == 0 ? count : scaled(count, time_enabled_ns, time_running_ns);
}

double StatRow::running_percent() const {
  if (time_enabled_ns == 0) return 0;
  return 100 * static_cast<double>(time_running_ns) / static_cast<double>(time_enabled_ns);
}

CountsReading difference(const CountsReading& later, const CountsReading& earlier) {
  CountsReading result = later;
  result.time -= earlier.time;
  for (std::size_t event = 0; event < earlier.counts.size(); ++event) {
    for (std::size_t vcpu = 0; vcpu < earlier.counts[event].size(); ++vcpu) {
      CountsReading::Count& count = result.counts[event][vcpu];
      const CountsReading::Count& before = earlier.counts[event][vcpu];
      count.value -= before.value;
      count.time_enabled_ns -= before.time_enabled_ns;
      count.time_running_ns -= before.time_running_ns;
    }
  }
  return result;
}

std::vector<StatRow> stat_rows(const StatPlan& plan, const CountsReading& reading, std::uint64_t hz,
                               bool per_vcpu) {
  const std::size_t vcpus = reading.counts.front().size();
  std::vector<StatRow> rows;
  for (const StatEvent& event : plan.events) {
    if (!per_vcpu) {
      rows.push_back(sum(event, reading, 0, vcpus));
      continue;
    }
    for (std::size_t vcpu = 0; vcpu < vcpus; ++vcpu) {
      rows.push_back(sum(event, reading, vcpu, vcpu + 1));
      rows.back().vcpu = static_cast<unsigned>(vcpu);
    }
  }
  const double elapsed_ns = static_cast<double>(reading.time) * 1e9 / static_cast<double>(hz);
  for (StatRow& row : rows) row.metric = metric(row, rows, elapsed_ns);
  return rows;
}

}  // namespace vpmu::cli::stat
