// SPDX-License-Identifier: MIT
//
// From a file name to a guest that is ready to run: reads the image, puts it and everything it
// expects to find into RAM, and says in which state the first vCPU starts.
#pragma once

#include <string>
#include <vector>

#include "machine/boot/boot_state.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

struct LoadRequest {
  std::string image;                 ///< path of the guest image
  std::string arguments;             ///< the command line is "IMAGE ARGUMENTS"
  std::vector<std::string> modules;  ///< paths; the first is the initial RAM disk
};

/// `memory` must be fresh (all zero). Errors are one line that names the file and the remedy.
Result<BootState> load(const LoadRequest& request, const GuestMemory& memory);
/// The same for an image that was parsed, or made, already; `request.image` is only its name.
Result<BootState> load(const Image& image, const LoadRequest& request, const GuestMemory& memory);

}  // namespace vpmu::machine::boot
