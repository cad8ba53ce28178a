// SPDX-License-Identifier: MIT
#include "machine/boot/multiboot_header.hpp"

#include <gtest/gtest.h>

#include "unit/boot/elf_builder.hpp"

namespace vpmu::machine::boot {
namespace {

using test::FileBytes;

FileBytes at(std::size_t offset, const FileBytes& header, std::size_t size) {
  FileBytes file(size);
  std::copy(header.begin(), header.end(), file.begin() + static_cast<std::ptrdiff_t>(offset));
  return file;
}

TEST(MultibootHeader, IsFoundWhereTheSpecificationAllowsIt) {
  const FileBytes header = test::multiboot_header(3);
  struct Case {
    std::size_t offset;
    bool found;
  };
  for (const Case c : {Case{0, true},
                       {4, true},
                       {2, false},
                       {4096, true},
                       {8180, true},
                       {8184, false},
                       {8192, false}}) {
    const auto result = find_multiboot_header(at(c.offset, header, 9000));
    EXPECT_EQ(result.has_value(), c.found) << c.offset;
    if (result) {
      EXPECT_EQ(result->offset, c.offset);
      EXPECT_EQ(result->flags, 3u);
    }
  }
}

TEST(MultibootHeader, NeedsItsChecksum) {
  FileBytes header = test::multiboot_header(3);
  header[8] ^= 1;
  EXPECT_FALSE(find_multiboot_header(header).has_value());
}

TEST(MultibootHeader, AWrongMagicBeforeTheRightOneDoesNotHideIt) {
  FileBytes file;
  test::append(file, std::uint32_t{0x1badb002});
  test::append(file, std::uint32_t{0});
  test::append(file, std::uint32_t{0});
  const FileBytes header = test::multiboot_header(0);
  file.insert(file.end(), header.begin(), header.end());
  const auto found = find_multiboot_header(file);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->offset, 12u);
}

TEST(MultibootHeader, AddressFieldsAreReadWithFlag16) {
  const FileBytes file = test::multiboot_header(1 << 16, {0x100000, 0x100001, 0x100002, 3, 4});
  const auto found = find_multiboot_header(file);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->header_address, 0x100000u);
  EXPECT_EQ(found->load_address, 0x100001u);
  EXPECT_EQ(found->load_end_address, 0x100002u);
  EXPECT_EQ(found->bss_end_address, 3u);
  EXPECT_EQ(found->entry_address, 4u);
}

TEST(MultibootHeader, TruncatedAddressFieldsAreNoHeader) {
  FileBytes file = test::multiboot_header(1 << 16, {1, 2, 3, 4, 5});
  file.pop_back();
  EXPECT_FALSE(find_multiboot_header(file).has_value());
}

}  // namespace
}  // namespace vpmu::machine::boot
