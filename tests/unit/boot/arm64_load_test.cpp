// SPDX-License-Identifier: MIT
#include "machine/boot/arm64_load.hpp"

#include "unit/boot/load_fixture.hpp"
#include "unit/boot/parsed_tree.hpp"

namespace vpmu::machine::boot {
namespace {

using namespace std::string_literals;
using test::FileBytes;
using Wide = std::vector<std::uint64_t>;

constexpr std::uint64_t kSize = 16 << 20;
constexpr std::uint64_t kEnd = 0x4000'0000 + kSize;

class Arm64Load : public test::LoadFixture {
 protected:
  Arm64Load() : LoadFixture{kSize, kArmMemory} {}

  Result<Arm64Start> load(const FileBytes& image, const std::string& arguments = "",
                          const std::vector<std::string>& modules = {}) {
    return load_arm64({write("image", image), arguments, modules}, board, memory);
  }

  [[nodiscard]] test::ParsedTree tree(const Arm64Start& start) const {
    const std::uint8_t* at = memory.host(start.device_tree, 8);
    const void* header = at;
    return test::ParsedTree{{at, at + fdt_totalsize(header)}};
  }

  DeviceTreeBoard board;
};

TEST_F(Arm64Load, FreestandingImageStartsWithADeviceTree) {
  const auto start = load(test::arm64_elf().build(), "one two");
  ASSERT_TRUE(start.has_value()) << start.error().message;
  EXPECT_EQ(start->protocol, Protocol::kFreestanding);
  EXPECT_EQ(start->entry, 0x4000'0000u);
  EXPECT_EQ(at<std::uint32_t>(0x4000'0000), 0x1f1f1f1fu);
  EXPECT_EQ(start->device_tree % 8, 0u);
  EXPECT_EQ(tree(*start).text("/chosen", "bootargs"), "one two\0"s);
}

TEST_F(Arm64Load, LinuxImageAndItsInitialRamDiskLieInRamWithoutTouchingEachOther) {
  const std::string disk = write("disk", FileBytes(5000, 0x77));
  const auto start = load(test::linux_image(0x80000, 8 << 20, 0), "", {disk});
  ASSERT_TRUE(start.has_value()) << start.error().message;
  EXPECT_EQ(start->protocol, Protocol::kLinux);
  EXPECT_EQ(at<std::uint32_t>(0x4008'0000 + 56), 0x644d5241u);
  const auto parsed = tree(*start);
  const std::uint64_t begin = parsed.wide("/chosen", "linux,initrd-start").at(0);
  const std::uint64_t end = parsed.wide("/chosen", "linux,initrd-end").at(0);
  EXPECT_EQ(end - begin, 5000u);
  EXPECT_EQ(at<std::uint8_t>(end - 1), 0x77);
  EXPECT_GE(begin, start->boot_area);
  EXPECT_GE(start->boot_area, 0x4008'0000u + (8 << 20));
  EXPECT_LE(end, kEnd);
}

TEST_F(Arm64Load, SecondInitialRamDiskIsRefused) {
  const auto start = load(test::arm64_elf().build(), "", {"a", "b"});
  ASSERT_FALSE(start.has_value());
  EXPECT_NE(start.error().message.find("initrd 'b'"), std::string::npos);
}

TEST_F(Arm64Load, ImagesThatDoNotFitSayWhatToDo) {
  struct Case {
    std::uint64_t address, size;
    const char* message;
  };
  const Case cases[] = {
      {0x1000, 4096, "below RAM, which begins at 0x40000000"},
      {0x3fff'f000, 8192, "below RAM"},
      {0x4000'0000, 32 << 20, "at least 33M"},
      {0x1'0000'0000, 4096, "at least 3074M"},
  };
  for (const Case& c : cases) {
    test::Elf64Builder builder = test::arm64_elf();
    builder.parts.clear();
    builder.header.e_entry = c.address;
    builder.add(PT_LOAD, c.address, FileBytes(16), c.size);
    const auto start = load(builder.build());
    ASSERT_FALSE(start.has_value()) << c.address;
    EXPECT_NE(start.error().message.find(c.message), std::string::npos) << start.error().message;
  }
}

TEST_F(Arm64Load, NoRoomBesideTheImageIsAnError) {
  auto builder = test::arm64_elf();
  builder.parts[0].header.p_memsz = kSize;
  const auto start = load(builder.build());
  ASSERT_FALSE(start.has_value());
  EXPECT_NE(start.error().message.find("no room"), std::string::npos) << start.error().message;
}

TEST_F(Arm64Load, DamagedAndMissingFilesAreNamed) {
  FileBytes truncated = test::arm64_elf().build();
  truncated.resize(70);
  EXPECT_FALSE(load(truncated).has_value());
  const auto missing = load_arm64({"/nowhere", "", {}}, board, memory);
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message.find("'/nowhere'"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::machine::boot
