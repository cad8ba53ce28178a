// SPDX-License-Identifier: MIT
#include "machine/boot/boot_area.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace vpmu::machine::boot {
namespace {

constexpr std::uint64_t kSize = 2 << 20;

TEST(BootArea, PlacesFromTheTopOfMemoryDownwards) {
  const auto memory = GuestMemory::create(kSize);
  BootArea area{*memory, 0x100000};
  EXPECT_EQ(area.begin(), kSize);
  EXPECT_EQ(area.reserve(100, 16), kSize - 112);
  EXPECT_EQ(area.reserve(1, 4096), kSize - 4096);
  EXPECT_EQ(area.begin(), kSize - 4096);
  EXPECT_EQ(area.reserve(1, 1), kSize - 4097);
  EXPECT_EQ(area.begin(), kSize - 8192);
}

TEST(BootArea, StringsAreCopiedWithTheirEnd) {
  const auto memory = GuestMemory::create(kSize);
  std::memset(memory->host(kSize - 4096, 4096), 0xff, 4096);
  BootArea area{*memory, 0x100000};
  const std::uint64_t address = area.place("hello");
  EXPECT_STREQ(reinterpret_cast<const char*>(memory->host(address, 6)), "hello");
}

TEST(BootArea, IsFullBeforeItReachesThePagesOfTheImage) {
  const auto memory = GuestMemory::create(kSize);
  BootArea area{*memory, kSize - 8192 + 1};
  EXPECT_NE(area.reserve(4096, 1), 0u);
  EXPECT_EQ(area.reserve(1, 1), 0u);
  EXPECT_TRUE(area.full());
  EXPECT_EQ(area.reserve(0, 1), 0u) << "once full, always full";
}

TEST(BootArea, MoreThanAllOfMemoryDoesNotFit) {
  const auto memory = GuestMemory::create(kSize);
  BootArea area{*memory, 0x100000};
  EXPECT_EQ(area.reserve(~0ULL, 1), 0u);
  EXPECT_TRUE(area.full());
}

}  // namespace
}  // namespace vpmu::machine::boot
