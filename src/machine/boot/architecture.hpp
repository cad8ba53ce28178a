// SPDX-License-Identifier: MIT
//
// For which machine an image is: to be known before one is made.
#pragma once

#include <string>

#include "machine/architecture.hpp"
#include "machine/boot/bytes.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

/// By the file's first bytes: an ELF file for AArch64, or the header of an arm64 Linux Image.
/// Everything else is x86's, whose parser says what is wrong with it.
Architecture architecture_of(Bytes file);

/// Of the image with this path.
Result<Architecture> architecture_of_file(const std::string& path);

}  // namespace vpmu::machine::boot
