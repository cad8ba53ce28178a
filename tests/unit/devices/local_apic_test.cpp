// SPDX-License-Identifier: MIT
#include "machine/devices/local_apic.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

constexpr std::uint64_t kPage = 0xfee00000;
constexpr std::uint32_t kEn = 1 << 11, kExtd = 1 << 10, kBsp = 1 << 8;
constexpr std::uint32_t kMasked = 1 << 16;

class FakeExtInt final : public ExtIntSource {
 public:
  std::uint8_t acknowledge() override {
    ++acknowledged;
    return 0x38;
  }
  unsigned acknowledged = 0;
};

class FakeEoi final : public EoiListener {
 public:
  void on_eoi(std::uint8_t vector) override { vectors.push_back(vector); }
  std::vector<std::uint8_t> vectors;
};

LocalApic::Config boot_config() {
  LocalApic::Config config;
  config.id = 3;
  config.bootstrap = true;
  return config;
}

class LocalApicTest : public testing::Test {
 protected:
  LocalApicTest() { bus.set_eoi_listener(&eoi); }

  std::uint32_t read(std::uint32_t offset) {
    return static_cast<std::uint32_t>(apic.read_mmio(offset, 4));
  }
  void write(std::uint32_t offset, std::uint32_t value) { apic.write_mmio(offset, 4, value); }
  Access rdmsr(std::uint32_t msr) { return apic.read_msr(MsrIndex{msr}); }
  Access wrmsr(std::uint32_t msr, std::uint64_t value) {
    return apic.write_msr(MsrIndex{msr}, value);
  }
  void enable() { write(apic::kSpurious, 0x1ff); }
  void enter_x2apic() { ASSERT_TRUE(wrmsr(apic::kMsrBase, kPage | kEn | kExtd | kBsp).is_done()); }
  static std::uint32_t x2(std::uint32_t offset) { return apic::kMsrX2ApicFirst + (offset >> 4); }
  bool raise(std::uint8_t vector, bool level = false) {
    return apic.accept(DeliveryMode::kFixed, vector, level);
  }

