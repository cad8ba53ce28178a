// SPDX-License-Identifier: MIT
//
// `--filter FILE` and `--filter-at INSTRUCTIONS=FILE` of an arm64 guest: ranges of event numbers
// (policy/range_filter.hpp) from files, "none" for none. KVM takes no other once a vCPU has run;
// this machine does.
#pragma once

#include <string>
#include <vector>

#include "cli/guest_options.hpp"
#include "cli/stops.hpp"
#include "machine/arm64_board/machine.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// As for guests of x86 (filter_option.hpp).
Result<void> apply_filter_options(const GuestOptions& options, machine::arm64::Machine& machine,
                                  std::vector<Stop>& stops);

/// For guests of that CPU.
Result<machine::arm64::GuestFilter> load_arm64_filter(const std::string& file,
                                                      const silicon::arm64::CpuModel& model);

}  // namespace vpmu::cli
