// SPDX-License-Identifier: MIT
//
// `vpmu report --spe`: where a trace's loads wait.
#pragma once

#include <cstddef>

#include "cli/report/report.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::report {

/// Prints it in `columns`, and remarks on standard error. `least_percent`: of rows.
Result<void> run_spe_report(const ReportCommandOptions& options, double least_percent,
                            std::size_t columns);

}  // namespace vpmu::cli::report