  Clock clock{1'000'000'000};
  ApicBus bus;
  FakeEoi eoi;
  FakeSignals signals;
  FakeExtInt ext_int;
  LocalApic apic{boot_config(), clock, bus, signals, &ext_int};
};

// ---- Registers ----------------------------------------------------------------------------------

TEST_F(LocalApicTest, ResetValuesAreTheManuals) {
  const struct {
    std::uint32_t offset, value;
  } table[] = {
      {apic::kId, 3U << 24},
      {apic::kVersion, 0x01050015},
      {apic::kTaskPriority, 0},
      {apic::kArbitrationPriority, 0},
      {apic::kProcessorPriority, 0},
      {apic::kLogicalDestination, 0},
      {apic::kDestinationFormat, 0xffffffff},
      {apic::kSpurious, 0xff},
      {apic::kErrorStatus, 0},
      {apic::kCommandLow, 0},
      {apic::kCommandHigh, 0},
      {apic::kLvtTimer, kMasked},
      {apic::kLvtThermal, kMasked},
      {apic::kLvtPerformance, kMasked},
      {apic::kLvtLint0, kMasked},
      {apic::kLvtLint1, kMasked},
      {apic::kLvtError, kMasked},
      {apic::kInitialCount, 0},
      {apic::kCurrentCount, 0},
      {apic::kDivide, 0},
  };
  for (const auto& row : table) EXPECT_EQ(read(row.offset), row.value) << std::hex << row.offset;
  for (std::uint32_t offset = apic::kInService; offset < apic::kErrorStatus; offset += 0x10) {
    EXPECT_EQ(read(offset), 0U);
  }
  EXPECT_EQ(rdmsr(apic::kMsrBase), Access::done(kPage | kEn | kBsp));
}

TEST_F(LocalApicTest, MmioKeepsExactlyTheWritableBits) {
  enable();
  const struct {
    std::uint32_t offset, kept;
  } table[] = {
      {apic::kTaskPriority, 0xff},
      {apic::kLogicalDestination, 0xff000000},
      {apic::kDestinationFormat, ~0U},
      {apic::kSpurious, 0x11ff},
      {apic::kCommandHigh, 0xff000000},
      {apic::kLvtTimer, 0x000700ff},
      {apic::kLvtThermal, 0x000107ff},
      {apic::kLvtPerformance, 0x000107ff},
      {apic::kLvtLint0, 0x0001a7ff},
      {apic::kLvtLint1, 0x0001a7ff},
      {apic::kLvtError, 0x000100ff},
      {apic::kDivide, 0xb},
      {apic::kId, 3U << 24},
      {apic::kVersion, 0x01050015},
      {apic::kProcessorPriority, 0xff},  // follows the TPR written first
      {apic::kCurrentCount, 0},
      {apic::kInService, 0},
      {apic::kTriggerMode, 0},
      {apic::kRequest, 0},
  };
  for (const auto& row : table) {
    write(row.offset, 0xffffffff);
    EXPECT_EQ(read(row.offset), row.kept) << std::hex << row.offset;
  }
}

TEST_F(LocalApicTest, ReservedRegistersReadZeroAndReportAnIllegalAddress) {
  for (const std::uint32_t offset : {0x00U, 0x10U, 0x40U, 0x70U, 0x290U, 0x2f0U, 0x3a0U, 0x3f0U}) {
    EXPECT_EQ(read(offset), 0U);
    write(apic::kErrorStatus, 0);
    EXPECT_EQ(read(apic::kErrorStatus), apic::kIllegalRegister) << std::hex << offset;
  }
  write(apic::kErrorStatus, 0);
  EXPECT_EQ(read(apic::kErrorStatus), 0U);
}

TEST_F(LocalApicTest, OtherThanAlignedWordsAreNotWritten) {
  apic.write_mmio(apic::kTaskPriority, 1, 0x20);
  apic.write_mmio(apic::kTaskPriority, 8, 0x20);
  apic.write_mmio(apic::kTaskPriority + 4, 4, 0x20);
  EXPECT_EQ(read(apic::kTaskPriority), 0U);
  EXPECT_EQ(apic.read_mmio(apic::kVersion + 2, 1), 0x05U);
  EXPECT_EQ(apic.read_mmio(apic::kVersion, 8), 0x01050015U);
  EXPECT_EQ(apic.read_mmio(apic::kVersion + 4, 4), 0U);
}

TEST_F(LocalApicTest, CmciExistsOnlyWhenOffered) {
  LocalApic::Config config;
  config.cmci = true;
  LocalApic with{config, clock, bus, signals, nullptr};
  EXPECT_EQ(with.read_mmio(apic::kLvtCmci, 4), kMasked);
  EXPECT_EQ(with.read_mmio(apic::kVersion, 4) >> 16 & 0xff, 6U);
}

TEST_F(LocalApicTest, X2ApicMsrsHaveTheManualsAccessRights) {
  enum Rights : std::uint8_t { kNone, kRead, kWrite, kBoth };
  const auto rights = [](std::uint32_t offset) -> Rights {
    if (offset >= apic::kInService && offset < apic::kErrorStatus) return kRead;
    if (offset >= apic::kLvtTimer && offset <= apic::kLvtError) return kBoth;
    switch (offset) {
      case apic::kId:
      case apic::kVersion:
      case apic::kProcessorPriority:
      case apic::kLogicalDestination:
      case apic::kCurrentCount: return kRead;
      case apic::kTaskPriority:
      case apic::kSpurious:
      case apic::kErrorStatus:
      case apic::kCommandLow:
      case apic::kInitialCount:
      case apic::kDivide: return kBoth;
      case apic::kEoi:
      case apic::kSelfIpi: return kWrite;
      default: return kNone;
    }
  };
  for (std::uint32_t msr = 0x800; msr <= 0x8ff; ++msr) {
    EXPECT_TRUE(rdmsr(msr).is_fault()) << "not in x2APIC mode " << std::hex << msr;
    EXPECT_TRUE(wrmsr(msr, 0).is_fault()) << "not in x2APIC mode " << std::hex << msr;
  }
  enter_x2apic();
  for (std::uint32_t msr = 0x800; msr <= 0x8ff; ++msr) {
    const Rights expected = rights((msr - 0x800) << 4);
    EXPECT_EQ(rdmsr(msr).is_done(), (expected & kRead) != 0) << std::hex << msr;
    EXPECT_EQ(wrmsr(msr, 0).is_done(), (expected & kWrite) != 0) << std::hex << msr;
  }
  EXPECT_TRUE(rdmsr(0x7ff).is_not_mine());
  EXPECT_TRUE(wrmsr(0x900, 0).is_not_mine());
}

TEST_F(LocalApicTest, X2ApicReservedBitsFault) {
  const struct {
    std::uint32_t offset;
    std::uint64_t accepted;
  } table[] = {
      {apic::kTaskPriority, 0xff},
      {apic::kEoi, 0},
      {apic::kSpurious, 0x11ff},
      {apic::kErrorStatus, 0},
      {apic::kLvtTimer, 0x000710ff},  // with the read-only delivery status
      {apic::kLvtThermal, 0x000117ff},
      {apic::kLvtPerformance, 0x000117ff},
      {apic::kLvtLint0, 0x0001f7ff},
      {apic::kLvtLint1, 0x0001f7ff},
      {apic::kLvtError, 0x000110ff},
      {apic::kInitialCount, 0xffffffff},
      {apic::kDivide, 0xb},
      {apic::kSelfIpi, 0xff},
      {apic::kCommandLow, 0xffffffff'000cdfff},
  };
  enter_x2apic();
  for (const auto& row : table) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      const std::uint64_t value = std::uint64_t{1} << bit;
      EXPECT_EQ(wrmsr(x2(row.offset), value).is_done(), (row.accepted & value) != 0)
          << std::hex << row.offset << " bit " << std::dec << bit;
    }
  }
}

