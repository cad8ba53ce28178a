// SPDX-License-Identifier: MIT
//
// `vpmu export`: profiles for other tools.
#pragma once

#include <string>

#include "cli/report/loaded_profile.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::report {

struct ExportOptions {
  ProfileSource source;
  std::string format;  ///< folded, pprof, speedscope, script; of SPE perf.data, packets
  std::string output = "-";
  std::string weight = "samples";  ///< of folded stacks: samples or count
};

Result<void> run_export(const ExportOptions& options);

}  // namespace vpmu::cli::report
