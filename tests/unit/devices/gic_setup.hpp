// SPDX-License-Identifier: MIT
//
// A GIC that a guest has set up, and what the tests of its parts have in common.
#pragma once

#include <gtest/gtest.h>

#include "gic_world.hpp"

namespace vpmu::machine {

constexpr unsigned kSpurious = 1023;

class GicTest : public testing::Test {
 protected:
  static constexpr unsigned kVcpus = 3;

  /// Everything is enabled, nothing is masked, and every interrupt is in group 1 with priority
  /// 0x80.
  void set_up() {
    gic.write_d(gicd::kCtlr, 3);
    for (unsigned bank = 1; bank < 9; ++bank) gic.write_d(gicd::kIgroupr + 4 * bank, ~0U);
    for (unsigned intid = 32; intid < 288; ++intid) set_priority(0, intid, 0x80);
    for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
      gic.write_r(vcpu, gicr::kWaker, 0);
      gic.write_s(vcpu, gicd::kIgroupr, ~0U);
      for (unsigned intid = 0; intid < 32; ++intid) set_priority(vcpu, intid, 0x80);
      gic.write_c(vcpu, icc::kPmr, 0xff);
      gic.write_c(vcpu, icc::kIgrpen0, 1);
      gic.write_c(vcpu, icc::kIgrpen1, 1);
    }
  }

  // Of one interrupt; `vcpu` is looked at for private ones only.
  void set_bit(unsigned vcpu, std::uint64_t offset, unsigned intid) {
    if (intid < 32) {
      gic.write_s(vcpu, offset, 1U << intid);
    } else {
      gic.write_d(offset + intid / 32 * 4, 1U << intid % 32);
    }
  }
  bool bit(unsigned vcpu, std::uint64_t offset, unsigned intid) {
    const std::uint64_t word =
        intid < 32 ? gic.read_s(vcpu, offset) : gic.read_d(offset + intid / 32 * 4);
    return (word >> intid % 32 & 1) != 0;
  }
  void set_priority(unsigned vcpu, unsigned intid, unsigned priority) {
    if (intid < 32) {
      gic.write_s(vcpu, gicd::kIpriorityr + intid, priority, 1);
    } else {
      gic.write_d(gicd::kIpriorityr + intid, priority, 1);
    }
  }
  void set_edge(unsigned vcpu, unsigned intid, bool edge) {
    const std::uint64_t at = gicd::kIcfgr + intid / 16 * 4;
    const unsigned shift = intid % 16 * 2 + 1;
    const std::uint64_t before = intid < 32 ? gic.read_s(vcpu, at) : gic.read_d(at);
    const std::uint64_t after = (before & ~(1U << shift)) | std::uint64_t{edge} << shift;
    if (intid < 32) {
      gic.write_s(vcpu, at, after);
    } else {
      gic.write_d(at, after);
    }
  }
  void set_group0(unsigned vcpu, unsigned intid) {
    const std::uint64_t at = gicd::kIgroupr + (intid < 32 ? 0 : intid / 32 * 4);
    if (intid < 32) {
      gic.write_s(vcpu, at, gic.read_s(vcpu, at) & ~(1U << intid));
    } else {
      gic.write_d(at, gic.read_d(at) & ~(1U << intid % 32));
    }
  }
  /// Pending by the guest's own hand, at this priority.
  void pend(unsigned vcpu, unsigned intid, unsigned priority = 0x80) {
    set_priority(vcpu, intid, priority);
    set_bit(vcpu, gicd::kIsenabler, intid);
    set_bit(vcpu, gicd::kIspendr, intid);
  }
  void set_line(unsigned vcpu, unsigned intid, bool high) {
    if (intid < 32) {
      gic.vcpus[vcpu].redistributor.set_line(intid, high);
    } else {
      gic.distributor.set_line(intid, high);
    }
  }
  bool irq(unsigned vcpu = 0) { return gic.vcpus[vcpu].interface.irq_waiting(); }
  bool fiq(unsigned vcpu = 0) { return gic.vcpus[vcpu].interface.fiq_waiting(); }
  std::uint64_t acknowledge(unsigned vcpu = 0) { return gic.read_c(vcpu, icc::kIar1); }
  void end(std::uint64_t intid, unsigned vcpu = 0) { gic.write_c(vcpu, icc::kEoir1, intid); }

  GicWorld gic{kVcpus};
};

}  // namespace vpmu::machine
