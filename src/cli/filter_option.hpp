// SPDX-License-Identifier: MIT
//
// `--filter FILE` and `--filter-at INSTRUCTIONS=FILE`: the guest's event filter from files
// (policy/filter_file.hpp says what may be in them), "none" for none.
#pragma once

#include <functional>
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

// ---- For guests of any architecture -------------------------------------------------------------

/// Reads and checks a file, or takes "none"; what it gives then gives the machine that filter.
using LoadFilter = std::function<Result<std::function<void()>>(const std::string& file)>;

/// The same, with filters as `load` makes them.
Result<void> apply_filter_options(const GuestOptions& options, const machine::GuestMachine& machine,
                                  const LoadFilter& load, std::vector<Stop>& stops);
/// "--filter", "--filter-at", or nothing if neither was given.
std::string filter_option_given(const GuestOptions& options);

// ---- Of x86 guests ------------------------------------------------------------------------------

/// Null for "none". For guests of that CPU; a policy must be one for it.
Result<std::unique_ptr<const virt::x86::EventFilter>> load_filter(
    const std::string& file, const silicon::x86::CpuModel& model);

}  // namespace vpmu::cli
