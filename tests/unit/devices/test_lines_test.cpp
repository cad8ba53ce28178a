// SPDX-License-Identifier: MIT
#include "machine/devices/test_lines.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

TEST(TestLines, EveryPortMovesItsLine) {
  FakeLines lines;
  Bus bus;
  TestLines ports{lines};
  ports.add_to(bus);
  for (unsigned line = 0; line < TestLines::kLines; ++line) {
    const auto port = static_cast<std::uint16_t>(0x2000 + line);
    bus.write_port(port, 1, 1);
    EXPECT_TRUE(lines.high[line]);
    bus.write_port(port, 1, 0);
    EXPECT_FALSE(lines.high[line]);
  }
  bus.write_port(0x2018, 1, 1);
}

}  // namespace
}  // namespace vpmu::machine
