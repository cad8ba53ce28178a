// SPDX-License-Identifier: MIT
//
// An arm64 guest's machine from the options of a command.
#pragma once

#include <memory>

#include "cli/guest_options.hpp"
#include "machine/arm64_board/machine.hpp"
#include "machine/console.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// The CPU model of --cpu, or of arm64 guests if it was not given.
Result<const silicon::arm64::CpuModel*> arm64_cpu_model(const GuestOptions& options);

/// The CPU model of --host-cpu, or `otherwise`.
Result<const silicon::arm64::CpuModel*> arm64_host_model(const GuestOptions& options,
                                                         const silicon::arm64::CpuModel& otherwise);

/// An error of the first option that only guests of x86 have.
Result<void> check_arm64_options(const GuestOptions& options);

/// Nothing is loaded yet. `console` must outlive the machine.
Result<std::unique_ptr<machine::arm64::Machine>> make_arm64_machine(const GuestOptions& options,
                                                                    machine::Console& console);

}  // namespace vpmu::cli
