// SPDX-License-Identifier: MIT
#include "machine/devices/gic_redistributor.hpp"

#include "gic_setup.hpp"
#include "refusals.hpp"

namespace vpmu::machine {
namespace {

class GicRedistributorTest : public GicTest {};

TEST_F(GicRedistributorTest, ItSaysWhoseItIsAndWhichIsTheLast) {
  for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
    const std::uint64_t type = gic.read_r(vcpu, gicr::kTyper, 8);
    EXPECT_EQ(type >> 32, vcpu) << "affinity";
    EXPECT_EQ(type >> 8 & 0xffff, vcpu) << "processor number";
    EXPECT_EQ(type >> 4 & 1, vcpu == kVcpus - 1 ? 1U : 0U) << "last";
    EXPECT_EQ(type & 0xef, 0U) << "no LPIs";
    EXPECT_EQ(gic.read_r(vcpu, gicr::kTyper), type & 0xffff'ffff);
    EXPECT_EQ(gic.read_r(vcpu, gicr::kTyper + 4), type >> 32);
  }
  EXPECT_EQ(gic.read_r(0, 0x4), gic.read_d(gicd::kIidr));
  EXPECT_EQ(gic.read_r(0, 0xffe8) >> 4 & 0xf, 3U) << "GICv3";
  EXPECT_EQ(gic.read_r(0, 0x0), 0U) << "GICR_CTLR";
}

TEST_F(GicRedistributorTest, AsleepItTellsItsCpuNothing) {
  set_up();
  EXPECT_EQ(gic.read_r(1, gicr::kWaker), 0U);
  gic.write_r(1, gicr::kWaker, 2);
  EXPECT_EQ(gic.read_r(1, gicr::kWaker), 6U) << "and its children sleep";
  pend(1, 20);
  EXPECT_FALSE(irq(1));
  EXPECT_EQ(acknowledge(1), kSpurious);
  gic.write_r(1, gicr::kWaker, 0);
  EXPECT_TRUE(irq(1));
  EXPECT_EQ(acknowledge(1), 20U);
}

TEST_F(GicRedistributorTest, ItIsAsleepAfterReset) {
  EXPECT_EQ(gic.read_r(0, gicr::kWaker), 6U);
  set_up();
  gic.vcpus[0].redistributor.reset();
  EXPECT_EQ(gic.read_r(0, gicr::kWaker), 6U);
  EXPECT_EQ(gic.read_s(0, gicd::kIgroupr), 0U);
}

TEST_F(GicRedistributorTest, SgisAreAlwaysEdgesPpisAreWhatTheyAreConfigured) {
  EXPECT_EQ(gic.read_s(0, gicd::kIcfgr), 0xaaaa'aaaaU);
  gic.write_s(0, gicd::kIcfgr, 0);
  EXPECT_EQ(gic.read_s(0, gicd::kIcfgr), 0xaaaa'aaaaU);
  EXPECT_EQ(gic.read_s(0, gicd::kIcfgr + 4), 0U);
  gic.write_s(0, gicd::kIcfgr + 4, ~0U);
  EXPECT_EQ(gic.read_s(0, gicd::kIcfgr + 4), 0xaaaa'aaaaU);
}

TEST_F(GicRedistributorTest, RegistersAreEachVcpusOwn) {
  for (const std::uint64_t offset :
       {gicd::kIgroupr, gicd::kIsenabler, gicd::kIspendr, gicd::kIsactiver}) {
    for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) gic.write_s(vcpu, offset, 1U << vcpu);
    for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
      EXPECT_EQ(gic.read_s(vcpu, offset), 1U << vcpu) << std::hex << offset;
    }
  }
  gic.write_s(2, gicd::kIpriorityr + 28, 0x10203040);
  EXPECT_EQ(gic.read_s(2, gicd::kIpriorityr + 28), 0x10203040U);
  EXPECT_EQ(gic.read_s(2, gicd::kIpriorityr + 29, 1), 0x30U);
  EXPECT_EQ(gic.read_s(1, gicd::kIpriorityr + 28), 0U);
}

TEST_F(GicRedistributorTest, RegistersBehindTheFirst32InterruptsAreNotThere) {
  for (const std::uint64_t offset :
       {gicd::kIgroupr + 4, gicd::kIsenabler + 4, gicd::kIpriorityr + 32, gicd::kIcfgr + 8}) {
    gic.write_s(0, offset, ~0U);
    EXPECT_EQ(gic.read_s(0, offset), 0U) << std::hex << offset;
  }
  for (const std::uint64_t offset : {gicd::kIgroupr, gicd::kIsenabler, gicd::kIpriorityr}) {
    gic.write_r(0, offset, ~0U);  // in RD_base
    EXPECT_EQ(gic.read_s(0, offset), 0U) << std::hex << offset;
  }
}

TEST_F(GicRedistributorTest, OnlyPpisHaveLines) {
  set_up();
  for (const unsigned intid : {0U, 15U, 32U, 100U}) {
    gic.vcpus[0].redistributor.set_line(intid, true);
  }
  EXPECT_EQ(gic.vcpus[0].redistributor.save().bank.high, 0U);
  set_bit(0, gicd::kIsenabler, 27);
  set_line(0, 27, true);
  EXPECT_TRUE(irq(0));
  EXPECT_FALSE(irq(1));
}

TEST_F(GicRedistributorTest, StatesThatNoGuestCanBringAboutAreRefused) {
  const Refusal<GicRedistributor::State> table[] = {
      {[](GicRedistributor::State& s) { s.bank.edge = 0xfffe; }, "ICFGR cannot be 65534"},
      {[](GicRedistributor::State& s) { s.bank.high = 1; }, "lines cannot be 1"},
      {[](GicRedistributor::State& s) { s.bank.priority[0] = 1; }, "priority cannot be 1"},
  };
  expect_refused(gic.vcpus[0].redistributor, table);
}

}  // namespace
}  // namespace vpmu::machine
