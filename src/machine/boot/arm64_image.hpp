// SPDX-License-Identifier: MIT
//
// What an arm64 guest image says about itself: an Image as parse_image() gives one for x86, from a
// Linux kernel `Image` or a freestanding ELF64 file.
#pragma once

#include <string>

#include "machine/boot/bytes.hpp"
#include "machine/boot/image.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

/// Expects that architecture_of() says arm64. `file` must outlive the result; `path` names it in
/// errors.
Result<Image> parse_arm64_image(Bytes file, const std::string& path);

}  // namespace vpmu::machine::boot
