// SPDX-License-Identifier: MIT
#include "machine/devices/fw_cfg.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine {
namespace {

class FwCfgTest : public testing::Test {
 protected:
  FwCfgTest() { fw_cfg.add_to(bus); }

  std::uint64_t read(std::uint16_t key, unsigned bytes) {
    bus.write_port(0x510, 2, key);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) {
      value |= std::uint64_t{bus.read_port(0x511, 1)} << (8 * i);
    }
    return value;
  }

  Bus bus;
  FwCfg fw_cfg{0x0108};
};

TEST_F(FwCfgTest, ItemsReadAsDocumented) {
  EXPECT_EQ(read(0x00, 4), 0x554d4551U) << "QEMU";
  EXPECT_EQ(read(0x01, 4), 1U);
  EXPECT_EQ(read(0x05, 2), 0x0108U);
  EXPECT_EQ(read(0x0f, 2), 0x0108U);
  EXPECT_EQ(read(0x11, 8), 0U);
}

TEST_F(FwCfgTest, UnknownKeysAndBytesPastTheEndAreZero) {
  for (const std::uint16_t key : {0x02, 0x19, 0x8000, 0xffff}) EXPECT_EQ(read(key, 8), 0U);
  EXPECT_EQ(read(0x05, 8), 0x0108U);
  EXPECT_EQ(read(0x00, 8), 0x554d4551U);
}

TEST_F(FwCfgTest, SelectingStartsAgain) {
  EXPECT_EQ(read(0x05, 1), 0x08U);
  EXPECT_EQ(read(0x05, 2), 0x0108U);
}

TEST_F(FwCfgTest, OnlyWordWritesSelect) {
  bus.write_port(0x510, 2, 0x05);
  bus.write_port(0x510, 1, 0x00);
  bus.write_port(0x511, 1, 0x00);
  EXPECT_EQ(bus.read_port(0x511, 1), 0x08U);
}

}  // namespace
}  // namespace vpmu::machine
