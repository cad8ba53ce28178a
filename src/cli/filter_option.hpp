// SPDX-License-Identifier: MIT
//
// `--filter FILE` and `--filter-at INSTRUCTIONS=FILE`: the guest's event filter from files
// (policy/filter_file.hpp says what may be in them), "none" for none.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/guest_options.hpp"
#include "cli/stops.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/x86/event_filter.hpp"

namespace vpmu::cli {

/// Reads and checks every file, so that a bad one is known before the guest runs. Gives `machine`
/// the filter of --filter at once, and adds the others to `stops`.
Result<void> apply_filter_options(const GuestOptions& options, machine::Machine& machine,
                                  std::vector<Stop>& stops);

/// Null for "none". For guests of that CPU; a policy must be one for it.
Result<std::unique_ptr<const virt::x86::EventFilter>> load_filter(
    const std::string& file, const silicon::x86::CpuModel& model);

}  // namespace vpmu::cli
