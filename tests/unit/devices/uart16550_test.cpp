// SPDX-License-Identifier: MIT
#include "machine/devices/uart16550.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

enum Register : std::uint16_t { kData, kIer, kIir, kLcr, kMcr, kLsr, kMsr, kScratch };
constexpr std::uint16_t kFcr = kIir;
constexpr std::uint8_t kOut2 = 0x08, kLoop = 0x10, kDlab = 0x80;

class Uart16550Test : public testing::Test {
 protected:
  Uart16550Test() { uart.add_to(bus); }

  std::uint8_t in(std::uint16_t reg) {
    return static_cast<std::uint8_t>(
        bus.read_port(static_cast<std::uint16_t>(Uart16550::kCom1 + reg), 1));
  }
  void out(std::uint16_t reg, std::uint8_t value) {
    bus.write_port(static_cast<std::uint16_t>(Uart16550::kCom1 + reg), 1, value);
  }
  bool line() const { return lines.high[Uart16550::kCom1Line]; }

  FakeLines lines;
  FakeSink sink;
  Bus bus;
  Uart16550 uart{Uart16550::kCom1, Uart16550::kCom1Line, lines, sink};
};

TEST_F(Uart16550Test, ResetState) {
  EXPECT_EQ(in(kIer), 0x00);
  EXPECT_EQ(in(kIir), 0x01);
  EXPECT_EQ(in(kLcr), 0x00);
  EXPECT_EQ(in(kMcr), 0x00);
  EXPECT_EQ(in(kLsr), 0x60);
  EXPECT_EQ(in(kMsr), 0xb0);
  EXPECT_FALSE(line());
}

TEST_F(Uart16550Test, WrittenBytesAreInTheSinkAtOnce) {
  for (const char c : {'o', 'k', '\r', '\n'}) {
    EXPECT_EQ(in(kLsr)&0x20, 0x20);
    out(kData, static_cast<std::uint8_t>(c));
  }
  EXPECT_EQ(sink.text, "ok\r\n");
}

TEST_F(Uart16550Test, DivisorIsBehindDlab) {
  out(kIer, 0x0f);
  out(kLcr, kDlab | 0x03);
  out(kData, 0x34);
  out(kIer, 0x12);
  EXPECT_EQ(in(kData), 0x34);
  EXPECT_EQ(in(kIer), 0x12);
  out(kLcr, 0x03);
  EXPECT_EQ(in(kIer), 0x0f);
  EXPECT_EQ(sink.text, "");
}

TEST_F(Uart16550Test, ScratchAndControlRegistersKeepTheirBits) {
  out(kScratch, 0xa5);
  EXPECT_EQ(in(kScratch), 0xa5);
  out(kIer, 0xff);
  EXPECT_EQ(in(kIer), 0x0f);
  out(kMcr, 0xff & ~kLoop);
  EXPECT_EQ(in(kMcr), 0x0f);
  out(kLsr, 0xff);
  EXPECT_EQ(in(kLsr), 0x60);
}

TEST_F(Uart16550Test, WithoutFifoOneByteIsHeldAndTheNextOverruns) {
  EXPECT_TRUE(uart.can_receive());
  uart.receive('a');
  EXPECT_FALSE(uart.can_receive());
  uart.receive('b');
  EXPECT_EQ(in(kLsr), 0x63);
  EXPECT_EQ(in(kLsr), 0x61) << "reading clears the overrun";
  EXPECT_EQ(in(kData), 'a');
  EXPECT_EQ(in(kLsr), 0x60);
  EXPECT_EQ(in(kData), 0);
}

TEST_F(Uart16550Test, FifoHoldsSixteenInOrder) {
  out(kFcr, 0x01);
  EXPECT_EQ(in(kIir), 0xc1);
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_TRUE(uart.can_receive());
    uart.receive(static_cast<std::uint8_t>(i));
  }
  EXPECT_FALSE(uart.can_receive());
  for (unsigned i = 0; i < 16; ++i) EXPECT_EQ(in(kData), i);
  EXPECT_TRUE(uart.can_receive());
  uart.receive('x');
  out(kFcr, 0x03);
  EXPECT_EQ(in(kLsr)&1, 0) << "cleared";
}

