// SPDX-License-Identifier: MIT
#include "machine/pc/page_walk.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace vpmu::machine {
namespace {

class PageWalkTest : public testing::Test {
 protected:
  GuestMemory memory = *GuestMemory::create(2 << 20);
  x86::Core core;

  template <class T>
  void put(std::uint64_t address, T value) {
    std::memcpy(memory.host(address, sizeof value), &value, sizeof value);
  }
  void long_mode() {
    core.cr0 = x86::kCr0Pe | x86::kCr0Pg;
    core.cr4 = x86::kCr4Pae;
    core.efer = x86::kEferLme | x86::kEferLma;
    core.cr3 = 0x1000;
  }
};

TEST_F(PageWalkTest, WithoutPagingAddressesArePhysical) {
  const PageWalk walk = walk_pages(memory, core, 0x12345);
  EXPECT_TRUE(walk.steps.empty());
  EXPECT_EQ(walk.physical, 0x12345u);
}

TEST_F(PageWalkTest, FourLevelsLeadToA4KiBPage) {
  long_mode();
  // Linear 0x8080604abc: PML4 1, PDPT 2, PD 3, PT 4.
  put(0x1008, std::uint64_t{0x2003});
  put(0x2010, std::uint64_t{0x3003});
  put(0x3018, std::uint64_t{0x4003});
  put(0x4020, std::uint64_t{0x8000000000077003});  // NX
  const PageWalk walk = walk_pages(memory, core, 0x8080604abc);
  ASSERT_EQ(walk.steps.size(), 4u);
  EXPECT_EQ(walk.steps[3].address, 0x4020u);
  EXPECT_EQ(walk.physical, 0x77abcu);
}

TEST_F(PageWalkTest, LargePagesEndTheWalk) {
  long_mode();
  put(0x1000, std::uint64_t{0x2003});
  put(0x2000, std::uint64_t{0x3003});
  put(0x3008, std::uint64_t{0x600083});
  EXPECT_EQ(walk_pages(memory, core, 0x212345).physical, 0x612345u);
  put(0x2008, std::uint64_t{0x80000083});
  EXPECT_EQ(walk_pages(memory, core, 0x52345678).physical, 0x92345678u);
}

TEST_F(PageWalkTest, MissingEntriesAndTablesOutsideOfRamEndIt) {
  long_mode();
  const PageWalk missing = walk_pages(memory, core, 0);
  ASSERT_EQ(missing.steps.size(), 1u);
  EXPECT_EQ(missing.steps[0].entry, 0u);
  EXPECT_FALSE(missing.physical.has_value());
  put(0x1000, std::uint64_t{0xd0000003});
  const PageWalk outside = walk_pages(memory, core, 0);
  ASSERT_EQ(outside.steps.size(), 2u);
  EXPECT_FALSE(outside.steps[1].entry.has_value());
}

TEST_F(PageWalkTest, ThirtyTwoBitTablesHaveFourByteEntries) {
  core.cr0 = x86::kCr0Pe | x86::kCr0Pg;
  core.cr3 = 0x1000;
  put(0x1004, std::uint32_t{0x2003});
  put(0x2008, std::uint32_t{0x9003});
  EXPECT_EQ(walk_pages(memory, core, 0x402123).physical, 0x9123u);
}

TEST_F(PageWalkTest, PaeHasFourPointers) {
  core.cr0 = x86::kCr0Pe | x86::kCr0Pg;
  core.cr4 = x86::kCr4Pae;
  core.cr3 = 0x1020;
  put(0x1028, std::uint64_t{0x2001});
  put(0x2000, std::uint64_t{0x400083});
  EXPECT_EQ(walk_pages(memory, core, 0x40012345).physical, 0x412345u);
}

}  // namespace
}  // namespace vpmu::machine
