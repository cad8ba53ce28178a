// SPDX-License-Identifier: MIT
#include "machine/devices/apic_bus.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "fakes.hpp"
#include "machine/devices/local_apic.hpp"

namespace vpmu::machine {
namespace {

constexpr std::uint64_t kPage = 0xfee00000;
constexpr std::uint32_t kExtd = 1 << 10;
constexpr unsigned kCpus = 8;
constexpr std::uint8_t kVector = 0xf1;

// ICR bits.
constexpr std::uint32_t kLogical = 1 << 11, kAssert = 1 << 14, kLevel = 1 << 15, kSelf = 1 << 18,
                        kAll = 2 << 18, kOthers = 3 << 18;
constexpr std::uint32_t kLowest = 1 << 8, kNmi = 4 << 8, kInit = 5 << 8, kStartUp = 6 << 8;

class ApicBusTest : public testing::Test {
 protected:
  ApicBusTest() {
    for (unsigned i = 0; i < kCpus; ++i) {
      LocalApic::Config config;
      config.id = i;
      config.bootstrap = i == 0;
      apic[i] = std::make_unique<LocalApic>(config, clock, bus, signals[i], nullptr);
      apic[i]->write_mmio(apic::kSpurious, 4, 0x1ff);
    }
  }

  void enter_x2apic(unsigned cpu) {
    const std::uint64_t base = apic[cpu]->read_msr(MsrIndex{apic::kMsrBase}).value();
    ASSERT_TRUE(apic[cpu]->write_msr(MsrIndex{apic::kMsrBase}, base | kExtd).is_done());
  }
  void enter_x2apic() {
    for (unsigned i = 0; i < kCpus; ++i) enter_x2apic(i);
  }

  void set_logical(unsigned cpu, std::uint8_t id, std::uint32_t format = ~0U) {
    apic[cpu]->write_mmio(apic::kDestinationFormat, 4, format);
    apic[cpu]->write_mmio(apic::kLogicalDestination, 4, std::uint32_t{id} << 24);
  }

  void send(unsigned from, std::uint32_t command, std::uint32_t destination) {
    if (apic[from]->x2apic_mode()) {
      ASSERT_TRUE(apic[from]
                      ->write_msr(MsrIndex{0x830}, std::uint64_t{destination} << 32 | command)
                      .is_done());
    } else {
      apic[from]->write_mmio(apic::kCommandHigh, 4, destination << 24);
      apic[from]->write_mmio(apic::kCommandLow, 4, command);
    }
  }

  /// Bit per CPU that has an interrupt; takes and ends them.
  unsigned take() {
    unsigned who = 0;
    for (unsigned i = 0; i < kCpus; ++i) {
      if (!apic[i]->interrupt_waiting()) continue;
      who |= 1U << i;
      EXPECT_EQ(apic[i]->acknowledge(), kVector);
      if (apic[i]->x2apic_mode()) {
        EXPECT_TRUE(apic[i]->write_msr(MsrIndex{0x80b}, 0).is_done());
      } else {
        apic[i]->write_mmio(apic::kEoi, 4, 0);
      }
    }
    return who;
  }

