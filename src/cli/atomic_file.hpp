// SPDX-License-Identifier: MIT
//
// Writes a file so that others see either all of it or none of it: into a temporary file beside it,
// which then takes its name. After an error there is no partial file, and an older one is as it
// was.
#pragma once

#include <string>
#include <string_view>

#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// What is not a regular file (a pipe, /dev/stdout) is written to directly. `what` names the kind
/// of file in errors.
Result<void> write_file(const std::string& path, std::string_view content, const char* what);

/// Writes all of `content`, through interruptions and short writes. The errno of the failure, or 0.
int write_all(int descriptor, std::string_view content);

}  // namespace vpmu::cli
