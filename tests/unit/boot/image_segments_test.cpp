// SPDX-License-Identifier: MIT
#include "machine/boot/image_segments.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine::boot {
namespace {

TEST(ImageSegments, PhysicalEntryIsWhereItsSegmentLies) {
  Elf elf;
  elf.segments = {{0x1000, 0x8000, 0x100, {}}, {0x2000, 0x9000, 0x100, {}}};
  elf.entry = 0x20ff;
  EXPECT_EQ(physical_entry(elf), 0x90ffu);
  elf.entry = 0x2100;
  EXPECT_EQ(physical_entry(elf), std::nullopt);
}

TEST(ImageSegments, SegmentsComeInTheOrderOfTheirAddresses) {
  Image image{.protocol = Protocol::kFreestanding, .entry = 0x3000, .segments = {}};
  image.segments = {{0x3000, 16, {}}, {0x1000, 0x2000, {}}};
  const auto ordered = with_segments_in_order(image, "x");
  ASSERT_TRUE(ordered.has_value()) << ordered.error().message;
  EXPECT_EQ(ordered->segments[0].address, 0x1000u);
  EXPECT_EQ(ordered->end(), 0x3010u);
}

TEST(ImageSegments, OverlapAndAnEntryOutsideAreErrors) {
  Image image{.protocol = Protocol::kFreestanding, .entry = 0x1000, .segments = {}};
  image.segments = {{0x2000, 1, {}}, {0x1000, 0x1001, {}}};
  EXPECT_NE(with_segments_in_order(image, "x").error().message.find("overlap"), std::string::npos);
  image.segments = {{0x2000, 0x1000, {}}};
  EXPECT_NE(with_segments_in_order(image, "x").error().message.find("in none"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::machine::boot
