// SPDX-License-Identifier: MIT
//
// The run of a guest that is recorded, from its options to its file.
#pragma once

#include <string>
#include <vector>

#include "cli/guest_options.hpp"
#include "cli/record/record_options.hpp"

namespace vpmu::cli::record {

/// Prints what people are to know; the exit status of the process. `command_line` is for the file.
int record_guest(const GuestOptions& guest, const RecordOptions& options,
                 std::vector<std::string> command_line);

}  // namespace vpmu::cli::record
