// SPDX-License-Identifier: MIT
//
// `--filter FILE` of an arm64 guest: ranges of event numbers (policy/range_filter.hpp) from a file,
// "none" for none. KVM takes no other once a vCPU has run, so there is no --filter-at.
#pragma once

#include <string>

#include "cli/guest_options.hpp"
#include "machine/arm64_board/machine.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// Gives `machine`, which has not run, what the option says.
Result<void> apply_arm64_filter_option(const GuestOptions& options,
                                       machine::arm64::Machine& machine);

/// For guests of that CPU.
Result<machine::arm64::GuestFilter> load_arm64_filter(const std::string& file,
                                                      const silicon::arm64::CpuModel& model);

}  // namespace vpmu::cli
