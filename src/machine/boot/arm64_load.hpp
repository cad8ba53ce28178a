// SPDX-License-Identifier: MIT
//
// From an arm64 image to a guest that is ready to run: the image, its initial RAM disk and the
// device tree in RAM, and where the first vCPU starts. It starts at EL1 with the MMU off and
// interrupts masked, x0 the address of the device tree, all other registers 0; the others are off
// until PSCI turns them on. Sources: "Booting AArch64 Linux", which freestanding images get, too.
#pragma once

#include <cstdint>

#include "machine/boot/device_tree.hpp"
#include "machine/boot/image.hpp"
#include "machine/boot/load.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

struct Arm64Start {
  Protocol protocol = Protocol::kFreestanding;
  std::uint64_t entry = 0;        ///< physical
  std::uint64_t device_tree = 0;  ///< physical, in x0
  std::uint64_t boot_area = 0;    ///< start of what was placed below the end of RAM
};

/// The command line is `request.arguments`; there is one module at most, the initial RAM disk.
/// `memory` must be fresh (all zero). Errors are one line that names the file and the remedy.
Result<Arm64Start> load_arm64(const LoadRequest& request, const DeviceTreeBoard& board,
                              const GuestMemory& memory);
/// The same for an image that was parsed, or made, already; `request.image` is only its name.
Result<Arm64Start> load_arm64(const Image& image, const LoadRequest& request,
                              const DeviceTreeBoard& board, const GuestMemory& memory);

}  // namespace vpmu::machine::boot
