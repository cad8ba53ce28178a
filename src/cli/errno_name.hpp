// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace vpmu::cli {

/// "EACCES", or the number if it has no name.
std::string errno_name(int error);

}  // namespace vpmu::cli
