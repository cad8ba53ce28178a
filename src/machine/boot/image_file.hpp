// SPDX-License-Identifier: MIT
//
// Reads a file that the user named, whole, into memory. Only regular files: a pipe or device has no
// size to check against and could block for ever.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

/// `what` names the kind of file in errors, e.g. "guest image". Empty files are an error, as are
/// files of more than 1 GiB.
Result<std::vector<std::uint8_t>> read_file(const std::string& path, const char* what);

}  // namespace vpmu::machine::boot
