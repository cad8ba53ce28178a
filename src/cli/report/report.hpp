// SPDX-License-Identifier: MIT
//
// `vpmu report`: the table.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "cli/report/loaded_profile.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::report {

struct ReportCommandOptions {
  ProfileSource source;
  std::string sort = "symbol";
  bool callers = false;
  bool branches = false;
  bool spe = false;  ///< a trace of SPE
  std::optional<std::size_t> limit;
  std::optional<double> percent_limit;
  std::optional<std::size_t> width;  ///< columns
  bool json = false;
};

/// Prints it, and remarks on standard error.
Result<void> run_report(const ReportCommandOptions& options);

}  // namespace vpmu::cli::report
