// SPDX-License-Identifier: MIT
#include "machine/devices/gic_cpu_interface.hpp"

#include "gic_setup.hpp"
#include "refusals.hpp"

namespace vpmu::machine {
namespace {

class GicCpuInterfaceTest : public GicTest {
 protected:
  GicCpuInterfaceTest() { set_up(); }

  GicCpuInterface& interface(unsigned vcpu = 0) { return gic.vcpus[vcpu].interface; }
  std::uint64_t in(icc::SystemRegister which) { return gic.read_c(0, which); }
  void out(icc::SystemRegister which, std::uint64_t value) { gic.write_c(0, which, value); }
};

constexpr std::uint64_t kCbpr = 1, kEoiMode = 2;

TEST_F(GicCpuInterfaceTest, ResetState) {
  interface().reset();
  const struct {
    icc::SystemRegister which;
    std::uint64_t value;
  } table[] = {{icc::kPmr, 0},
               {icc::kIar0, kSpurious},
               {icc::kIar1, kSpurious},
               {icc::kBpr0, 2},
               {icc::kBpr1, 3},
               {icc::kAp0r0, 0},
               {icc::kAp1r0, 0},
               {icc::kRpr, 0xff},
               {icc::kCtlr, 0x400},
               {icc::kSre, 7},
               {icc::kIgrpen0, 0},
               {icc::kIgrpen1, 0},
               {icc::kHppir0, kSpurious},
               {icc::kHppir1, kSpurious}};
  for (const auto& row : table) EXPECT_EQ(in(row.which), row.value) << std::hex << raw(row.which);
}

TEST_F(GicCpuInterfaceTest, RegistersKeepTheBitsTheyHave) {
  const struct {
    icc::SystemRegister which;
    std::uint64_t ones, zeros;
  } table[] = {{icc::kPmr, 0xf8, 0},
               {icc::kBpr0, 7, 2},
               {icc::kBpr1, 7, 3},
               {icc::kAp0r0, 0xffff'ffff, 0},
               {icc::kAp1r0, 0xffff'ffff, 0},
               {icc::kSre, 7, 7},
               {icc::kIgrpen0, 1, 0},
               {icc::kIgrpen1, 1, 0},
               {icc::kCtlr, 0x403, 0x400}};
  for (const auto& row : table) {
    out(row.which, ~std::uint64_t{0});
    EXPECT_EQ(in(row.which), row.ones) << std::hex << raw(row.which);
    out(row.which, 0);
    EXPECT_EQ(in(row.which), row.zeros) << std::hex << raw(row.which);
  }
}

TEST_F(GicCpuInterfaceTest, RegistersAreUndefinedAtEl0AndInTheDirectionTheyDoNotHave) {
  const struct {
    icc::SystemRegister which;
    bool reads, writes;
  } table[] = {
      {icc::kPmr, true, true},     {icc::kIar0, true, false},   {icc::kEoir0, false, true},
      {icc::kHppir0, true, false}, {icc::kBpr0, true, true},    {icc::kAp0r0, true, true},
      {icc::kAp1r0, true, true},   {icc::kDir, false, true},    {icc::kRpr, true, false},
      {icc::kSgi1r, false, true},  {icc::kAsgi1r, false, true}, {icc::kSgi0r, false, true},
      {icc::kIar1, true, false},   {icc::kEoir1, false, true},  {icc::kHppir1, true, false},
      {icc::kBpr1, true, true},    {icc::kCtlr, true, true},    {icc::kSre, true, true},
      {icc::kIgrpen0, true, true}, {icc::kIgrpen1, true, true}};
  for (const auto& row : table) {
    EXPECT_EQ(interface().read(row.which, false).is_done(), row.reads) << raw(row.which);
    EXPECT_EQ(interface().read(row.which, false).is_fault(), !row.reads) << raw(row.which);
    EXPECT_EQ(interface().write(row.which, 0, false).is_done(), row.writes) << raw(row.which);
    EXPECT_EQ(interface().write(row.which, 0, false).is_fault(), !row.writes) << raw(row.which);
    EXPECT_TRUE(interface().read(row.which, true).is_fault()) << raw(row.which);
    EXPECT_TRUE(interface().write(row.which, 0, true).is_fault()) << raw(row.which);
  }
}

TEST_F(GicCpuInterfaceTest, AnAccessAtEl0ChangesNothing) {
  pend(0, 40);
  EXPECT_TRUE(interface().read(icc::kIar1, true).is_fault());
  EXPECT_TRUE(interface().write(icc::kPmr, 0, true).is_fault());
  EXPECT_EQ(acknowledge(), 40U);
}

TEST_F(GicCpuInterfaceTest, OtherRegistersAreNotItsOwn) {
  // AP0R1 and AP1R3 are for more bits of priority; ICC_SRE_EL2, ICC_NMIAR1.
  for (const icc::SystemRegister other :
       {icc::system_register(3, 0, 12, 8, 5), icc::system_register(3, 0, 12, 9, 3),
        icc::system_register(3, 4, 12, 9, 5), icc::system_register(3, 0, 12, 9, 5)}) {
    EXPECT_TRUE(interface().read(other, false).is_not_mine());
    EXPECT_TRUE(interface().write(other, 0, false).is_not_mine());
    EXPECT_TRUE(interface().read(other, true).is_not_mine());
  }
}

// ---- Taking and ending --------------------------------------------------------------------------

TEST_F(GicCpuInterfaceTest, AnInterruptIsTakenAndEnded) {
  pend(0, 40, 0x60);
  EXPECT_TRUE(irq());
  EXPECT_EQ(in(icc::kHppir1), 40U);
  EXPECT_EQ(acknowledge(), 40U);
  EXPECT_FALSE(irq());
  EXPECT_FALSE(bit(0, gicd::kIspendr, 40));
  EXPECT_TRUE(bit(0, gicd::kIsactiver, 40));
  EXPECT_EQ(in(icc::kRpr), 0x60U);
  EXPECT_EQ(in(icc::kAp1r0), 1U << (0x60 >> 3));
  EXPECT_EQ(acknowledge(), kSpurious);
  end(40);
  EXPECT_FALSE(bit(0, gicd::kIsactiver, 40));
  EXPECT_EQ(in(icc::kRpr), 0xffU);
  EXPECT_FALSE(irq());
}

TEST_F(GicCpuInterfaceTest, ALevelThatIsStillHighIsTakenAgain) {
  for (const unsigned intid : {27U, 33U}) {
    set_bit(0, gicd::kIsenabler, intid);
    set_line(0, intid, true);
    EXPECT_EQ(acknowledge(), intid);
    EXPECT_TRUE(bit(0, gicd::kIspendr, intid)) << "active and pending";
    EXPECT_FALSE(irq());
    end(intid);
    EXPECT_TRUE(irq());
    EXPECT_EQ(acknowledge(), intid);
    set_line(0, intid, false);
    EXPECT_FALSE(bit(0, gicd::kIspendr, intid));
    end(intid);
    EXPECT_FALSE(irq());
  }
}

TEST_F(GicCpuInterfaceTest, ALevelThatFallsBeforeItIsTakenIsSpurious) {
  set_bit(0, gicd::kIsenabler, 33);
  set_line(0, 33, true);
  set_line(0, 33, false);
  EXPECT_FALSE(irq());
  EXPECT_EQ(acknowledge(), kSpurious);
}

TEST_F(GicCpuInterfaceTest, AnEdgeIsTakenOnceAndAnotherOneMeanwhileIsRemembered) {
  for (const unsigned intid : {26U, 60U}) {
    set_edge(0, intid, true);
    set_bit(0, gicd::kIsenabler, intid);
    set_line(0, intid, true);
    set_line(0, intid, false);
    EXPECT_EQ(acknowledge(), intid);
    end(intid);
    EXPECT_FALSE(irq());
    set_line(0, intid, true);
    EXPECT_EQ(acknowledge(), intid);
    set_line(0, intid, false);
    set_line(0, intid, true);
    EXPECT_FALSE(irq()) << "it is active";
    end(intid);
    EXPECT_EQ(acknowledge(), intid);
    end(intid);
    EXPECT_FALSE(irq()) << "the line is high, but did not rise";
  }
}

TEST_F(GicCpuInterfaceTest, WithSeparateModeEoirDropsThePriorityAndDirDeactivates) {
  out(icc::kCtlr, kEoiMode);
  pend(0, 40);
  EXPECT_EQ(acknowledge(), 40U);
  end(40);
  EXPECT_EQ(in(icc::kRpr), 0xffU);
  EXPECT_TRUE(bit(0, gicd::kIsactiver, 40));
  pend(0, 40);
  EXPECT_FALSE(irq()) << "active interrupts do not come again";
  pend(0, 41);
  EXPECT_EQ(acknowledge(), 41U) << "but others do";
  end(41);
  out(icc::kDir, 40);
  EXPECT_FALSE(bit(0, gicd::kIsactiver, 40));
  EXPECT_EQ(acknowledge(), 40U);
}

TEST_F(GicCpuInterfaceTest, DirDoesNothingWhileEoirDeactivates) {
  pend(0, 40);
  EXPECT_EQ(acknowledge(), 40U);
  out(icc::kDir, 40);
  EXPECT_TRUE(bit(0, gicd::kIsactiver, 40));
}

TEST_F(GicCpuInterfaceTest, EndsOfNothingAreIgnored) {
  pend(0, 40);
  EXPECT_EQ(acknowledge(), 40U);
  for (const std::uint64_t special : {1020U, 1021U, 1022U, 1023U, 0xff'ffffU}) end(special);
  out(icc::kEoir0, 40);
  EXPECT_EQ(in(icc::kRpr), 0x80U);
  EXPECT_TRUE(bit(0, gicd::kIsactiver, 40));
  end(40);
  set_bit(0, gicd::kIsactiver, 41);
  end(41);
  EXPECT_TRUE(bit(0, gicd::kIsactiver, 41)) << "nothing was running";
}

TEST_F(GicCpuInterfaceTest, InterruptsThatDoNotExistCanBeEndedWithoutHarm) {
  pend(0, 40);
  EXPECT_EQ(acknowledge(), 40U);
  end(1000);
  EXPECT_EQ(in(icc::kRpr), 0xffU) << "the priority drops all the same";
  EXPECT_TRUE(bit(0, gicd::kIsactiver, 40));
}

// ---- Priorities ---------------------------------------------------------------------------------

TEST_F(GicCpuInterfaceTest, TheMostImportantGoesFirstAndOfEqualsTheLowestNumber) {
  pend(0, 200, 0x40);
  pend(0, 50, 0x40);
  pend(0, 60, 0x38);
  pend(0, 30, 0x40);
  pend(0, 3, 0x48);
  for (const unsigned expected : {60U, 30U, 50U, 200U, 3U}) {
    EXPECT_EQ(acknowledge(), expected);
    end(expected);
  }
}

TEST_F(GicCpuInterfaceTest, OnlyWhatIsAboveTheMaskInterrupts) {
  const struct {
    unsigned mask, priority;
    bool waits;
  } table[] = {{0xff, 0xf0, true},  {0xff, 0xf8, false}, {0x80, 0x78, true}, {0x80, 0x80, false},
               {0x80, 0x88, false}, {0x00, 0x00, false}, {0x08, 0x00, true}};
  for (const auto& row : table) {
    out(icc::kPmr, row.mask);
    pend(0, 40, row.priority);
    EXPECT_EQ(irq(), row.waits) << row.mask << " " << row.priority;
    EXPECT_EQ(in(icc::kHppir1), 40U) << "whatever the mask is";
    if (!row.waits) {
      EXPECT_EQ(acknowledge(), kSpurious);
    }
  }
}

/// 40 runs at `running`, 41 comes at `pending`.
struct Preemption {
  unsigned binary_point, running, pending;
  bool preempts;
};

class GicPreemption : public GicCpuInterfaceTest {
 protected:
  void expect(const Preemption& row, icc::SystemRegister acknowledge_register,
              icc::SystemRegister end_register) {
    pend(0, 40, row.running);
    EXPECT_EQ(in(acknowledge_register), 40U);
    pend(0, 41, row.pending);
    EXPECT_EQ(irq() || fiq(), row.preempts)
        << row.binary_point << ": " << row.running << " " << row.pending;
    EXPECT_EQ(in(acknowledge_register), row.preempts ? 41U : kSpurious);
    if (row.preempts) out(end_register, 41);
    out(end_register, 40);
    set_bit(0, gicd::kIcpendr, 41);
  }
};

TEST_F(GicPreemption, InGroup1BitsFromTheBinaryPointOnCount) {
  const Preemption table[] = {
      {3, 0x80, 0x78, true}, {3, 0x80, 0x80, false}, {3, 0x80, 0x88, false}, {4, 0x88, 0x80, false},
      {4, 0x90, 0x88, true}, {5, 0xb8, 0xa0, false}, {5, 0xa0, 0x98, true},  {6, 0xb8, 0x80, false},
      {6, 0x80, 0x40, true}, {7, 0x78, 0x00, false}, {7, 0x80, 0x78, true},
  };
  for (const Preemption& row : table) {
    out(icc::kBpr1, row.binary_point);
    expect(row, icc::kIar1, icc::kEoir1);
  }
}

TEST_F(GicPreemption, InGroup0BitsAboveTheBinaryPointCount) {
  set_group0(0, 40);
  set_group0(0, 41);
  const Preemption table[] = {
      {2, 0x80, 0x78, true},  {2, 0x80, 0x80, false}, {3, 0x88, 0x80, false},
      {3, 0x90, 0x88, true},  {4, 0xb8, 0xa0, false}, {4, 0xa0, 0x98, true},
      {5, 0xb8, 0x80, false}, {6, 0x78, 0x00, false}, {6, 0x80, 0x78, true},
      {7, 0xf0, 0x00, false},
  };
  for (const Preemption& row : table) {
    out(icc::kBpr0, row.binary_point);
    expect(row, icc::kIar0, icc::kEoir0);
  }
}

TEST_F(GicPreemption, ACommonBinaryPointIsThatOfGroup0) {
  out(icc::kBpr1, 3);
  out(icc::kBpr0, 4);
  out(icc::kCtlr, kCbpr);
  EXPECT_EQ(in(icc::kBpr1), 5U) << "one more than BPR0";
  out(icc::kBpr1, 7);
  EXPECT_EQ(in(icc::kBpr1), 5U) << "not written";
  expect({4, 0xb8, 0xa0, false}, icc::kIar1, icc::kEoir1);
  expect({4, 0xa0, 0x98, true}, icc::kIar1, icc::kEoir1);
  out(icc::kBpr0, 7);
  EXPECT_EQ(in(icc::kBpr1), 7U) << "there is no 8";
  expect({7, 0x80, 0x00, false}, icc::kIar1, icc::kEoir1);
  out(icc::kCtlr, 0);
  EXPECT_EQ(in(icc::kBpr1), 3U) << "as it was written";
}

TEST_F(GicPreemption, TheRunningPriorityIsTheGroupPriority) {
  out(icc::kBpr1, 5);
  pend(0, 40, 0xb8);
  EXPECT_EQ(acknowledge(), 40U);
  EXPECT_EQ(in(icc::kRpr), 0xa0U);
  EXPECT_EQ(in(icc::kAp1r0), 1U << (0xa0 >> 3));
}

TEST_F(GicCpuInterfaceTest, NestedInterruptsEndInReverse) {
  const struct {
    unsigned intid, priority;
  } nest[] = {{40, 0xc0}, {41, 0x80}, {42, 0x40}, {43, 0x00}};
  for (const auto& level : nest) {
    pend(0, level.intid, level.priority);
    EXPECT_EQ(acknowledge(), level.intid);
    EXPECT_EQ(in(icc::kRpr), level.priority);
  }
  EXPECT_EQ(in(icc::kAp1r0), 1U << 0x18 | 1U << 0x10 | 1U << 8 | 1U);
  for (unsigned i = 4; i-- > 0;) {
    EXPECT_EQ(in(icc::kRpr), nest[i].priority);
    end(nest[i].intid);
  }
  EXPECT_EQ(in(icc::kRpr), 0xffU);
}

// ---- Groups -------------------------------------------------------------------------------------

TEST_F(GicCpuInterfaceTest, Group0IsAFiqAndHasRegistersOfItsOwn) {
  pend(0, 40);
  set_group0(0, 40);
  EXPECT_TRUE(fiq());
  EXPECT_FALSE(irq());
  EXPECT_EQ(in(icc::kHppir0), 40U);
  EXPECT_EQ(in(icc::kHppir1), kSpurious);
  EXPECT_EQ(in(icc::kIar1), kSpurious);
  EXPECT_EQ(in(icc::kIar0), 40U);
  EXPECT_EQ(in(icc::kAp0r0), 1U << (0x80 >> 3));
  EXPECT_EQ(in(icc::kAp1r0), 0U);
  end(40);
  EXPECT_EQ(in(icc::kRpr), 0x80U) << "EOIR1 is not for it";
  out(icc::kEoir0, 40);
  EXPECT_EQ(in(icc::kRpr), 0xffU);
}

TEST_F(GicCpuInterfaceTest, AGroupThatIsDisabledHidesNothingOfTheOther) {
  pend(0, 40, 0x10);
  set_group0(0, 40);
  pend(0, 41, 0x20);
  EXPECT_TRUE(fiq());
  EXPECT_FALSE(irq());
  out(icc::kIgrpen0, 0);
  EXPECT_FALSE(fiq());
  EXPECT_TRUE(irq());
  out(icc::kIgrpen1, 0);
  EXPECT_FALSE(irq());
  EXPECT_EQ(in(icc::kHppir0), kSpurious);
  EXPECT_EQ(in(icc::kHppir1), kSpurious);
  out(icc::kIgrpen0, 1);
  EXPECT_TRUE(fiq());
}

// ---- Software-generated interrupts --------------------------------------------------------------

class GicSgiTest : public GicCpuInterfaceTest {
 protected:
  /// Those that have SGI `intid` pending, a bit for each; they do not any more.
  unsigned take(unsigned intid) {
    unsigned targets = 0;
    for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
      if (bit(vcpu, gicd::kIspendr, intid)) targets |= 1U << vcpu;
      set_bit(vcpu, gicd::kIcpendr, intid);
    }
    return targets;
  }
};

TEST_F(GicSgiTest, TheyGoToThoseInTheTargetList) {
  for (unsigned targets = 0; targets < 8; ++targets) {
    gic.write_c(1, icc::kSgi1r, targets | std::uint64_t{5} << 24);
    EXPECT_EQ(take(5), targets);
  }
  gic.write_c(1, icc::kSgi1r, 0xfff8 | std::uint64_t{5} << 24);
  EXPECT_EQ(take(5), 0U) << "vCPUs that do not exist";
}

TEST_F(GicSgiTest, EverySgiHasItsNumber) {
  for (unsigned intid = 0; intid < 16; ++intid) {
    set_bit(2, gicd::kIsenabler, intid);
    gic.write_c(0, icc::kSgi1r, 4 | std::uint64_t{intid} << 24);
    EXPECT_EQ(acknowledge(2), intid);
    end(intid, 2);
  }
}

TEST_F(GicSgiTest, IrmIsEverybodyElseWhateverTheListIs) {
  for (unsigned sender = 0; sender < kVcpus; ++sender) {
    gic.write_c(sender, icc::kSgi1r, std::uint64_t{1} << 40 | 0xff'00ff'ffff'0000 | 1U << sender);
    EXPECT_EQ(take(15), 7U & ~(1U << sender));
  }
}

TEST_F(GicSgiTest, OtherClustersAndRangesAreNobody) {
  for (const unsigned shift : {16U, 32U, 44U, 48U}) {
    gic.write_c(0, icc::kSgi1r, 7 | std::uint64_t{1} << shift);
    EXPECT_EQ(take(0), 0U) << shift;
  }
}

TEST_F(GicSgiTest, Sgi1rSendsEitherGroupTheOthersOnlyGroup0) {
  set_group0(0, 3);
  for (const auto& [which, group0_only] :
       {std::pair{icc::kSgi1r, false}, {icc::kAsgi1r, true}, {icc::kSgi0r, true}}) {
    gic.write_c(1, which, 7 | std::uint64_t{3} << 24);
    EXPECT_EQ(take(3), group0_only ? 1U : 7U);
  }
}

TEST_F(GicSgiTest, ManyOfTheSameAreOne) {
  set_bit(0, gicd::kIsenabler, 3);
  for (unsigned sender = 0; sender < kVcpus; ++sender) {
    gic.write_c(sender, icc::kSgi1r, 1 | std::uint64_t{3} << 24);
  }
  EXPECT_EQ(acknowledge(), 3U);
  end(3);
  EXPECT_FALSE(irq());
}

// ---- State --------------------------------------------------------------------------------------

TEST_F(GicCpuInterfaceTest, AnotherGicGoesOnFromTheStateOfEveryPart) {
  out(icc::kBpr1, 5);
  out(icc::kCtlr, kEoiMode);
  pend(0, 40, 0x80);
  EXPECT_EQ(acknowledge(), 40U);
  pend(0, 41, 0x40);
  set_bit(0, gicd::kIsenabler, 33);
  set_line(0, 33, true);
  pend(1, 7, 0x20);

  GicWorld other{kVcpus};
  ASSERT_TRUE(other.distributor.restore(gic.distributor.save()));
  for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
    GicWorld::Vcpu& to = other.vcpus[vcpu];
    ASSERT_TRUE(to.redistributor.restore(gic.vcpus[vcpu].redistributor.save()));
    ASSERT_TRUE(to.interface.restore(gic.vcpus[vcpu].interface.save()));
    EXPECT_EQ(to.interface.save(), gic.vcpus[vcpu].interface.save());
    EXPECT_EQ(to.interface.irq_waiting(), irq(vcpu));
  }
  EXPECT_EQ(other.read_c(1, icc::kIar1), 7U);
  EXPECT_EQ(other.read_c(0, icc::kIar1), 41U);
  other.write_c(0, icc::kEoir1, 41);
  other.write_c(0, icc::kEoir1, 40);
  EXPECT_EQ(other.read_c(0, icc::kIar1), 33U) << "its line was high";
}

TEST_F(GicCpuInterfaceTest, StatesThatNoGuestCanBringAboutAreRefused) {
  using State = GicCpuInterface::State;
  const Refusal<State> table[] = {
      {[](State& s) { s.control.raw = 0; }, "ICC_CTLR cannot be 0"},
      {[](State& s) { s.control.raw |= 0x40; }, "ICC_CTLR cannot be 1088"},
      {[](State& s) { s.priority_mask = 4; }, "ICC_PMR cannot be 4"},
      {[](State& s) { s.binary_point0 = 1; }, "ICC_BPR0 cannot be 1"},
      {[](State& s) { s.binary_point0 = 8; }, "ICC_BPR0 cannot be 8"},
      {[](State& s) { s.binary_point1 = 2; }, "ICC_BPR1 cannot be 2"},
      {[](State& s) { s.binary_point1 = 8; }, "ICC_BPR1 cannot be 8"},
      {[](State& s) { s.enabled_groups = 4; }, "ICC_IGRPEN cannot be 4"},
  };
  expect_refused(interface(), table);
}

}  // namespace
}  // namespace vpmu::machine