  Clock clock{1'000'000'000};
  ApicBus bus;
  std::array<FakeSignals, kCpus> signals;
  std::array<std::unique_ptr<LocalApic>, kCpus> apic;
};

TEST_F(ApicBusTest, ShorthandsReachWhomTheyName) {
  const struct {
    std::uint32_t shorthand;
    unsigned who;
  } table[] = {{kSelf, 0b0000'0100}, {kAll, 0b1111'1111}, {kOthers, 0b1111'1011}};
  for (const auto& row : table) {
    send(2, row.shorthand | kAssert | kVector, 0);
    EXPECT_EQ(take(), row.who);
  }
  enter_x2apic();
  for (const auto& row : table) {
    send(2, row.shorthand | kAssert | kVector, 0);
    EXPECT_EQ(take(), row.who);
  }
}

TEST_F(ApicBusTest, PhysicalDestinationIsOneCpuOrAll) {
  for (unsigned i = 0; i < kCpus; ++i) {
    send(1, kAssert | kVector, i);
    EXPECT_EQ(take(), 1U << i);
  }
  send(1, kVector, 0xff);
  EXPECT_EQ(take(), 0xffU);
  send(1, kVector, 0x42);
  EXPECT_EQ(take(), 0U);
}

TEST_F(ApicBusTest, X2ApicPhysicalDestinationIsWide) {
  enter_x2apic();
  send(1, kVector, 5);
  EXPECT_EQ(take(), 1U << 5);
  send(1, kVector, 0xffffffff);
  EXPECT_EQ(take(), 0xffU);
  send(1, kVector, 0xff);
  EXPECT_EQ(take(), 0U) << "0xff is an ordinary ID";
  send(1, kVector, 0x0100'0005);
  EXPECT_EQ(take(), 0U);
}

TEST_F(ApicBusTest, FlatLogicalDestinationsAreBitMasks) {
  for (unsigned i = 0; i < kCpus; ++i) set_logical(i, static_cast<std::uint8_t>(1U << i));
  for (const unsigned mask : {0x01U, 0x80U, 0x5aU, 0xfeU, 0xffU, 0x00U}) {
    send(3, kLogical | kVector, mask);
    EXPECT_EQ(take(), mask);
  }
}

TEST_F(ApicBusTest, FlatLogicalIdsMayBeSharedAndMultiple) {
  for (unsigned i = 0; i < kCpus; ++i) set_logical(i, 0);
  set_logical(1, 0x03);
  set_logical(2, 0x02);
  set_logical(3, 0x80);
  send(0, kLogical | kVector, 0x02);
  EXPECT_EQ(take(), 0b0110U);
  send(0, kLogical | kVector, 0x81);
  EXPECT_EQ(take(), 0b1010U);
  send(0, kLogical | kVector, 0x40);
  EXPECT_EQ(take(), 0U);
}

TEST_F(ApicBusTest, ClusterLogicalDestinationsAreClusterAndMask) {
  // CPUs 0..3 are cluster 2, CPUs 4..7 cluster 5.
  for (unsigned i = 0; i < kCpus; ++i) {
    set_logical(i, static_cast<std::uint8_t>((i < 4 ? 0x20 : 0x50) | 1U << (i % 4)), 0x0fffffff);
  }
  const struct {
    std::uint32_t destination;
    unsigned who;
  } table[] = {{0x21, 0x01}, {0x2f, 0x0f}, {0x5a, 0xa0}, {0x1f, 0x00}, {0x20, 0x00}, {0xff, 0xff}};
  for (const auto& row : table) {
    send(0, kLogical | kVector, row.destination);
    EXPECT_EQ(take(), row.who) << std::hex << row.destination;
  }
}

TEST_F(ApicBusTest, X2ApicLogicalDestinationsAreClusterAndMask) {
  enter_x2apic();
  send(0, kLogical | kVector, 0x0000'00a5);
  EXPECT_EQ(take(), 0xa5U);
  send(0, kLogical | kVector, 0x0001'00ff);
  EXPECT_EQ(take(), 0U) << "another cluster";
  send(0, kLogical | kVector, 0xffffffff);
  EXPECT_EQ(take(), 0xffU);
}

TEST_F(ApicBusTest, NarrowMessagesReachX2ApicCpus) {
  enter_x2apic();
  InterruptMessage message;
  message.vector = kVector;
  message.destination = 6;
  EXPECT_TRUE(bus.deliver(message));
  EXPECT_EQ(take(), 1U << 6);
  message.logical = true;
  message.destination = 0x0d;
  EXPECT_TRUE(bus.deliver(message));
  EXPECT_EQ(take(), 0x0dU);
  message.destination = 0xff;
  EXPECT_TRUE(bus.deliver(message));
  EXPECT_EQ(take(), 0xffU);
}

TEST_F(ApicBusTest, MixedModesUnderstandEachOther) {
  enter_x2apic(0);
  send(0, kVector, 4);
  EXPECT_EQ(take(), 1U << 4);
  send(4, kVector, 0);
  EXPECT_EQ(take(), 1U);
  send(0, kVector, 0xffffffff);
  EXPECT_EQ(take(), 0xffU);
  send(4, kVector, 0xff);
  EXPECT_EQ(take(), 0xffU);
}

TEST_F(ApicBusTest, LowestPriorityPicksOneAndTakesTurnsAmongEquals) {
  for (unsigned i = 0; i < kCpus; ++i) set_logical(i, static_cast<std::uint8_t>(1U << i));
  apic[1]->set_task_priority(3);
  std::vector<unsigned> chosen;
  for (unsigned i = 0; i < 4; ++i) {
    send(0, kLogical | kLowest | kVector, 0x0e);
    chosen.push_back(take());
  }
  EXPECT_EQ(chosen, (std::vector<unsigned>{1U << 2, 1U << 3, 1U << 2, 1U << 3}));
  apic[2]->set_task_priority(5);
  apic[3]->set_task_priority(4);
  send(0, kLogical | kLowest | kVector, 0x0e);
  EXPECT_EQ(take(), 1U << 1);
  apic[1]->write_mmio(apic::kSpurious, 4, 0xff);
  send(0, kLogical | kLowest | kVector, 0x0e);
  EXPECT_EQ(take(), 1U << 3) << "a software-disabled APIC takes no part";
}

TEST_F(ApicBusTest, NmiGoesToTheCpu) {
  send(0, kNmi | kAssert, 3);
  EXPECT_EQ(signals[3].nmis, 1U);
  send(0, kNmi | kOthers, 0);
  EXPECT_EQ(signals[0].nmis, 0U);
  EXPECT_EQ(signals[3].nmis, 2U);
  send(0, kNmi, 0);
  EXPECT_EQ(signals[0].nmis, 1U) << "to itself";
}

TEST_F(ApicBusTest, StartUpSequenceReachesTheOthers) {
  for (unsigned i = 1; i < kCpus; ++i) apic[i]->reset();  // software-disabled, as after power-on
  send(0, kInit | kOthers | kAssert, 0);
  send(0, kInit | kOthers | kLevel, 0);  // de-assert: nothing
  send(0, kStartUp | kOthers | kAssert | 0x08, 0);
  EXPECT_EQ(signals[0].inits, 0U);
  EXPECT_TRUE(signals[0].sipis.empty());
  for (unsigned i = 1; i < kCpus; ++i) {
    EXPECT_EQ(signals[i].inits, 1U);
    EXPECT_EQ(signals[i].sipis, std::vector<std::uint8_t>{0x08});
  }
}

TEST_F(ApicBusTest, DisabledApicsGetNothing) {
  ASSERT_TRUE(apic[2]->write_msr(MsrIndex{apic::kMsrBase}, kPage).is_done());
  send(0, kAll | kVector, 0);
  EXPECT_EQ(take(), 0xfbU);
  send(0, kInit | kAssert, 2);
  EXPECT_EQ(signals[2].inits, 0U);
}

TEST_F(ApicBusTest, ReservedCommandsDoNothing) {
  for (const std::uint32_t mode : {2U << 8, 3U << 8, 7U << 8}) send(0, mode | kAll | kVector, 0);
  EXPECT_EQ(take(), 0U);
  send(0, kLevel | kAll | kVector, 0);  // fixed, de-asserted
  EXPECT_EQ(take(), 0U);
}

TEST_F(ApicBusTest, IpisAreEdgeTriggered) {
  send(0, kLevel | kAssert | kVector, 1);
  EXPECT_EQ(apic[1]->read_mmio(apic::kTriggerMode + 0x70, 4), 0U);
  EXPECT_EQ(take(), 2U);
}

}  // namespace
}  // namespace vpmu::machine
