// SPDX-License-Identifier: MIT
#include "machine/devices/power_ports.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

class PowerPortsTest : public testing::Test {
 protected:
  PowerPortsTest() { ports.add_to(bus); }
  void type(std::string_view text) {
    for (const char c : text) bus.write_port(0x8900, 1, static_cast<std::uint8_t>(c));
  }

  FakeControl control;
  Bus bus;
  PowerPorts ports{control};
};

TEST_F(PowerPortsTest, SleepEnablePowersOff) {
  for (const std::uint16_t port : {0x604, 0xb004}) {
    bus.write_port(port, 2, 0x1c00);
    EXPECT_EQ(control.power_offs, 0U);
    bus.write_port(port, 1, 0x20);
    EXPECT_EQ(control.power_offs, 0U);
    bus.write_port(port, 2, 0x2000);
    EXPECT_EQ(control.power_offs, 1U);
    control.power_offs = 0;
  }
}

TEST_F(PowerPortsTest, TheWordShutdownPowersOff) {
  type("Shutdow");
  EXPECT_EQ(control.power_offs, 0U);
  type("n");
  EXPECT_EQ(control.power_offs, 1U);
  type("ShutShutdown");
  EXPECT_EQ(control.power_offs, 2U);
  type("shutdown");
  EXPECT_EQ(control.power_offs, 2U);
}

TEST_F(PowerPortsTest, ResetControlResetsOnTheRise) {
  bus.write_port(0xcf9, 1, 0x02);
  EXPECT_EQ(control.resets, 0U);
  EXPECT_EQ(bus.read_port(0xcf9, 1), 0x02U);
  bus.write_port(0xcf9, 1, 0x06);
  EXPECT_EQ(control.resets, 1U);
  bus.write_port(0xcf8, 4, 0x80000600);  // PCI configuration address, not reset control
  EXPECT_EQ(control.resets, 1U);
}

}  // namespace
}  // namespace vpmu::machine
