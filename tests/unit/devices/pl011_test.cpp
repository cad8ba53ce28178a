// SPDX-License-Identifier: MIT
#include "machine/devices/pl011.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"
#include "refusals.hpp"

namespace vpmu::machine {
namespace {

enum Register : std::uint32_t {
  kDr = 0x00,
  kRsr = 0x04,
  kFr = 0x18,
  kIlpr = 0x20,
  kIbrd = 0x24,
  kFbrd = 0x28,
  kLcrH = 0x2c,
  kCr = 0x30,
  kIfls = 0x34,
  kImsc = 0x38,
  kRis = 0x3c,
  kMis = 0x40,
  kIcr = 0x44,
  kDmacr = 0x48,
};
constexpr std::uint32_t kFifo = 0x10, kOn = 0x301, kLoop = 0x80;
constexpr std::uint32_t kRx = 0x10, kTx = 0x20, kTimeout = 0x40, kOverrun = 0x400;

class Pl011Test : public testing::Test {
 protected:
  Pl011Test() { uart.add_to(bus); }

  std::uint64_t in(std::uint32_t reg, unsigned bytes = 4) {
    return bus.read_mmio(Pl011::kAddress + reg, bytes);
  }
  void out(std::uint32_t reg, std::uint32_t value, unsigned bytes = 4) {
    bus.write_mmio(Pl011::kAddress + reg, bytes, value);
  }
  bool line() const { return lines.high[Pl011::kIntid]; }
  void receive(unsigned count) {
    for (unsigned i = 0; i < count; ++i) uart.receive(static_cast<std::uint8_t>(i));
  }

