// SPDX-License-Identifier: MIT
#include "machine/boot/memory_map.hpp"

namespace vpmu::machine::boot {

std::vector<MemoryRange> memory_map(const GuestMemory& memory, std::uint64_t boot_area) {
  constexpr std::uint64_t kApics = 0xfec00000;
  constexpr std::uint64_t kApicsEnd = 0xfef00000;
  std::vector<MemoryRange> map{
      {0, kLowMemoryEnd, MemoryType::kUsable},
      {kLowMemoryEnd, kUpperMemoryBegin - kLowMemoryEnd, MemoryType::kReserved},
      {kUpperMemoryBegin, boot_area - kUpperMemoryBegin, MemoryType::kUsable},
      {boot_area, memory.low_size() - boot_area, MemoryType::kReserved},
      {kApics, kApicsEnd - kApics, MemoryType::kReserved},
  };
  if (memory.high_size() != 0) {
    map.push_back({GuestMemory::kHighBegin, memory.high_size(), MemoryType::kUsable});
  }
  return map;
}

std::size_t memory_map_size(const GuestMemory& memory) {
  return memory.high_size() != 0 ? 6 : 5;
}

}  // namespace vpmu::machine::boot
