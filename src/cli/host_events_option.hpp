// SPDX-License-Identifier: MIT
//
// `--host-event EVENT` and `--host-script FILE`: what the host itself does.
#pragma once

#include <vector>

#include "cli/guest_options.hpp"
#include "cli/host_script.hpp"
#include "machine/host_activity.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// The events of --host-event, then those of the script.
Result<std::vector<machine::HostEvent>> host_events(const GuestOptions& options,
                                                    const HostScriptMachine& machine);

}  // namespace vpmu::cli