TEST_F(Uart16550Test, ReceivedDataInterruptsAtTheTriggerLevelOrByTimeout) {
  out(kMcr, kOut2);
  out(kIer, 0x01);
  const struct {
    std::uint8_t fcr;
    unsigned level;
  } table[] = {{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}};
  for (const auto& row : table) {
    out(kFcr, static_cast<std::uint8_t>(row.fcr | 2));
    EXPECT_FALSE(line());
    for (unsigned i = 1; i <= row.level; ++i) {
      uart.receive('x');
      EXPECT_EQ(in(kIir), i < row.level ? 0xcc : 0xc4);
      EXPECT_TRUE(line());
    }
    for (unsigned i = 0; i < row.level; ++i) in(kData);
    EXPECT_FALSE(line());
  }
}

TEST_F(Uart16550Test, InterruptsAreIdentifiedByPriority) {
  out(kMcr, kOut2);
  uart.receive('a');
  uart.receive('b');
  out(kMcr, kOut2 | kLoop);
  out(kMcr, kOut2);  // modem lines changed
  out(kIer, 0x0f);
  EXPECT_EQ(in(kIir), 0x06) << "overrun";
  in(kLsr);
  EXPECT_EQ(in(kIir), 0x04) << "data";
  in(kData);
  EXPECT_EQ(in(kIir), 0x02) << "transmitter empty";
  EXPECT_EQ(in(kIir), 0x00) << "modem status; reading IIR ended the transmitter's";
  EXPECT_TRUE(line());
  in(kMsr);
  EXPECT_EQ(in(kIir), 0x01);
  EXPECT_FALSE(line());
}

TEST_F(Uart16550Test, EveryWriteGivesANewTransmitterEdge) {
  out(kMcr, kOut2);
  out(kIer, 0x02);
  EXPECT_EQ(lines.edges[4], 1U) << "enabling raises it";
  out(kData, 'a');
  EXPECT_EQ(lines.edges[4], 2U);
  EXPECT_EQ(in(kIir), 0x02);
  EXPECT_FALSE(line());
  out(kData, 'b');
  EXPECT_EQ(lines.edges[4], 3U);
}

TEST_F(Uart16550Test, Out2GatesTheLine) {
  out(kIer, 0x01);
  uart.receive('a');
  EXPECT_EQ(in(kIir), 0x04);
  EXPECT_FALSE(line());
  out(kMcr, kOut2);
  EXPECT_TRUE(line());
}

TEST_F(Uart16550Test, LoopbackTurnsOutputIntoInput) {
  const struct {
    std::uint8_t mcr, msr;
  } table[] = {{0x1, 0x20}, {0x2, 0x10}, {0x4, 0x40}, {0x8, 0x80}, {0xf, 0xf0}, {0x0, 0x00}};
  for (const auto& row : table) {
    out(kMcr, kLoop | row.mcr);
    EXPECT_EQ(in(kMsr)&0xf0, row.msr);
  }
  out(kData, 'z');
  uart.receive('y');  // the line is cut
  EXPECT_EQ(in(kData), 'z');
  EXPECT_EQ(in(kLsr), 0x60);
  EXPECT_EQ(sink.text, "");
}

TEST_F(Uart16550Test, ResetEmptiesItAndLowersItsLine) {
  out(kMcr, kOut2);
  out(kIer, 0x01);
  uart.receive('a');
  EXPECT_TRUE(line());
  uart.reset();
  EXPECT_FALSE(line());
  EXPECT_EQ(in(kLsr), 0x60);
}

}  // namespace
}  // namespace vpmu::machine
