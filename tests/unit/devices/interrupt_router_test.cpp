// SPDX-License-Identifier: MIT
#include "machine/devices/interrupt_router.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"
#include "machine/devices/local_apic.hpp"

namespace vpmu::machine {
namespace {

class InterruptRouterTest : public testing::Test {
 protected:
  InterruptRouterTest() {
    pic.add_to(ports);
    router.connect_lint0(&apic);
    for (const auto& [port, value] :
         std::initializer_list<std::pair<std::uint16_t, unsigned>>{{0x20, 0x11},
                                                                   {0x21, 0x30},
                                                                   {0x21, 4},
                                                                   {0x21, 1},
                                                                   {0xa0, 0x11},
                                                                   {0xa1, 0x38},
                                                                   {0xa1, 2},
                                                                   {0xa1, 1}}) {
      ports.write_port(port, 1, value);
    }
    apic.write_mmio(apic::kSpurious, 4, 0x1ff);
  }

  void program(unsigned pin, std::uint32_t low) {
    io_apic.write_mmio(0x00, 4, 0x10 + 2 * pin);
    io_apic.write_mmio(0x10, 4, low);
  }

  Clock clock{1'000'000'000};
  Bus ports;
  ApicBus bus;
  FakeSignals signals;
  Pic8259 pic;
  IoApic io_apic{bus};
  InterruptRouter router{pic, io_apic};
  LocalApic apic{{}, clock, bus, signals, &pic};
};

TEST_F(InterruptRouterTest, IsaLinesReachTheIoApicPinOfTheirNumberButForTheTimer) {
  for (unsigned line = 0; line < 24; ++line) {
    const unsigned pin = line == 0 ? 2 : line;
    program(pin, 0x40 + 0x08 * pin % 0xa0);
    router.set_line(line, true);
    EXPECT_TRUE(apic.interrupt_waiting()) << line;
    EXPECT_EQ(apic.acknowledge(), 0x40 + 0x08 * pin % 0xa0);
    apic.write_mmio(apic::kEoi, 4, 0);
    router.set_line(line, false);
    program(pin, 1 << 16);
  }
}

TEST_F(InterruptRouterTest, ThePicInterruptsThroughLint0) {
  apic.write_mmio(apic::kLvtLint0, 4, 0x700);
  router.set_line(0, true);
  EXPECT_TRUE(apic.interrupt_waiting());
  EXPECT_GE(signals.wakes, 1U);
  EXPECT_EQ(apic.acknowledge(), 0x30);
  EXPECT_FALSE(apic.interrupt_waiting());
  router.set_line(0, false);
  router.set_line(8, true);
  EXPECT_FALSE(apic.interrupt_waiting()) << "line 0 is in service";
  ports.write_port(0x20, 1, 0x20);
  EXPECT_EQ(apic.acknowledge(), 0x38);
}

TEST_F(InterruptRouterTest, AMaskedPicIsQuiet) {
  apic.write_mmio(apic::kLvtLint0, 4, 0x700);
  ports.write_port(0x21, 1, 0xff);
  router.set_line(4, true);
  EXPECT_FALSE(apic.interrupt_waiting());
  ports.write_port(0x21, 1, 0xef);
  EXPECT_TRUE(apic.interrupt_waiting());
  router.set_line(4, false);
  EXPECT_TRUE(apic.interrupt_waiting()) << "an edge is remembered";
}

TEST_F(InterruptRouterTest, PastTheLastPinNothingHappens) {
  router.set_line(24, true);
  router.set_line(~0U, true);
  EXPECT_FALSE(apic.interrupt_waiting());
}

}  // namespace
}  // namespace vpmu::machine
