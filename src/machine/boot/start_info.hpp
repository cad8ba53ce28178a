// SPDX-License-Identifier: MIT
//
// The structures in guest memory through which an image learns what machine it is on: the multiboot
// information (Multiboot Specification 0.6.96, 3.3) and PVH's hvm_start_info (version 1).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/boot/boot_area.hpp"

namespace vpmu::machine::boot {

/// A file that was placed for the guest.
struct Module {
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  std::uint64_t name = 0;  ///< address of the string that belongs to it
};

struct StartInfo {
  std::uint64_t command_line = 0;  ///< address of the string
  std::vector<Module> modules;
};

/// Places the structure and all it refers to; its address. 0: no room.
std::uint64_t place_multiboot_info(const StartInfo& info, const GuestMemory& memory,
                                   BootArea& area);
std::uint64_t place_pvh_start_info(const StartInfo& info, const GuestMemory& memory,
                                   BootArea& area);

}  // namespace vpmu::machine::boot