TEST_F(LocalApicTest, X2ApicIdsAreWide) {
  LocalApic::Config config;
  config.id = 0x25;
  LocalApic other{config, clock, bus, signals, nullptr};
  EXPECT_EQ(other.read_mmio(apic::kId, 4), 0x25000000U);
  ASSERT_TRUE(other.write_msr(MsrIndex{apic::kMsrBase}, kPage | kEn | kExtd).is_done());
  EXPECT_EQ(other.read_msr(MsrIndex{0x802}), Access::done(0x25));
  EXPECT_EQ(other.read_msr(MsrIndex{0x80d}), Access::done(0x0002'0020));
}

// ---- IA32_APIC_BASE -----------------------------------------------------------------------------

TEST_F(LocalApicTest, ModeTransitionsAreTheManuals) {
  enum State : std::uint8_t { kDisabled, kXapic, kX2apic };
  const std::uint64_t bits[] = {0, kEn, kEn | kExtd};
  const bool allowed[3][3] = {
      // to disabled, xAPIC, x2APIC
      {true, true, false},  // from disabled
      {true, true, true},   // from xAPIC
      {true, false, true},  // from x2APIC
  };
  for (const State from : {kDisabled, kXapic, kX2apic}) {
    for (const State to : {kDisabled, kXapic, kX2apic}) {
      apic.reset();
      ASSERT_TRUE(wrmsr(apic::kMsrBase, kPage | bits[from]).is_done());
      EXPECT_EQ(wrmsr(apic::kMsrBase, kPage | bits[to]).is_done(), allowed[from][to])
          << from << " to " << to;
      EXPECT_EQ(rdmsr(apic::kMsrBase).value(), kPage | (allowed[from][to] ? bits[to] : bits[from]));
    }
    EXPECT_TRUE(wrmsr(apic::kMsrBase, kPage | kExtd).is_fault()) << "EXTD without EN";
  }
}

TEST_F(LocalApicTest, BaseFaultsOnReservedBits) {
  const std::uint64_t good = kPage | kEn | kBsp;
  for (const unsigned bit : {0U, 1U, 7U, 9U, 46U, 51U, 52U, 63U}) {
    EXPECT_TRUE(wrmsr(apic::kMsrBase, good | std::uint64_t{1} << bit).is_fault()) << bit;
  }
  EXPECT_TRUE(wrmsr(apic::kMsrBase, good | std::uint64_t{1} << 45).is_done());
}

TEST_F(LocalApicTest, ExtdFaultsWhereX2ApicIsNotOffered) {
  LocalApic::Config config;
  config.x2apic = false;
  LocalApic old{config, clock, bus, signals, nullptr};
  EXPECT_TRUE(old.write_msr(MsrIndex{apic::kMsrBase}, kPage | kEn | kExtd).is_fault());
}

TEST_F(LocalApicTest, ThePageCanBeMoved) {
  EXPECT_TRUE(apic.decodes(kPage + 0xfff));
  EXPECT_FALSE(apic.decodes(kPage + 0x1000));
  ASSERT_TRUE(wrmsr(apic::kMsrBase, 0x42000000 | kEn | kBsp).is_done());
  EXPECT_TRUE(apic.decodes(0x42000030));
  EXPECT_FALSE(apic.decodes(kPage));
}

TEST_F(LocalApicTest, DisabledThePageIsUnmappedAndCr8StillWorks) {
  ASSERT_TRUE(wrmsr(apic::kMsrBase, kPage | kBsp).is_done());
  EXPECT_FALSE(apic.enabled());
  EXPECT_FALSE(apic.decodes(kPage + apic::kVersion));
  EXPECT_EQ(read(apic::kVersion), 0xffffffffU);
  write(apic::kTaskPriority, 0xff);
  EXPECT_EQ(apic.task_priority(), 0U);
  apic.set_task_priority(0xf);
  EXPECT_EQ(apic.task_priority(), 0xfU);
  EXPECT_FALSE(raise(0x80));
  EXPECT_FALSE(apic.accept(DeliveryMode::kNmi, 0, false));
}

TEST_F(LocalApicTest, X2ApicModeUnmapsThePage) {
  enter_x2apic();
  EXPECT_FALSE(apic.decodes(kPage));
  EXPECT_EQ(read(apic::kVersion), 0xffffffffU);
  write(apic::kTaskPriority, 0x50);
  EXPECT_EQ(rdmsr(x2(apic::kTaskPriority)), Access::done(0));
}

TEST_F(LocalApicTest, DisablingResetsTheRegisters) {
  enable();
  write(apic::kLvtPerformance, 0x400);
  write(apic::kLogicalDestination, 0x01000000);
  raise(0x55);
  EXPECT_TRUE(wrmsr(apic::kMsrBase, kPage | kBsp).is_done());
  EXPECT_FALSE(apic.interrupt_waiting());
  EXPECT_TRUE(wrmsr(apic::kMsrBase, kPage | kBsp | kEn).is_done());
  EXPECT_EQ(read(apic::kSpurious), 0xffU);
  EXPECT_EQ(read(apic::kLvtPerformance), kMasked);
  EXPECT_EQ(read(apic::kLogicalDestination), 0U);
}

TEST_F(LocalApicTest, EnteringX2ApicKeepsTheState) {
  enable();
  write(apic::kLvtPerformance, 0x400);
  raise(0x55);
  enter_x2apic();
  EXPECT_EQ(rdmsr(x2(apic::kSpurious)), Access::done(0x1ff));
  EXPECT_EQ(rdmsr(x2(apic::kLvtPerformance)), Access::done(0x400));
  EXPECT_EQ(apic.acknowledge(), 0x55);
}

TEST_F(LocalApicTest, InitKeepsModeAndIdAndResetsTheRest) {
  enter_x2apic();
  EXPECT_TRUE(wrmsr(x2(apic::kSpurious), 0x1ff).is_done());
  EXPECT_TRUE(wrmsr(x2(apic::kLvtPerformance), 0x400).is_done());
  apic.set_task_priority(5);
  raise(0x85);
  EXPECT_TRUE(apic.accept(DeliveryMode::kInit, 0, false));
  EXPECT_EQ(signals.inits, 1U);
  EXPECT_TRUE(apic.x2apic_mode());
  EXPECT_EQ(rdmsr(x2(apic::kId)), Access::done(3));
  EXPECT_EQ(rdmsr(x2(apic::kSpurious)), Access::done(0xff));
  EXPECT_EQ(rdmsr(x2(apic::kLvtPerformance)), Access::done(kMasked));
  EXPECT_EQ(apic.task_priority(), 0U);
  EXPECT_FALSE(apic.interrupt_waiting());
}

// ---- Priorities and EOI -------------------------------------------------------------------------

TEST_F(LocalApicTest, HighestVectorIsTakenFirstAndNestsByClass) {
  enable();
  for (const std::uint8_t vector : {0x31, 0x52, 0x41}) EXPECT_TRUE(raise(vector));
  EXPECT_EQ(signals.wakes, 3U);
  ASSERT_TRUE(apic.interrupt_waiting());
  EXPECT_EQ(apic.acknowledge(), 0x52);
  EXPECT_EQ(read(apic::kProcessorPriority), 0x50U);
  EXPECT_FALSE(apic.interrupt_waiting());
  raise(0x5f);  // the same class waits
  EXPECT_FALSE(apic.interrupt_waiting());
  raise(0x60);
  ASSERT_TRUE(apic.interrupt_waiting());
  EXPECT_EQ(apic.acknowledge(), 0x60);

  for (const std::uint8_t next : {0x5f, 0x41, 0x31}) {
    // One EOI ends the innermost; the class of 0x52 has to be left before 0x5f.
    while (!apic.interrupt_waiting()) write(apic::kEoi, 0);
    EXPECT_EQ(apic.acknowledge(), next);
  }
}

TEST_F(LocalApicTest, ProcessorPriorityIsTheHigherOfTaskAndService) {
  enable();
  const struct {
    std::uint8_t task, serving, priority;
  } table[] = {{0x00, 0, 0x00},    {0x2f, 0, 0x2f},    {0x20, 0x41, 0x40},
               {0x4a, 0x41, 0x4a}, {0x50, 0x41, 0x50}, {0x3f, 0x41, 0x40}};
  for (const auto& row : table) {
    write(apic::kTaskPriority, 0);
    if (row.serving != 0) {
      raise(row.serving);
      EXPECT_EQ(apic.acknowledge(), row.serving);
    }
    write(apic::kTaskPriority, row.task);
    EXPECT_EQ(read(apic::kProcessorPriority), row.priority);
    write(apic::kEoi, 0);
  }
}

TEST_F(LocalApicTest, TaskPriorityHoldsBackItsClassAndBelow) {
  enable();
  raise(0x45);
  for (unsigned cr8 = 0; cr8 < 16; ++cr8) {
    apic.set_task_priority(static_cast<std::uint8_t>(cr8));
    EXPECT_EQ(apic.interrupt_waiting(), cr8 < 4) << cr8;
    EXPECT_EQ(read(apic::kTaskPriority), cr8 << 4);
  }
}

TEST_F(LocalApicTest, AcknowledgeWithNothingToTakeIsSpurious) {
  enable();
  EXPECT_EQ(apic.acknowledge(), 0xff);
  raise(0x45);
  apic.set_task_priority(4);
  EXPECT_EQ(apic.acknowledge(), 0xff);
  EXPECT_EQ(read(apic::kInService + 0x20), 0U) << "no ISR bit for it";
  apic.set_task_priority(0);
  EXPECT_EQ(apic.acknowledge(), 0x45);
}

TEST_F(LocalApicTest, EoiOfALevelInterruptIsBroadcast) {
  enable();
  raise(0x45, true);
  raise(0x65, false);
  EXPECT_EQ(read(apic::kTriggerMode + 0x20), 1U << 5);
  EXPECT_EQ(apic.acknowledge(), 0x65);
  write(apic::kEoi, 0);
  EXPECT_TRUE(eoi.vectors.empty());
  EXPECT_EQ(apic.acknowledge(), 0x45);
  write(apic::kEoi, 0);
  EXPECT_EQ(eoi.vectors, std::vector<std::uint8_t>{0x45});
  write(apic::kEoi, 0);  // nothing in service
  EXPECT_EQ(eoi.vectors.size(), 1U);

  write(apic::kSpurious, 0x11ff);
  raise(0x45, true);
  apic.acknowledge();
  write(apic::kEoi, 0);
  EXPECT_EQ(eoi.vectors.size(), 1U) << "suppressed";
}

TEST_F(LocalApicTest, AnInterruptCanWaitWhileItsVectorIsServed) {
  enable();
  raise(0x45);
  apic.acknowledge();
  raise(0x45);
  raise(0x45);
  EXPECT_FALSE(apic.interrupt_waiting());
  write(apic::kEoi, 0);
  EXPECT_EQ(apic.acknowledge(), 0x45);
  write(apic::kEoi, 0);
  EXPECT_FALSE(apic.interrupt_waiting());
}

// ---- Software enable ----------------------------------------------------------------------------

TEST_F(LocalApicTest, SoftwareDisableMasksAllLvtEntriesAndDropsFixedInterrupts) {
  enable();
  for (std::uint32_t lvt = apic::kLvtTimer; lvt <= apic::kLvtError; lvt += 0x10) write(lvt, 0x40);
  write(apic::kSpurious, 0xff);
  for (std::uint32_t lvt = apic::kLvtTimer; lvt <= apic::kLvtError; lvt += 0x10) {
    EXPECT_EQ(read(lvt), kMasked | 0x40);
    write(lvt, 0x41);
    EXPECT_EQ(read(lvt), kMasked | 0x41) << "the mask cannot be cleared";
  }
  EXPECT_FALSE(raise(0x80));
  EXPECT_TRUE(apic.accept(DeliveryMode::kNmi, 0, false));
  EXPECT_TRUE(apic.accept(DeliveryMode::kInit, 0, false));
  EXPECT_TRUE(apic.accept(DeliveryMode::kStartUp, 0x10, false));
  EXPECT_EQ(signals.sipis, std::vector<std::uint8_t>{0x10});
}

// ---- Timer --------------------------------------------------------------------------------------

TEST_F(LocalApicTest, TimerDeliversItsVector) {
  enable();
  write(apic::kDivide, 0xb);
  write(apic::kLvtTimer, 0xee);
  write(apic::kInitialCount, 0x10000);
  run_until(clock, 0xffff);
  EXPECT_FALSE(apic.interrupt_waiting());
  EXPECT_EQ(read(apic::kCurrentCount), 1U);
  run_until(clock, 0x10000);
  EXPECT_EQ(apic.acknowledge(), 0xee);
}

TEST_F(LocalApicTest, MaskedTimerDeliversNothing) {
  enable();
  write(apic::kLvtTimer, kMasked | 0x200ee);
  write(apic::kInitialCount, 100);
  run_until(clock, 10'000);
  EXPECT_FALSE(apic.interrupt_waiting());
}

TEST_F(LocalApicTest, DeadlineOfNowInterruptsRightAfterTheWrite) {
  enable();
  clock.set_now(1234);
  write(apic::kLvtTimer, 0x400ef);
  EXPECT_EQ(wrmsr(apic::kMsrTscDeadline, 1234), Access::done());
  EXPECT_TRUE(apic.interrupt_waiting());
  EXPECT_EQ(apic.acknowledge(), 0xef);
  EXPECT_EQ(rdmsr(apic::kMsrTscDeadline), Access::done(0));
}

TEST_F(LocalApicTest, DeadlineMsrAndModeAreAbsentWhenNotOffered) {
  LocalApic::Config config;
  config.tsc_deadline = false;
  LocalApic old{config, clock, bus, signals, nullptr};
  EXPECT_TRUE(old.read_msr(MsrIndex{apic::kMsrTscDeadline}).is_not_mine());
  EXPECT_TRUE(old.write_msr(MsrIndex{apic::kMsrTscDeadline}, 1).is_not_mine());
  old.write_mmio(apic::kSpurious, 4, 0x1ff);
  old.write_mmio(apic::kLvtTimer, 4, 0x600ee);
  EXPECT_EQ(old.read_mmio(apic::kLvtTimer, 4), 0x200eeU);
}

// ---- Performance monitoring interrupt -----------------------------------------------------------

TEST_F(LocalApicTest, PmiFollowsTheLvtEntry) {
  const struct {
    std::uint32_t lvt;
    bool auto_mask;
    PmiOutcome outcome;
    std::uint32_t after;
    int vector;  ///< -1: none
    unsigned nmis;
  } table[] = {
      {0x000400, true, PmiOutcome::kDelivered, 0x010400, -1, 1},
      {0x000400, false, PmiOutcome::kDelivered, 0x000400, -1, 1},
      {0x0000f3, true, PmiOutcome::kDelivered, 0x0100f3, 0xf3, 0},
      {0x0000f3, false, PmiOutcome::kDelivered, 0x0000f3, 0xf3, 0},
      {0x010400, true, PmiOutcome::kMasked, 0x010400, -1, 0},
      {0x0100f3, false, PmiOutcome::kMasked, 0x0100f3, -1, 0},
      {0x000005, true, PmiOutcome::kNotAccepted, 0x000005, -1, 0},  // vector below 16
      {0x000200, true, PmiOutcome::kNotAccepted, 0x000200, -1, 0},  // SMI
      {0x000700, true, PmiOutcome::kNotAccepted, 0x000700, -1, 0},  // ExtINT
      {0x000300, true, PmiOutcome::kNotAccepted, 0x000300, -1, 0},  // reserved mode
  };
  for (const auto& row : table) {
    apic.reset();
    enable();
    signals = FakeSignals{};
    write(apic::kLvtPerformance, row.lvt);
    EXPECT_EQ(apic.deliver_pmi(row.auto_mask), row.outcome) << std::hex << row.lvt;
    EXPECT_EQ(read(apic::kLvtPerformance), row.after) << std::hex << row.lvt;
    EXPECT_EQ(signals.nmis, row.nmis) << std::hex << row.lvt;
    EXPECT_EQ(apic.interrupt_waiting(), row.vector >= 0);
    if (row.vector >= 0) {
      EXPECT_EQ(apic.acknowledge(), row.vector);
    }
  }
}

TEST_F(LocalApicTest, AutoMaskedPmiIsDroppedUntilTheGuestUnmasks) {
  enable();
  write(apic::kLvtPerformance, 0x400);
  EXPECT_EQ(apic.deliver_pmi(true), PmiOutcome::kDelivered);
  EXPECT_EQ(apic.deliver_pmi(true), PmiOutcome::kMasked);
  write(apic::kLvtPerformance, 0x400);
  EXPECT_EQ(apic.deliver_pmi(true), PmiOutcome::kDelivered);
  EXPECT_EQ(signals.nmis, 2U);
}

TEST_F(LocalApicTest, DisabledApicMasksThePmi) {
  EXPECT_EQ(apic.deliver_pmi(true), PmiOutcome::kMasked);
  EXPECT_TRUE(wrmsr(apic::kMsrBase, kPage).is_done());
  EXPECT_EQ(apic.deliver_pmi(true), PmiOutcome::kMasked);
}

// ---- LINT pins and ExtINT -----------------------------------------------------------------------

TEST_F(LocalApicTest, ExtIntComesThroughLint0WhileItIsHigh) {
  enable();
  apic.set_lint(0, true);
  EXPECT_FALSE(apic.interrupt_waiting()) << "LVT0 is masked";
  write(apic::kLvtLint0, 0x700);
  EXPECT_TRUE(apic.interrupt_waiting());
  apic.set_task_priority(0xf);
  EXPECT_TRUE(apic.interrupt_waiting()) << "ExtINT has no priority";
  EXPECT_EQ(apic.acknowledge(), 0x38);
  EXPECT_EQ(ext_int.acknowledged, 1U);
  EXPECT_EQ(read(apic::kInService + 0x10), 0U);
  apic.set_lint(0, false);
  EXPECT_FALSE(apic.interrupt_waiting());
}

TEST_F(LocalApicTest, DisabledApicPassesTheExtIntThrough) {
  EXPECT_TRUE(wrmsr(apic::kMsrBase, kPage).is_done());
  apic.set_lint(0, true);
  EXPECT_TRUE(apic.interrupt_waiting());
  EXPECT_EQ(apic.acknowledge(), 0x38);
}

TEST_F(LocalApicTest, ExtIntMessageIsAcknowledgedAtTheSourceOnce) {
  EXPECT_TRUE(apic.accept(DeliveryMode::kExtInt, 0, false));
  EXPECT_TRUE(apic.interrupt_waiting());
  EXPECT_EQ(apic.acknowledge(), 0x38);
  EXPECT_FALSE(apic.interrupt_waiting());
}

TEST_F(LocalApicTest, Lint1InNmiModeRaisesOneNmiPerEdge) {
  enable();
  write(apic::kLvtLint1, 0x400);
  apic.set_lint(1, true);
  apic.set_lint(1, true);
  EXPECT_EQ(signals.nmis, 1U);
  apic.set_lint(1, false);
  apic.set_lint(1, true);
  EXPECT_EQ(signals.nmis, 2U);
}

TEST_F(LocalApicTest, LevelTriggeredLintRepeatsAfterEoiWhileHigh) {
  enable();
  write(apic::kLvtLint0, 0x8000 | 0x45);
  apic.set_lint(0, true);
  EXPECT_EQ(read(apic::kLvtLint0), 0xc045U) << "remote IRR";
  EXPECT_EQ(apic.acknowledge(), 0x45);
  EXPECT_FALSE(apic.interrupt_waiting());
  write(apic::kEoi, 0);
  EXPECT_EQ(apic.acknowledge(), 0x45);
  apic.set_lint(0, false);
  write(apic::kEoi, 0);
  EXPECT_FALSE(apic.interrupt_waiting());
  EXPECT_EQ(read(apic::kLvtLint0), 0x8045U);
}

// ---- Errors -------------------------------------------------------------------------------------

TEST_F(LocalApicTest, IllegalVectorsAreReportedThroughEsrAndLvtError) {
  enable();
  write(apic::kLvtError, 0xe0);
  EXPECT_FALSE(raise(0x0f));
  EXPECT_EQ(apic.acknowledge(), 0xe0);
  write(apic::kEoi, 0);
  write(apic::kCommandLow, 0x40003);  // self, vector 3
  EXPECT_EQ(apic.acknowledge(), 0xe0);
  EXPECT_EQ(read(apic::kErrorStatus), 0U) << "shown only after a write";
  write(apic::kErrorStatus, 0);
  EXPECT_EQ(read(apic::kErrorStatus), apic::kReceiveIllegalVector | apic::kSendIllegalVector);
}

TEST_F(LocalApicTest, AnIllegalErrorVectorDoesNotRecurse) {
  enable();
  write(apic::kLvtError, 0x02);
  EXPECT_FALSE(raise(0x0f));
  write(apic::kErrorStatus, 0);
  EXPECT_EQ(read(apic::kErrorStatus), apic::kReceiveIllegalVector);
}

// ---- Self IPI -----------------------------------------------------------------------------------

TEST_F(LocalApicTest, SelfIpiByShorthandAndByMsr) {
  enable();
  write(apic::kCommandLow, 0x40000 | 0x4000 | 0xf1);
  EXPECT_EQ(apic.acknowledge(), 0xf1);
  write(apic::kEoi, 0);
  EXPECT_EQ(read(apic::kCommandLow), 0x440f1U) << "delivery status is idle";
  enter_x2apic();
  ASSERT_TRUE(wrmsr(x2(apic::kSelfIpi), 0xf2).is_done());
  EXPECT_EQ(apic.acknowledge(), 0xf2);
  EXPECT_TRUE(wrmsr(x2(apic::kSelfIpi), 0x05).is_done());
  EXPECT_TRUE(wrmsr(x2(apic::kErrorStatus), 0).is_done());
  EXPECT_EQ(rdmsr(x2(apic::kErrorStatus)), Access::done(apic::kSendIllegalVector));
}

TEST_F(LocalApicTest, EveryAccessAGuestCanMakeIsSafe) {
  // A small generator: all that matters is that the values are many and always the same.
  std::uint64_t seed = 88172645463325252;
  const auto next = [&seed] {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
  };
  for (unsigned i = 0; i < 200'000; ++i) {
    const std::uint64_t what = next(), value = next();
    switch (what % 8) {
      case 0:
        (void)wrmsr(0x800 + static_cast<std::uint32_t>(what >> 8 & 0xff), value & next());
        break;
      case 1: (void)rdmsr(0x800 + static_cast<std::uint32_t>(what >> 8 & 0xff)); break;
      case 2: apic.write_mmio(what >> 8 & 0xff0, 4, value); break;
      case 3: (void)apic.read_mmio(what >> 8 & 0xfff, 1U << (what >> 4 & 3)); break;
      case 4: (void)wrmsr(apic::kMsrBase, kPage | (value & 0xd00)); break;
      case 5: (void)wrmsr(apic::kMsrTscDeadline, value & next()); break;
      case 6: (void)apic.acknowledge(); break;
      default:
        apic.set_tsc_offset(value);
        jump_to(clock, clock.now() + (value & 0xffff));
        apic.set_lint(static_cast<unsigned>(what >> 8 & 1), (what & 0x1000) != 0);
    }
  }
}

}  // namespace
}  // namespace vpmu::machine
