// SPDX-License-Identifier: MIT
#include "machine/boot/placing.hpp"

#include "unit/boot/load_fixture.hpp"

namespace vpmu::machine::boot {
namespace {

using test::FileBytes;

class Placing : public test::LoadFixture {
 protected:
  Placing() : LoadFixture{4 << 20, kArmMemory} {}
};

TEST_F(Placing, SegmentsGoToTheirAddressesWhereverRamBegins) {
  const FileBytes content{1, 2, 3, 4};
  Image image;
  image.segments = {{0x4000'0000, 4, content}, {0x403f'fffc, 4, content}};
  ASSERT_TRUE(place_segments(image, memory, "x").has_value());
  EXPECT_EQ(at<std::uint32_t>(0x4000'0000), 0x04030201u);
  EXPECT_EQ(at<std::uint32_t>(0x403f'fffc), 0x04030201u);
}

TEST_F(Placing, ModulesAreTakenFromTheEndOfRamPageByPage) {
  const std::string path = write("module", FileBytes(4097, 0x33));
  BootArea area{memory, memory.begin()};
  const auto modules = place_modules({path, path}, area);
  ASSERT_TRUE(modules.has_value()) << modules.error().message;
  EXPECT_EQ(modules->at(0).address, BootArea::end(memory) - 8192);
  EXPECT_EQ(modules->at(1).address % 4096, 0u);
  EXPECT_LT(modules->at(1).address, modules->at(0).address);
  EXPECT_EQ(at<std::uint8_t>(modules->at(1).address + 4096), 0x33);
}

TEST_F(Placing, FullAreaSaysHowMuchMemoryThereIs) {
  EXPECT_EQ(no_room("the-file", memory).value().message.rfind("guest image 'the-file': 4 MiB", 0),
            0u);
}

}  // namespace
}  // namespace vpmu::machine::boot
