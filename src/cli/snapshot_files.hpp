// SPDX-License-Identifier: MIT
//
// `vpmu run --save-at INSTRUCTIONS=FILE` and `--restore FILE`: snapshots in files, with
// errors that name them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/any_machine.hpp"
#include "cli/guest_options.hpp"
#include "cli/stops.hpp"
#include "machine/snapshot/snapshot.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// What the values of --save-at ask for of that machine.
Result<std::vector<Stop>> save_stops(const std::vector<std::string>& save_at,
                                     const AnyMachine& machine,
                                     const machine::snapshot::Guest& guest);

/// The file appears whole or not at all.
Result<void> save_guest(const AnyMachine& machine, const machine::snapshot::Guest& guest,
                        const std::string& file);

struct RestoredGuest {
  machine::snapshot::Guest guest;
  OwnedMachine machine;
};

/// From options.restore. Options that say what the machine is may be left out; those that are given
/// must say what it was.
Result<RestoredGuest> restore_guest(const GuestOptions& options, machine::Console& console,
                                    machine::TraceSink* trace,
                                    virt::x86::LbrObserver& lbr_observer);

}  // namespace vpmu::cli
