// SPDX-License-Identifier: MIT
#include "machine/devices/exit_device.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

class ExitDeviceTest : public testing::Test {
 protected:
  ExitDeviceTest() { device.add_to(bus); }

  FakeControl control;
  Bus bus;
  ExitDevice device{control};
};

TEST_F(ExitDeviceTest, AWriteToItsFirstWordEndsTheRunWithItsValue) {
  bus.write_mmio(0x090f'0000, 4, 0x12345678);
  bus.write_mmio(0x090f'0000, 1, 0x12345678);
  bus.write_mmio(0x090f'0000, 8, 0x1'0000'0002);
  EXPECT_EQ(control.exits, (std::vector<std::uint32_t>{0x12345678, 0x78, 2}));
}

TEST_F(ExitDeviceTest, ItsOtherWordsAndReadsDoNothing) {
  for (std::uint64_t at = 1; at < 16; ++at) bus.write_mmio(0x090f'0000 + at, 1, 1);
  bus.write_mmio(0x090f'0ffc, 4, 1);
  EXPECT_EQ(bus.read_mmio(0x090f'0000, 4), 0U);
  EXPECT_TRUE(control.exits.empty());
}

}  // namespace
}  // namespace vpmu::machine