  FakeLines lines;
  FakeSink sink;
  Bus bus;
  Pl011 uart{Pl011::kIntid, lines, sink};
};

TEST_F(Pl011Test, ResetState) {
  const struct {
    std::uint32_t reg, value;
  } table[] = {{kDr, 0},   {kRsr, 0},  {kFr, 0x97},  {kIlpr, 0},    {kIbrd, 0},
               {kFbrd, 0}, {kLcrH, 0}, {kCr, 0x300}, {kIfls, 0x12}, {kImsc, 0},
               {kRis, 0},  {kMis, 0},  {kDmacr, 0},  {kIcr, 0}};
  for (const auto& row : table) EXPECT_EQ(in(row.reg), row.value) << std::hex << row.reg;
  EXPECT_FALSE(line());
}

TEST_F(Pl011Test, RegistersKeepTheBitsTheyHave) {
  const struct {
    std::uint32_t reg, bits;
  } table[] = {{kIlpr, 0xff}, {kIbrd, 0xffff}, {kFbrd, 0x3f},  {kLcrH, 0xff},
               {kCr, 0xff87}, {kIfls, 0x3f},   {kImsc, 0x7ff}, {kDmacr, 7}};
  for (const auto& row : table) {
    out(row.reg, 0xffff'ffff);
    EXPECT_EQ(in(row.reg), row.bits) << std::hex << row.reg;
    out(row.reg, 0);
    EXPECT_EQ(in(row.reg), 0U) << std::hex << row.reg;
  }
  for (const std::uint32_t read_only : {kFr, kRis, kMis}) {
    const std::uint64_t before = in(read_only);
    out(read_only, 0xffff'ffff);
    EXPECT_EQ(in(read_only), before) << std::hex << read_only;
  }
}

TEST_F(Pl011Test, ItIdentifiesItselfAsAPl011WithFifosOf16) {
  const std::uint32_t identity[] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(in(0xfe0 + 4 * i), identity[i]) << i;
}

TEST_F(Pl011Test, OddOffsetsAndHolesReadZeroAndTakeNothing) {
  out(kImsc + 1, 0xff, 1);
  out(0x4c, 0xff);
  EXPECT_EQ(in(kImsc), 0U);
  EXPECT_EQ(in(0x4c), 0U);
  EXPECT_EQ(in(kFr + 1, 1), 0U);
}

TEST_F(Pl011Test, PartOfARegisterCanBeAccessed) {
  out(kIbrd, 0x1234);
  EXPECT_EQ(in(kIbrd, 1), 0x34U);
  EXPECT_EQ(in(kIbrd, 2), 0x1234U);
  out(kIbrd, 0xffff'ff01, 1);
  EXPECT_EQ(in(kIbrd), 1U);
}

TEST_F(Pl011Test, WrittenBytesAreInTheSinkAtOnceAlsoWhileDisabled) {
  out(kDr, 'o', 1);
  out(kCr, kOn);
  out(kDr, 'k');
  EXPECT_EQ(in(kFr)&0xa8, 0x80U) << "empty, not full, not busy";
  EXPECT_EQ(sink.text, "ok");
}

TEST_F(Pl011Test, EveryByteWrittenRaisesTheTransmitInterrupt) {
  EXPECT_EQ(in(kRis), 0U);
  out(kDr, 'a');
  EXPECT_EQ(in(kRis), kTx);
  EXPECT_FALSE(line()) << "masked";
  out(kImsc, kTx);
  EXPECT_TRUE(line());
  EXPECT_EQ(in(kMis), kTx);
  out(kIcr, kTx);
  EXPECT_EQ(in(kMis), 0U);
  EXPECT_FALSE(line());
  out(kDr, 'b');
  EXPECT_EQ(lines.edges[Pl011::kIntid], 2U);
}

TEST_F(Pl011Test, NothingIsReceivedWhileDisabled) {
  for (const std::uint32_t control : {0x300U, 0x101U, 0x000U}) {
    out(kCr, control);
    EXPECT_FALSE(uart.can_receive());
    uart.receive('x');
    EXPECT_EQ(in(kFr)&0x50, 0x10U) << std::hex << control;
  }
  EXPECT_EQ(in(kRis), 0U);
}

TEST_F(Pl011Test, WithoutFifoOneByteIsHeldAndTheNextOverruns) {
  out(kCr, kOn);
  EXPECT_TRUE(uart.can_receive());
  uart.receive('a');
  EXPECT_FALSE(uart.can_receive());
  EXPECT_EQ(in(kFr)&0x50, 0x40U);
  EXPECT_EQ(in(kRis), kRx);
  uart.receive('b');
  EXPECT_EQ(in(kRis), kRx | kOverrun);
  EXPECT_EQ(in(kRsr), 8U);
  EXPECT_EQ(in(kDr), 0x800U | 'a');
  EXPECT_EQ(in(kFr)&0x50, 0x10U);
  EXPECT_EQ(in(kRis), kOverrun);
  uart.receive('c');
  EXPECT_EQ(in(kDr), std::uint64_t{'c'}) << "there was room again";
  EXPECT_EQ(in(kRsr), 8U) << "until it is cleared";
  out(kRsr, 0);
  EXPECT_EQ(in(kRsr), 0U);
}

TEST_F(Pl011Test, FifoHoldsSixteenInOrder) {
  out(kLcrH, kFifo);
  out(kCr, kOn);
  receive(16);
  EXPECT_EQ(in(kFr)&0x50, 0x40U);
  for (unsigned i = 0; i < 16; ++i) EXPECT_EQ(in(kDr), i);
  EXPECT_EQ(in(kFr)&0x50, 0x10U);
  EXPECT_EQ(in(kDr), 0U) << "nothing there";
}

TEST_F(Pl011Test, TurningTheFifoOnOrOffEmptiesIt) {
  out(kCr, kOn);
  uart.receive('a');
  out(kLcrH, kFifo);
  EXPECT_EQ(in(kFr)&0x50, 0x10U);
  EXPECT_EQ(in(kRis), 0U);
  receive(5);
  out(kLcrH, kFifo | 0x60);
  EXPECT_EQ(in(kFr)&0x50, 0x00U) << "other bits do not";
  out(kLcrH, 0x60);
  EXPECT_EQ(in(kFr)&0x50, 0x10U);
}

TEST_F(Pl011Test, ReceivedDataInterruptsAtTheTriggerLevelOrByTimeout) {
  const struct {
    std::uint32_t select;
    unsigned level;
  } table[] = {{0, 2}, {1, 4}, {2, 8}, {3, 12}, {4, 14}};
  out(kCr, kOn);
  out(kImsc, kRx | kTimeout);
  for (const auto& row : table) {
    out(kLcrH, 0);
    out(kLcrH, kFifo);
    out(kIfls, row.select << 3);
    receive(row.level - 1);
    EXPECT_EQ(in(kMis), kTimeout) << row.level;
    uart.receive('x');
    EXPECT_EQ(in(kMis), kTimeout | kRx) << row.level;
    in(kDr);
    EXPECT_EQ(in(kMis), kTimeout) << "below the level again";
    EXPECT_TRUE(line());
    while ((in(kFr)&0x10) == 0) in(kDr);
    EXPECT_EQ(in(kMis), 0U);
    EXPECT_FALSE(line());
  }
}

TEST_F(Pl011Test, InterruptsCanBeClearedWithoutReading) {
  out(kCr, kOn);
  out(kImsc, kRx);
  uart.receive('a');
  EXPECT_TRUE(line());
  out(kIcr, kRx);
  EXPECT_FALSE(line());
  EXPECT_EQ(in(kDr), std::uint64_t{'a'});
}

TEST_F(Pl011Test, LoopbackTurnsOutputIntoInputAndModemOutputsIntoInputs) {
  const struct {
    std::uint32_t outputs, inputs;
  } table[] = {{0x400, 0x2}, {0x800, 0x1}, {0x1000, 0x4}, {0x2000, 0x100}, {0x3c00, 0x107}};
  for (const auto& row : table) {
    out(kCr, kOn | kLoop | row.outputs);
    EXPECT_EQ(in(kFr)&0x107, row.inputs) << std::hex << row.outputs;
  }
  EXPECT_FALSE(uart.can_receive());
  out(kDr, 'z');
  uart.receive('y');  // the line is cut
  EXPECT_EQ(in(kDr), std::uint64_t{'z'});
  EXPECT_EQ(in(kFr)&0x10, 0x10U);
  EXPECT_EQ(sink.text, "");
}

TEST_F(Pl011Test, ModemLinesThatChangeInterrupt) {
  out(kCr, kOn | kLoop | 0x1c00);
  out(kIcr, 0x7ff);
  const struct {
    std::uint32_t output, interrupt;
  } table[] = {{0x400, 0x8}, {0x800, 0x2}, {0x1000, 0x4}, {0x2000, 0x1}};
  for (const auto& row : table) {
    out(kCr, in(kCr) ^ row.output);
    EXPECT_EQ(in(kRis), row.interrupt) << std::hex << row.output;
    out(kIcr, row.interrupt);
  }
}

TEST_F(Pl011Test, ResetEmptiesItAndLowersItsLine) {
  out(kCr, kOn);
  out(kImsc, kRx);
  uart.receive('a');
  EXPECT_TRUE(line());
  uart.reset();
  EXPECT_FALSE(line());
  EXPECT_EQ(in(kFr)&0x10, 0x10U);
  EXPECT_EQ(in(kCr), 0x300U);
}

TEST_F(Pl011Test, AnotherOneGoesOnFromItsState) {
  out(kLcrH, kFifo);
  out(kCr, kOn);
  out(kImsc, kRx | kOverrun);
  receive(17);
  in(kDr);
  FakeLines other_lines;
  Pl011 other{Pl011::kIntid, other_lines, sink};
  ASSERT_TRUE(other.restore(uart.save()));
  EXPECT_EQ(other.save(), uart.save());
  for (unsigned i = 1; i < 16; ++i) {
    EXPECT_EQ(other.read_mmio(kDr, 4) & 0xff, i);
  }
  EXPECT_EQ(other.read_mmio(kMis, 4), kOverrun);
  EXPECT_TRUE(other_lines.high[Pl011::kIntid]) << "told at the next access";
}

TEST_F(Pl011Test, StatesThatNoGuestCanBringAboutAreRefused) {
  const Refusal<Pl011::State> table[] = {
      {[](Pl011::State& s) { s.fraction = 64; }, "FBRD cannot be 64"},
      {[](Pl011::State& s) { s.control = 8; }, "CR cannot be 8"},
      {[](Pl011::State& s) { s.fifo_levels = 64; }, "IFLS cannot be 64"},
      {[](Pl011::State& s) { s.interrupt_mask = 0x800; }, "IMSC cannot be 2048"},
      {[](Pl011::State& s) { s.interrupt_status = 0x800; }, "RIS cannot be 2048"},
      {[](Pl011::State& s) { s.dma_control = 8; }, "DMACR cannot be 8"},
      {[](Pl011::State& s) { s.first = 16; }, "FIFO position cannot be 16"},
      {[](Pl011::State& s) { s.received = 2; }, "number of bytes received cannot be 2"},
  };
  expect_refused(uart, table);
}

}  // namespace
}  // namespace vpmu::machine
