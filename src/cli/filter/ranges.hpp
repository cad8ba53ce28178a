// SPDX-License-Identifier: MIT
//
// `vpmu filter` for AArch64 guests, whose filters are ranges of event numbers
// (policy/range_filter.hpp). Each command asks as_ranges() first whether that is what it was given.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/filter/build.hpp"
#include "cli/filter/check.hpp"
#include "cli/filter/explain.hpp"
#include "cli/filter/list_events.hpp"
#include "cli/filter/output.hpp"
#include "policy/filter_file.hpp"
#include "policy/range_filter.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::filter {

struct LoadedRanges {
  std::string name;                       ///< of the file
  const silicon::arm64::CpuModel* model;  ///< never null
  policy::RangeFilter ranges;
};

/// None: it is a filter of x86 guests. `cpu` is what --cpu says, or empty.
Result<std::optional<LoadedRanges>> as_ranges(const policy::FilterFile& file,
                                              const std::string& cpu);
/// What they make; an error names the file and the range that KVM refuses.
Result<virt::arm64::EventFilter> valid_filter(const LoadedRanges& loaded);
/// All events that have a name on the model, by number: SW_INCR and CHAIN too, which no filter
/// keeps from counting.
std::vector<std::uint16_t> named_events(const silicon::arm64::CpuModel& model);
/// SW_INCR and CHAIN: whatever a filter says.
bool is_always_counted(std::uint16_t event);

Result<Output> build_ranges(const LoadedRanges& loaded, const BuildOptions& options);
Result<Output> check_ranges(const LoadedRanges& loaded, bool json);
/// `events`: names, names with * and ?, or numbers; none: every event that has a name.
Result<Output> explain_ranges(const LoadedRanges& loaded, const std::vector<std::string>& events,
                              bool json);
Result<Output> list_arm64_events(const silicon::arm64::CpuModel& model,
                                 const ListEventsOptions& options);

}  // namespace vpmu::cli::filter
