// SPDX-License-Identifier: MIT
#include "machine/devices/pic8259.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine {
namespace {

class Output final : public PicOutput {
 public:
  void set_pic_output(bool is_high) override { high = is_high; }
  bool high = false;
};

class Pic8259Test : public testing::Test {
 protected:
  Pic8259Test() {
    pic.add_to(bus);
    pic.connect(&output);
    initialize(0x01, 0x01);
  }

  void out(std::uint16_t port, std::uint8_t value) { bus.write_port(port, 1, value); }
  std::uint8_t in(std::uint16_t port) { return static_cast<std::uint8_t>(bus.read_port(port, 1)); }

  /// As PC software does: vectors 0x30 and 0x38.
  void initialize(std::uint8_t icw4_master, std::uint8_t icw4_slave) {
    out(0x20, 0x11);
    out(0x21, 0x30);
    out(0x21, 0x04);
    out(0x21, icw4_master);
    out(0xa0, 0x11);
    out(0xa1, 0x38);
    out(0xa1, 0x02);
    out(0xa1, icw4_slave);
  }
  void pulse(unsigned irq) {
    pic.set_irq(irq, true);
    pic.set_irq(irq, false);
  }

  Bus bus;
  Output output;
  Pic8259 pic;
};

TEST_F(Pic8259Test, EveryLineHasItsVector) {
  for (unsigned irq = 0; irq < 16; ++irq) {
    if (irq == 2) continue;
    pic.set_irq(irq, true);
    EXPECT_TRUE(output.high);
    EXPECT_EQ(pic.acknowledge(), 0x30 + irq);
    EXPECT_FALSE(output.high);
    pic.set_irq(irq, false);
    if (irq >= 8) out(0xa0, 0x20);
    out(0x20, 0x20);
  }
}

TEST_F(Pic8259Test, AnEdgeIsRememberedAndCountsOnce) {
  pulse(3);
  pulse(3);
  EXPECT_EQ(in(0x20), 1 << 3) << "IRR";
  EXPECT_EQ(pic.acknowledge(), 0x33);
  EXPECT_FALSE(output.high);
  out(0x20, 0x0b);
  EXPECT_EQ(in(0x20), 1 << 3) << "ISR";
  out(0x20, 0x20);
  EXPECT_EQ(in(0x20), 0);
  EXPECT_FALSE(output.high);
}

TEST_F(Pic8259Test, LowerLinesAreMoreImportantAndNest) {
  pulse(5);
  EXPECT_EQ(pic.acknowledge(), 0x35);
  pulse(6);
  EXPECT_FALSE(output.high);
  pulse(9);  // through the cascade: as line 2
  EXPECT_TRUE(output.high);
  EXPECT_EQ(pic.acknowledge(), 0x39);
  pulse(1);
  EXPECT_EQ(pic.acknowledge(), 0x31);
  out(0x20, 0x20);  // 1
  out(0xa0, 0x20);
  out(0x20, 0x20);  // cascade
  EXPECT_FALSE(output.high) << "5 is still served";
  out(0x20, 0x65);  // specific EOI
  EXPECT_TRUE(output.high);
  EXPECT_EQ(pic.acknowledge(), 0x36);
}

TEST_F(Pic8259Test, MaskedLinesWait) {
  out(0x21, 0xff);
  EXPECT_EQ(in(0x21), 0xff);
  pulse(4);
  EXPECT_FALSE(output.high);
  out(0x21, 0xef);
  EXPECT_TRUE(output.high);
}

TEST_F(Pic8259Test, NothingToAcknowledgeIsSpuriousSeven) {
  EXPECT_EQ(pic.acknowledge(), 0x37);
  out(0x20, 0x0b);
  EXPECT_EQ(in(0x20), 0) << "no ISR bit for it";
}

TEST_F(Pic8259Test, LevelLinesRequestWhileHigh) {
  out(0x4d0, 0xff);
  out(0x4d1, 0xff);
  EXPECT_EQ(in(0x4d0), 0xf8) << "timer, keyboard and cascade are edges";
  EXPECT_EQ(in(0x4d1), 0xde) << "RTC and FPU are edges";
  EXPECT_EQ(bus.read_port(0x4d0, 2), 0xdef8U);
  pic.set_irq(11, true);
  EXPECT_EQ(pic.acknowledge(), 0x3b);
  out(0xa0, 0x20);
  out(0x20, 0x20);
  EXPECT_TRUE(output.high);
  pic.set_irq(11, false);
  EXPECT_FALSE(output.high);
}

TEST_F(Pic8259Test, AutoEoiServesNothing) {
  initialize(0x03, 0x03);
  pulse(3);
  EXPECT_EQ(pic.acknowledge(), 0x33);
  pulse(3);
  EXPECT_EQ(pic.acknowledge(), 0x33);
  out(0x20, 0x0b);
  EXPECT_EQ(in(0x20), 0);
}

TEST_F(Pic8259Test, RotationMakesTheServedLineLast) {
  pulse(3);
  pulse(4);
  EXPECT_EQ(pic.acknowledge(), 0x33);
  out(0x20, 0xa0);  // rotate on non-specific EOI
  pulse(3);
  EXPECT_EQ(pic.acknowledge(), 0x34);
  out(0x20, 0x20);
  EXPECT_EQ(pic.acknowledge(), 0x33);
  out(0x20, 0x20);
  out(0x20, 0xc0 | 5);  // set priority: 6 is the highest now
  pulse(5);
  pulse(7);
  EXPECT_EQ(pic.acknowledge(), 0x37);
}

TEST_F(Pic8259Test, PollingAcknowledges) {
  EXPECT_EQ(in(0x20), 0);
  out(0x20, 0x0c);
  EXPECT_EQ(in(0x20), 0) << "nothing pending";
  pulse(5);
  out(0x20, 0x0c);
  EXPECT_EQ(in(0x20), 0x85);
  EXPECT_FALSE(output.high);
  out(0x20, 0x0b);
  EXPECT_EQ(in(0x20), 1 << 5);
}

TEST_F(Pic8259Test, SpecialMaskLetsLessImportantLinesThrough) {
  pulse(1);
  EXPECT_EQ(pic.acknowledge(), 0x31);
  pulse(6);
  EXPECT_FALSE(output.high);
  out(0x21, 1 << 1);
  out(0x20, 0x68);  // special mask mode
  EXPECT_TRUE(output.high);
  EXPECT_EQ(pic.acknowledge(), 0x36);
}

TEST_F(Pic8259Test, SpecialFullyNestedModeNestsWithinTheSlave) {
  pulse(12);
  EXPECT_EQ(pic.acknowledge(), 0x3c);
  pulse(9);
  EXPECT_FALSE(output.high);
  out(0xa0, 0x20);
  out(0x20, 0x20);
  EXPECT_EQ(pic.acknowledge(), 0x39);

  initialize(0x11, 0x01);
  pulse(12);
  EXPECT_EQ(pic.acknowledge(), 0x3c);
  pulse(9);
  EXPECT_TRUE(output.high);
  EXPECT_EQ(pic.acknowledge(), 0x39);
}

TEST_F(Pic8259Test, InitialisationClearsRequestsAndMask) {
  out(0x21, 0xaa);
  pulse(3);
  initialize(0x01, 0x01);
  EXPECT_EQ(in(0x21), 0);
  EXPECT_EQ(in(0x20), 0);
  EXPECT_FALSE(output.high);
}

TEST_F(Pic8259Test, LinesThatDoNotExistAreIgnored) {
  pic.set_irq(2, true);
  pic.set_irq(16, true);
  pic.set_irq(~0U, true);
  EXPECT_FALSE(output.high);
}

}  // namespace
}  // namespace vpmu::machine
