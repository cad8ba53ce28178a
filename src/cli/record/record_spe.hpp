// SPDX-License-Identifier: MIT
//
// `vpmu record --spe`: profiles an arm64 guest from outside with statistical profiling.
#pragma once

#include <string>
#include <vector>

#include "cli/guest_options.hpp"
#include "cli/record/record_options.hpp"
#include "machine/arm64_board/spe_profiler.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::record {

/// What --spe=... says, in the words of Linux's driver.
struct SpeRequest {
  machine::arm64::SpeProfile profile;
  std::uint64_t config = 0;  ///< as perf_event_attr::config of that driver
  std::uint64_t period = 0;  ///< operations
};
/// `text`: empty, or KEY=VALUE,... Errors name the option.
Result<SpeRequest> parse_spe_request(const std::string& text);

/// As record_guest().
int record_spe(const GuestOptions& guest, const RecordOptions& options,
               std::vector<std::string> command_line);

}  // namespace vpmu::cli::record
