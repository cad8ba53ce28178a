// SPDX-License-Identifier: MIT
//
// --guest-spe, --spe-cpus and --spe-supported: statistical profiling of a guest's own.
#pragma once

#include <optional>

#include "cli/guest_options.hpp"
#include "machine/arm64_board/machine.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

inline constexpr const char* kGuestSpeOptionHelp =
    "Statistical profiling for arm64 guests, where the CPU model has it: on, off, or "
    "KEY=VALUE,...: "
    "flavour=vhe|nvhe|protected, physical-time=on, exclusive=on, max-buffer-kib=N";
inline constexpr const char* kSpeCpusOptionHelp =
    "Host CPUs that have the SPE unit, e.g. 0-1,4; default: all";
inline constexpr const char* kSpeSupportedOptionHelp =
    "Host CPUs that vCPUs with SPE may run on; has to be given if not all have the unit";

/// None: off. Errors name the option.
Result<std::optional<machine::arm64::SpeOffer>> arm64_spe_offer(const GuestOptions& options);

}  // namespace vpmu::cli
