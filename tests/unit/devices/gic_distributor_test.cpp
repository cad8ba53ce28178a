// SPDX-License-Identifier: MIT
#include "machine/devices/gic_distributor.hpp"

#include "gic_setup.hpp"
#include "refusals.hpp"

namespace vpmu::machine {
namespace {

class GicDistributorTest : public GicTest {};

TEST_F(GicDistributorTest, ControlEnablesTheGroupsAndShowsWhatIsFixed) {
  EXPECT_EQ(gic.read_d(gicd::kCtlr), 0x50U) << "ARE and DS";
  gic.write_d(gicd::kCtlr, ~0U);
  EXPECT_EQ(gic.read_d(gicd::kCtlr), 0x53U);
  gic.write_d(gicd::kCtlr, 2);
  EXPECT_EQ(gic.read_d(gicd::kCtlr), 0x52U);
}

TEST_F(GicDistributorTest, ItSaysWhatItIs) {
  const std::uint64_t type = gic.read_d(gicd::kTyper);
  EXPECT_EQ(((type & 0x1f) + 1) * 32, 288U) << "interrupts";
  EXPECT_EQ(type >> 19 & 0x1f, 9U) << "ten bits of INTID";
  EXPECT_EQ(type >> 25 & 1, 1U) << "no 1 of N";
  EXPECT_EQ(type & ~(0x1f | 0x1fU << 19 | 1U << 25), 0U) << "no LPIs, messages or second state";
  EXPECT_EQ(gic.read_d(gicd::kIidr) & 0xfff, 0x43bU);
  EXPECT_EQ(gic.read_d(0xffe8) >> 4 & 0xf, 3U) << "GICv3";
  const std::uint32_t component[] = {0x0d, 0xf0, 0x05, 0xb1};
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(gic.read_d(0xfff0 + 4 * i), component[i]);
}

TEST_F(GicDistributorTest, RegistersOfPrivateAndMissingInterruptsAreZero) {
  for (const std::uint64_t offset : {gicd::kIgroupr, gicd::kIsenabler, gicd::kIspendr,
                                     gicd::kIsactiver, gicd::kIpriorityr, gicd::kIcfgr}) {
    gic.write_d(offset, ~0U);
    EXPECT_EQ(gic.read_d(offset), 0U) << std::hex << offset;
  }
  for (const std::uint64_t offset :
       {gicd::kIgroupr + 36, gicd::kIsenabler + 36, gicd::kIpriorityr + 288, gicd::kIcfgr + 72,
        gicd::kIrouter + 8 * 288, gicd::kIrouter + 8 * 31}) {
    gic.write_d(offset, ~0U);
    EXPECT_EQ(gic.read_d(offset), 0U) << std::hex << offset;
  }
  gic.distributor.set_line(5, true);
  gic.distributor.set_line(288, true);
  gic.distributor.set_line(~0U, true);
  EXPECT_EQ(gic.distributor.save(), GicDistributor::State{});
}

TEST_F(GicDistributorTest, EveryBankHasItsRegisters) {
  for (unsigned bank = 1; bank < 9; ++bank) {
    for (const std::uint64_t offset :
         {gicd::kIgroupr, gicd::kIsenabler, gicd::kIspendr, gicd::kIsactiver}) {
      gic.write_d(offset + 4 * bank, 0x8000'0000 | bank);
      EXPECT_EQ(gic.read_d(offset + 4 * bank), 0x8000'0000 | bank) << bank;
    }
  }
  for (unsigned intid = 32; intid < 288; ++intid) {
    set_priority(0, intid, intid % 32 * 8);
    EXPECT_EQ(gic.read_d(gicd::kIpriorityr + intid, 1), intid % 32 * 8) << intid;
  }
}

TEST_F(GicDistributorTest, OtherSizesReadZeroAndWriteNothing) {
  for (const unsigned bytes : {1U, 2U, 8U}) {
    gic.write_d(gicd::kCtlr, 3, bytes);
    gic.write_d(gicd::kIsenabler + 8, ~0U, bytes);
    EXPECT_EQ(gic.read_d(gicd::kCtlr, bytes), 0U) << bytes;
    EXPECT_EQ(gic.read_d(gicd::kTyper - 4, bytes), 0U) << bytes;
  }
  gic.write_d(gicd::kIpriorityr + 32, 0x8080, 2);
  gic.write_d(gicd::kIrouter + 8 * 32, 1, 2);
  EXPECT_EQ(gic.distributor.save(), GicDistributor::State{});
}

TEST_F(GicDistributorTest, RoutesCanBeAccessedWholeOrInHalves) {
  constexpr std::uint64_t kRoute = gicd::kIrouter + 8 * 40;
  gic.write_d(kRoute, ~std::uint64_t{0}, 8);
  EXPECT_EQ(gic.read_d(kRoute, 8), 0x00ff'ffffU) << "no Aff3, no IRM";
  gic.write_d(kRoute, 2);
  EXPECT_EQ(gic.read_d(kRoute), 2U);
  gic.write_d(kRoute + 4, 0xff);
  EXPECT_EQ(gic.read_d(kRoute + 4), 0U);
  EXPECT_EQ(gic.read_d(kRoute, 8), 2U);
}

TEST_F(GicDistributorTest, AnInterruptGoesToWhomItsRouteNames) {
  set_up();
  pend(0, 40);
  for (unsigned target = 0; target < kVcpus; ++target) {
    gic.write_d(gicd::kIrouter + 8 * 40, target, 8);
    for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) EXPECT_EQ(irq(vcpu), vcpu == target);
  }
  for (const std::uint64_t nobody : {0x3U, 0x100U, 0x1'0000U}) {
    gic.write_d(gicd::kIrouter + 8 * 40, nobody, 8);
    for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) EXPECT_FALSE(irq(vcpu)) << nobody;
  }
}

TEST_F(GicDistributorTest, GroupsThatAreDisabledHereReachNobody) {
  set_up();
  pend(0, 40);
  pend(0, 41, 0x10);
  set_group0(0, 41);
  const struct {
    unsigned control;
    bool irq, fiq;
  } table[] = {{0, false, false}, {1, false, true}, {2, true, false}, {3, false, true}};
  for (const auto& row : table) {
    gic.write_d(gicd::kCtlr, row.control);
    EXPECT_EQ(irq(), row.irq) << row.control;
    EXPECT_EQ(fiq(), row.fiq) << row.control;
  }
}

TEST_F(GicDistributorTest, ThoseWhoWaitAreWokenOnce) {
  set_up();
  set_bit(0, gicd::kIsenabler, 40);
  set_line(0, 40, true);
  set_line(0, 40, true);
  EXPECT_EQ(gic.vcpus[0].wakes, 1U);
  EXPECT_EQ(gic.vcpus[1].wakes, 0U);
}

TEST_F(GicDistributorTest, ResetKeepsTheLinesOnly) {
  set_up();
  set_line(0, 40, true);
  gic.distributor.reset();
  GicDistributor::State expected;
  expected.banks[0].high = 1 << 8;
  EXPECT_EQ(gic.distributor.save(), expected);
}

TEST_F(GicDistributorTest, RestoredBehindTheOthersItTellsThem) {
  set_up();
  const GicDistributor::State idle = gic.distributor.save();
  pend(0, 40);
  const GicDistributor::State pending = gic.distributor.save();
  ASSERT_TRUE(gic.distributor.restore(idle));
  EXPECT_FALSE(irq());
  ASSERT_TRUE(gic.distributor.restore(pending));
  EXPECT_TRUE(irq());
}

TEST_F(GicDistributorTest, StatesThatNoGuestCanBringAboutAreRefused) {
  const Refusal<GicDistributor::State> table[] = {
      {[](GicDistributor::State& s) { s.control.raw = 3; }, "GICD_CTLR cannot be 3"},
      {[](GicDistributor::State& s) { s.control.raw |= 0x80; }, "GICD_CTLR cannot be 208"},
      {[](GicDistributor::State& s) { s.banks[7].priority[31] = 0x84; }, "priority cannot be 132"},
      {[](GicDistributor::State& s) { s.route[255] = 1 << 24; }, "IROUTER cannot be 16777216"},
  };
  expect_refused(gic.distributor, table);
}

}  // namespace
}  // namespace vpmu::machine
