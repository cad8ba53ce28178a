// SPDX-License-Identifier: MIT
//
// `vpmu run --host-event EVENT` and `--host-script FILE`: what the host itself does.
#pragma once

#include <vector>

#include "cli/host_script.hpp"
#include "cli/run_command.hpp"
#include "machine/host_activity.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// The events of --host-event, then those of the script.
Result<std::vector<machine::HostEvent>> host_events(const RunOptions& options,
                                                    const HostScriptMachine& machine);

}  // namespace vpmu::cli
