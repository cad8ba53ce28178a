// SPDX-License-Identifier: MIT
#include "machine/boot/memory_map.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine::boot {
namespace {

TEST(MemoryMap, CoversLowMemoryWithTheBootAreaReserved) {
  const auto memory = GuestMemory::create(64 << 20);
  const auto map = memory_map(*memory, 0x3ff0000);
  const std::vector<MemoryRange> expected{
      {0, 0x9fc00, MemoryType::kUsable},
      {0x9fc00, 0x60400, MemoryType::kReserved},
      {0x100000, 0x3ef0000, MemoryType::kUsable},
      {0x3ff0000, 0x10000, MemoryType::kReserved},
      {0xfec00000, 0x300000, MemoryType::kReserved},
  };
  EXPECT_EQ(map, expected);
  EXPECT_EQ(map.size(), memory_map_size(*memory));
}

TEST(MemoryMap, MoreThan3GiBContinuesAt4GiB) {
  const auto memory = GuestMemory::create(5ULL << 30);
  const auto map = memory_map(*memory, 0xbfff0000);
  EXPECT_EQ(map.size(), memory_map_size(*memory));
  EXPECT_EQ(map.back(), (MemoryRange{4ULL << 30, 2ULL << 30, MemoryType::kUsable}));
}

}  // namespace
}  // namespace vpmu::machine::boot
