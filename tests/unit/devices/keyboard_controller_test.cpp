// SPDX-License-Identifier: MIT
#include "machine/devices/keyboard_controller.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

class KeyboardControllerTest : public testing::Test {
 protected:
  KeyboardControllerTest() { controller.add_to(bus); }
  std::uint8_t status() { return static_cast<std::uint8_t>(bus.read_port(0x64, 1)); }
  std::uint8_t data() { return static_cast<std::uint8_t>(bus.read_port(0x60, 1)); }
  void command(std::uint8_t value) { bus.write_port(0x64, 1, value); }

  FakeControl control;
  Bus bus;
  KeyboardController controller{control};
};

TEST_F(KeyboardControllerTest, IsNeverBusyAndHasNothingToSay) {
  EXPECT_EQ(status() & 0x03, 0);
  EXPECT_NE(status(), 0xff);
}

TEST_F(KeyboardControllerTest, CommandsAreAnsweredAtOnce) {
  const struct {
    std::uint8_t command, answer;
  } table[] = {{0xaa, 0x55}, {0xab, 0x00}, {0xa9, 0x00}, {0x20, 0x10}, {0xd0, 0x03}};
  for (const auto& row : table) {
    command(row.command);
    EXPECT_EQ(status() & 1, 1);
    EXPECT_EQ(data(), row.answer) << std::hex << int{row.command};
    EXPECT_EQ(status() & 1, 0);
  }
}

TEST_F(KeyboardControllerTest, CommandByteCanBeSet) {
  command(0x60);
  bus.write_port(0x60, 1, 0x47);
  command(0x20);
  EXPECT_EQ(data(), 0x47);
}

TEST_F(KeyboardControllerTest, WritesToTheAbsentKeyboardGetNoAnswer) {
  bus.write_port(0x60, 1, 0xff);
  EXPECT_EQ(status() & 1, 0);
}

TEST_F(KeyboardControllerTest, PulsingTheResetLineResets) {
  command(0xff);  // pulses nothing
  EXPECT_EQ(control.resets, 0U);
  command(0xfe);
  EXPECT_EQ(control.resets, 1U);
  command(0xd1);
  bus.write_port(0x60, 1, 0x02);
  EXPECT_EQ(control.resets, 2U);
}

}  // namespace
}  // namespace vpmu::machine
