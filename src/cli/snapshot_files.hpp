// SPDX-License-Identifier: MIT
//
// `vpmu run --save-at INSTRUCTIONS=FILE` and `vpmu run --restore FILE`: snapshots in files, with
// errors that name them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/run_command.hpp"
#include "machine/machine.hpp"
#include "machine/snapshot/snapshot.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

struct SavePoint {
  std::uint64_t instructions = 0;  ///< of all vCPUs together, from power-on
  std::string file;
};

/// From the option's values, the first to be reached first.
Result<std::vector<SavePoint>> parse_save_points(const std::vector<std::string>& options);

/// The file appears whole or not at all.
Result<void> save_guest(machine::Machine& machine, const machine::snapshot::Guest& guest,
                        const std::string& file);

struct RestoredGuest {
  machine::snapshot::Guest guest;
  std::unique_ptr<machine::Machine> machine;
};

/// From options.restore. Options that say what the machine is may be left out; those that are given
/// must say what it was.
Result<RestoredGuest> restore_guest(const RunOptions& options, machine::Console& console,
                                    machine::TraceSink* trace);

}  // namespace vpmu::cli
