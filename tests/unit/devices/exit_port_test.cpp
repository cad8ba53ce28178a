// SPDX-License-Identifier: MIT
#include "machine/devices/exit_port.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

TEST(ExitPort, AnyWriteEndsTheRunWithItsValue) {
  FakeControl control;
  Bus bus;
  ExitPort port{control};
  port.add_to(bus);
  bus.write_port(0xf4, 1, 0x12);
  bus.write_port(0xf4, 2, 0x1234);
  bus.write_port(0xf4, 4, 0x12345678);
  EXPECT_EQ(control.exits, (std::vector<std::uint32_t>{0x12, 0x1234, 0x12345678}));
}

TEST(ExitPort, NeighboursAndReadsDoNothing) {
  FakeControl control;
  Bus bus;
  ExitPort port{control};
  port.add_to(bus);
  for (std::uint16_t at = 0xf5; at < 0xf8; ++at) bus.write_port(at, 1, 1);
  EXPECT_EQ(bus.read_port(0xf4, 4), 0U);
  EXPECT_TRUE(control.exits.empty());
}

}  // namespace
}  // namespace vpmu::machine
