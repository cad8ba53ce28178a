// SPDX-License-Identifier: MIT
//
// --guest-spe, --spe-cpus and --spe-supported: statistical profiling of a guest's own; --spe-at:
// how the host stops it and lets it go on.
#pragma once

#include <optional>
#include <vector>

#include "cli/guest_options.hpp"
#include "cli/stops.hpp"
#include "machine/arm64_board/machine.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"

namespace vpmu::cli {

inline constexpr const char* kGuestSpeOptionHelp =
    "Statistical profiling for arm64 guests, of a CPU model that has it: on, off, or "
    "KEY=VALUE,...: "
    "flavour=vhe|nvhe|protected, physical-time=on, exclusive=on, max-buffer-kib=N, "
    "lock=all|buffer|none (what is locked for its unit: all memory, buffers that are enabled, "
    "nothing), mlock=on (really locked)";
inline constexpr const char* kSpeCpusOptionHelp =
    "Host CPUs that have the SPE unit, e.g. 0-1,4; default: all";
inline constexpr const char* kSpeSupportedOptionHelp =
    "Host CPUs that vCPUs with SPE may run on; has to be given if not all have the unit";

inline constexpr const char* kSpeAtOptionHelp =
    "INSTRUCTIONS=trap|exit|resume: stop the guest's SPE, from where all vCPUs together have "
    "retired "
    "so many, or let it go on (repeatable). trap: the guest does not notice; exit: it is not "
    "entered while it profiles";

/// As the option spells it.
const char* name(virt::arm64::SpeFlavour flavour);
const char* name(machine::arm64::SpeLock lock);

/// None: off. Errors name the option.
Result<std::optional<machine::arm64::SpeOffer>> arm64_spe_offer(const GuestOptions& options);

/// An error if the CPU model has no unit, which `option` needs.
Result<void> check_spe_unit(const silicon::arm64::CpuModel& model, const char* option);

/// An error if the guest has no SPE, which `option` is about.
Result<void> check_has_spe(const machine::arm64::Machine& machine, const char* option);

/// Adds what --spe-at asks for to `stops`.
Result<void> add_spe_stops(const GuestOptions& options, machine::arm64::Machine& machine,
                           std::vector<Stop>& stops);

}  // namespace vpmu::cli
