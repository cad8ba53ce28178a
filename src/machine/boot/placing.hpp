// SPDX-License-Identifier: MIT
//
// Putting an image and the files that go with it into RAM, whatever the architecture. `path` names
// the image in errors.
#pragma once

#include <string>
#include <vector>

#include "machine/boot/boot_area.hpp"
#include "machine/boot/image.hpp"
#include "machine/boot/start_info.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

/// Puts the segments of an image into RAM, which they may not fit.
Result<void> place_segments(const Image& image, const GuestMemory& memory, const std::string& path);

/// Reads these files and puts them into the area, each at the start of a page.
Result<std::vector<Module>> place_modules(const std::vector<std::string>& paths, BootArea& area);

/// The error of an area that is full.
tl::unexpected<Error> no_room(const std::string& path, const GuestMemory& memory);

}  // namespace vpmu::machine::boot
