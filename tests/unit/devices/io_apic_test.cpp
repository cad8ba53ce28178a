// SPDX-License-Identifier: MIT
#include "machine/devices/io_apic.hpp"

#include <gtest/gtest.h>

#include "fakes.hpp"
#include "machine/devices/local_apic.hpp"

namespace vpmu::machine {
namespace {

constexpr std::uint32_t kLevel = 1 << 15, kRemoteIrr = 1 << 14, kMasked = 1 << 16,
                        kLogical = 1 << 11, kLowest = 1 << 8, kNmi = 4 << 8, kExtInt = 7 << 8;
constexpr unsigned kPin = 14;

LocalApic::Config with_id(std::uint32_t id) {
  LocalApic::Config config;
  config.id = id;
  return config;
}

class IoApicTest : public testing::Test {
 protected:
  IoApicTest() {
    for (LocalApic* apic : {&cpu0, &cpu1}) apic->write_mmio(apic::kSpurious, 4, 0x1ff);
  }

  std::uint32_t read(std::uint8_t index) {
    io_apic.write_mmio(0x00, 4, index);
    return static_cast<std::uint32_t>(io_apic.read_mmio(0x10, 4));
  }
  void write(std::uint8_t index, std::uint32_t value) {
    io_apic.write_mmio(0x00, 4, index);
    io_apic.write_mmio(0x10, 4, value);
  }
  void program(unsigned pin, std::uint32_t low, std::uint8_t destination = 0) {
    write(static_cast<std::uint8_t>(0x11 + 2 * pin), std::uint32_t{destination} << 24);
    write(static_cast<std::uint8_t>(0x10 + 2 * pin), low);
  }
  std::uint32_t low(unsigned pin) { return read(static_cast<std::uint8_t>(0x10 + 2 * pin)); }
  static void end(LocalApic& cpu) { cpu.write_mmio(apic::kEoi, 4, 0); }

