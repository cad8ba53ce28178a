// SPDX-License-Identifier: MIT
//
// What `vpmu record` puts into its file besides samples: where the guest's code is, whose symbols
// it has, how it was recorded.
#pragma once

#include <string>
#include <vector>

#include "cli/guest_run.hpp"
#include "cli/record/record_options.hpp"
#include "profile/perf_data/writer.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::record {

/// Refuses what cannot be a recording's file: standard output, and what the guest is read from.
Result<void> check_output(const RecordOptions& options, const GuestOptions& guest);

struct ProfileDescription {
  profile::perf_data::WriterConfig config;
  std::vector<std::string> remarks;  ///< what people should know of it: one line each
};

/// Everything but the events. An image that cannot be read (any more) is worth a remark; a file
/// given with an option that cannot be read is an error.
Result<ProfileDescription> describe_profile(const RecordOptions& options, const GuestRun& run,
                                            std::vector<std::string> command_line);

}  // namespace vpmu::cli::record
