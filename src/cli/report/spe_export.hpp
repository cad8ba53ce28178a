// SPDX-License-Identifier: MIT
//
// `vpmu export` of traces of SPE.
#pragma once

#include "cli/report/export.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::report {

/// Whether the format, or the file, is of SPE.
bool exports_spe(const ExportOptions& options);

Result<void> run_spe_export(const ExportOptions& options);

}  // namespace vpmu::cli::report
