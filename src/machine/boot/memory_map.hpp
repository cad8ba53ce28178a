// SPDX-License-Identifier: MIT
//
// What a guest is told about its physical address space.
#pragma once

#include <cstdint>
#include <vector>

#include "machine/guest_memory.hpp"

namespace vpmu::machine::boot {

/// The types of the BIOS's memory map, which multiboot and PVH have taken over.
enum class MemoryType : std::uint32_t { kUsable = 1, kReserved = 2 };

struct MemoryRange {
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  MemoryType type = MemoryType::kUsable;
  friend bool operator==(const MemoryRange&, const MemoryRange&) = default;
};

/// Where a PC's usable low memory ends, and where its upper memory begins.
inline constexpr std::uint64_t kLowMemoryEnd = 0x9fc00;
inline constexpr std::uint64_t kUpperMemoryBegin = 0x100000;

/// By address: low memory, the area of video memory and ROMs, upper memory up to `boot_area`, the
/// boot area (reserved), the local APIC and I/O APIC pages, RAM above 4 GiB. `boot_area` lies
/// between 1 MiB and the end of RAM below 4 GiB.
std::vector<MemoryRange> memory_map(const GuestMemory& memory, std::uint64_t boot_area);

/// How many ranges memory_map() gives for this memory, whatever the boot area.
std::size_t memory_map_size(const GuestMemory& memory);

}  // namespace vpmu::machine::boot
