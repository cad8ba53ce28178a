// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/msr_bitmap.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace vpmu::virt::x86 {
namespace {

TEST(MsrBitmap, AtFirstEveryMsrExits) {
  const MsrBitmap bitmap;
  EXPECT_TRUE(std::all_of(bitmap.bytes().begin(), bitmap.bytes().end(),
                          [](std::uint8_t byte) { return byte == 0xff; }));
}

// Intel SDM vol. 3C 25.6.9: reads of low MSRs, reads of high ones, writes of low, writes of high,
// 1024 bytes each.
TEST(MsrBitmap, BitsAreWhereTheProcessorLooksForThem) {
  struct Case {
    std::uint32_t msr;
    std::size_t read_byte;
    unsigned bit;
  };
  const Case cases[] = {
      {0x0, 0, 0},           {0x1c8, 0x39, 0},       {0x1c9, 0x39, 1},
      {0x680, 0xd0, 0},      {0x14ce, 0x299, 6},     {0x1fff, 1023, 7},
      {0xc0000000, 1024, 0}, {0xc0000301, 0x460, 1}, {0xc0001fff, 2047, 7},
  };
  for (const Case& each : cases) {
    MsrBitmap bitmap;
    bitmap.intercept(MsrIndex{each.msr}, false);
    for (std::size_t n = 0; n < MsrBitmap::kBytes; ++n) {
      const bool here = n == each.read_byte || n == each.read_byte + 2048;
      EXPECT_EQ(bitmap.bytes()[n], here ? 0xff & ~(1u << each.bit) : 0xff)
          << std::hex << each.msr << ", byte " << n;
    }
    EXPECT_FALSE(bitmap.intercepts_read(MsrIndex{each.msr}));
    EXPECT_FALSE(bitmap.intercepts_write(MsrIndex{each.msr}));
    bitmap.intercept(MsrIndex{each.msr}, true);
    EXPECT_EQ(bitmap, MsrBitmap{});
  }
}

TEST(MsrBitmap, WhatHasNoBitsAlwaysExits) {
  for (const std::uint32_t msr : {0x2000u, 0xbfffffffu, 0xc0002000u, 0xc0010000u, 0xffffffffu}) {
    MsrBitmap bitmap;
    bitmap.intercept(MsrIndex{msr}, false);
    EXPECT_EQ(bitmap, MsrBitmap{}) << std::hex << msr;
    EXPECT_TRUE(bitmap.intercepts_read(MsrIndex{msr}));
    EXPECT_TRUE(bitmap.intercepts_write(MsrIndex{msr}));
  }
}

TEST(MsrBitmap, LiesOnAPageOfItsOwn) {
  EXPECT_EQ(alignof(MsrBitmap), 4096u);
  EXPECT_EQ(sizeof(MsrBitmap), 4096u);
}

}  // namespace
}  // namespace vpmu::virt::x86
