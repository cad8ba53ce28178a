// SPDX-License-Identifier: MIT
#include "machine/boot/linux_image_header.hpp"

#include <gtest/gtest.h>

#include "unit/boot/elf_builder.hpp"

namespace vpmu::machine::boot {
namespace {

TEST(LinuxImageHeader, FieldsAreReadFromTheirPlaces) {
  const auto header = LinuxImageHeader::read(test::linux_image(0x1000, 0x20000, 0b1010));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->text_offset, 0x1000u);
  EXPECT_EQ(header->image_size, 0x20000u);
  EXPECT_FALSE(header->big_endian());
  EXPECT_EQ(header->page_bytes(), 4096u);
  EXPECT_TRUE(header->anywhere());
}

TEST(LinuxImageHeader, PageSizesAreThoseOfTheDocument) {
  const std::uint64_t sizes[] = {0, 4096, 16384, 65536};
  for (unsigned n = 0; n < 4; ++n) {
    EXPECT_EQ(LinuxImageHeader::read(test::linux_image(0, 1, n << 1))->page_bytes(), sizes[n]);
  }
}

TEST(LinuxImageHeader, KernelsThatDoNotSayTheirSizeLieAtTheOldOffset) {
  const auto header = LinuxImageHeader::read(test::linux_image(0x1234, 0, 0));
  EXPECT_EQ(header->text_offset, 0x80000u);
  EXPECT_EQ(header->image_size, 0u);
}

TEST(LinuxImageHeader, ShorterFilesHaveNone) {
  const auto file = test::linux_image(0, 4096, 0);
  EXPECT_FALSE(LinuxImageHeader::read(Bytes{file}.first(63)).has_value());
  EXPECT_TRUE(LinuxImageHeader::read(Bytes{file}.first(64)).has_value());
}

}  // namespace
}  // namespace vpmu::machine::boot