  Clock clock{1'000'000'000};
  ApicBus bus;
  FakeSignals signals0, signals1;
  LocalApic cpu0{with_id(0), clock, bus, signals0, nullptr};
  LocalApic cpu1{with_id(1), clock, bus, signals1, nullptr};
  IoApic io_apic{bus};
};

TEST_F(IoApicTest, HasTheIdentificationRegisters) {
  EXPECT_EQ(read(1), 0x00170020U);
  write(1, 0xffffffff);
  EXPECT_EQ(read(1), 0x00170020U);
  write(0, 0xffffffff);
  EXPECT_EQ(read(0), 0x0f000000U);
  EXPECT_EQ(read(2), 0x0f000000U) << "the arbitration ID follows the ID";
  write(2, 0);
  EXPECT_EQ(read(2), 0x0f000000U);
}

TEST_F(IoApicTest, EntriesAreMaskedAtResetAndKeepTheirWritableBits) {
  for (unsigned pin = 0; pin < IoApic::kPins; ++pin) {
    EXPECT_EQ(low(pin), kMasked);
    program(pin, 0xffffffff, 0xff);
    EXPECT_EQ(low(pin), 0x0001afffU);
    EXPECT_EQ(read(static_cast<std::uint8_t>(0x11 + 2 * pin)), 0xff000000U);
  }
  EXPECT_EQ(read(0x40), 0U) << "no such register";
  write(0x40, 0xffffffff);
}

TEST_F(IoApicTest, EdgeSendsOncePerRise) {
  program(kPin, 0x82);
  io_apic.set_pin(kPin, true);
  io_apic.set_pin(kPin, true);
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
  EXPECT_EQ(low(kPin) & kRemoteIrr, 0U);
  end(cpu0);
  EXPECT_FALSE(cpu0.interrupt_waiting());
  io_apic.set_pin(kPin, false);
  io_apic.set_pin(kPin, true);
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
}

TEST_F(IoApicTest, AnEdgeWhileMaskedIsLost) {
  program(kPin, kMasked | 0x82);
  io_apic.set_pin(kPin, true);
  program(kPin, 0x82);
  EXPECT_FALSE(cpu0.interrupt_waiting());
}

TEST_F(IoApicTest, ALevelWhileMaskedIsSentWhenUnmasked) {
  program(kPin, kMasked | kLevel | 0x82);
  io_apic.set_pin(kPin, true);
  EXPECT_FALSE(cpu0.interrupt_waiting());
  program(kPin, kLevel | 0x82);
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
  EXPECT_EQ(low(kPin), kRemoteIrr | kLevel | 0x82);
}

TEST_F(IoApicTest, LevelRepeatsAfterEoiWhileHigh) {
  program(kPin, kLevel | 0x82);
  io_apic.set_pin(kPin, true);
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
  // Falls and rises within the handler: Remote IRR holds it back.
  io_apic.set_pin(kPin, false);
  io_apic.set_pin(kPin, true);
  EXPECT_FALSE(cpu0.interrupt_waiting());
  end(cpu0);
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
  io_apic.set_pin(kPin, false);
  end(cpu0);
  EXPECT_FALSE(cpu0.interrupt_waiting());
  EXPECT_EQ(low(kPin), kLevel | 0x82);
}

TEST_F(IoApicTest, ANewDestinationInTheHandlerTakesTheNextOne) {
  program(kPin, kLevel | 0x84, 0);
  io_apic.set_pin(kPin, true);
  EXPECT_EQ(cpu0.acknowledge(), 0x84);
  write(0x11 + 2 * kPin, 1U << 24);
  EXPECT_FALSE(cpu1.interrupt_waiting());
  end(cpu0);
  EXPECT_FALSE(cpu0.interrupt_waiting());
  EXPECT_EQ(cpu1.acknowledge(), 0x84);
}

TEST_F(IoApicTest, MaskedAtItsEoiItIsSentWhenUnmasked) {
  program(kPin, kLevel | 0x82);
  io_apic.set_pin(kPin, true);
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
  program(kPin, kMasked | kLevel | 0x82);
  EXPECT_EQ(low(kPin) & kRemoteIrr, kRemoteIrr) << "masking keeps it";
  end(cpu0);
  EXPECT_EQ(low(kPin) & kRemoteIrr, 0U);
  EXPECT_FALSE(cpu0.interrupt_waiting());
  program(kPin, kLevel | 0x82);
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
}

TEST_F(IoApicTest, TurningEdgeClearsRemoteIrr) {
  program(kPin, kLevel | 0x82);
  io_apic.set_pin(kPin, true);
  program(kPin, kMasked | 0x82);
  program(kPin, kMasked | kLevel | 0x82);
  EXPECT_EQ(low(kPin) & kRemoteIrr, 0U);
}

TEST_F(IoApicTest, TheEoiRegisterEndsAVectorWithoutBroadcast) {
  cpu0.write_mmio(apic::kSpurious, 4, 0x11ff);
  program(kPin, kLevel | 0x82);
  io_apic.set_pin(kPin, true);
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
  io_apic.set_pin(kPin, false);
  end(cpu0);
  EXPECT_EQ(low(kPin) & kRemoteIrr, kRemoteIrr);
  io_apic.write_mmio(0x40, 4, 0x83);
  EXPECT_EQ(low(kPin) & kRemoteIrr, kRemoteIrr);
  io_apic.write_mmio(0x40, 4, 0x82);
  EXPECT_EQ(low(kPin) & kRemoteIrr, 0U);
}

TEST_F(IoApicTest, PinsOfTheSameVectorAreAllEnded) {
  program(4, kLevel | 0x82);
  program(5, kLevel | 0x82);
  io_apic.set_pin(4, true);
  io_apic.set_pin(5, true);
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
  io_apic.set_pin(4, false);
  end(cpu0);
  EXPECT_EQ(low(4) & kRemoteIrr, 0U);
  EXPECT_EQ(low(5) & kRemoteIrr, kRemoteIrr) << "sent again: still high";
  EXPECT_EQ(cpu0.acknowledge(), 0x82);
}

TEST_F(IoApicTest, DeliveryModesAndDestinations) {
  program(1, kNmi, 1);
  io_apic.set_pin(1, true);
  EXPECT_EQ(signals1.nmis, 1U);

  cpu0.write_mmio(apic::kLogicalDestination, 4, 1U << 24);
  cpu1.write_mmio(apic::kLogicalDestination, 4, 2U << 24);
  program(2, kLogical | 0x91, 3);
  io_apic.set_pin(2, true);
  EXPECT_EQ(cpu0.acknowledge(), 0x91);
  EXPECT_EQ(cpu1.acknowledge(), 0x91);

  end(cpu0);  // cpu1 still serves 0x91
  program(3, kLogical | kLowest | 0x92, 3);
  io_apic.set_pin(3, true);
  EXPECT_TRUE(cpu0.interrupt_waiting());
  EXPECT_FALSE(cpu1.interrupt_waiting());

  program(4, kExtInt, 1);
  io_apic.set_pin(4, true);
  EXPECT_FALSE(cpu1.interrupt_waiting()) << "nobody to acknowledge it";
}

TEST_F(IoApicTest, WhatNobodyAcceptsSetsNoRemoteIrr) {
  program(kPin, kLevel | 0x82, 9);
  io_apic.set_pin(kPin, true);
  EXPECT_EQ(low(kPin) & kRemoteIrr, 0U);
}

TEST_F(IoApicTest, PinsThatDoNotExistAreIgnored) {
  io_apic.set_pin(24, true);
  io_apic.set_pin(~0U, true);
}

}  // namespace
}  // namespace vpmu::machine
