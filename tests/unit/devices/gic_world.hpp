// SPDX-License-Identifier: MIT
//
// A whole GIC with the registers of some vCPUs, for tests: its parts wired up as a board does it.
#pragma once

#include <cstdint>
#include <deque>

#include "machine/bus.hpp"
#include "machine/devices/gic_cpu_interface.hpp"
#include "machine/devices/gic_distributor.hpp"
#include "machine/devices/gic_redistributor.hpp"

namespace vpmu::machine {

namespace icc {
using silicon::arm64::system_register;
using silicon::arm64::SystemRegister;

constexpr SystemRegister kPmr = system_register(3, 0, 4, 6, 0);
constexpr SystemRegister kIar0 = system_register(3, 0, 12, 8, 0);
constexpr SystemRegister kEoir0 = system_register(3, 0, 12, 8, 1);
constexpr SystemRegister kHppir0 = system_register(3, 0, 12, 8, 2);
constexpr SystemRegister kBpr0 = system_register(3, 0, 12, 8, 3);
constexpr SystemRegister kAp0r0 = system_register(3, 0, 12, 8, 4);
constexpr SystemRegister kAp1r0 = system_register(3, 0, 12, 9, 0);
constexpr SystemRegister kDir = system_register(3, 0, 12, 11, 1);
constexpr SystemRegister kRpr = system_register(3, 0, 12, 11, 3);
constexpr SystemRegister kSgi1r = system_register(3, 0, 12, 11, 5);
constexpr SystemRegister kAsgi1r = system_register(3, 0, 12, 11, 6);
constexpr SystemRegister kSgi0r = system_register(3, 0, 12, 11, 7);
constexpr SystemRegister kIar1 = system_register(3, 0, 12, 12, 0);
constexpr SystemRegister kEoir1 = system_register(3, 0, 12, 12, 1);
constexpr SystemRegister kHppir1 = system_register(3, 0, 12, 12, 2);
constexpr SystemRegister kBpr1 = system_register(3, 0, 12, 12, 3);
constexpr SystemRegister kCtlr = system_register(3, 0, 12, 12, 4);
constexpr SystemRegister kSre = system_register(3, 0, 12, 12, 5);
constexpr SystemRegister kIgrpen0 = system_register(3, 0, 12, 12, 6);
constexpr SystemRegister kIgrpen1 = system_register(3, 0, 12, 12, 7);
}  // namespace icc

/// Offsets in the distributor; the banked ones also in the SGI frame of a redistributor.
namespace gicd {
constexpr std::uint64_t kCtlr = 0x0, kTyper = 0x4, kIidr = 0x8, kIgroupr = 0x80, kIsenabler = 0x100,
                        kIcenabler = 0x180, kIspendr = 0x200, kIcpendr = 0x280, kIsactiver = 0x300,
                        kIcactiver = 0x380, kIpriorityr = 0x400, kIcfgr = 0xc00, kIrouter = 0x6000;
}  // namespace gicd

namespace gicr {
constexpr std::uint64_t kTyper = 0x8, kWaker = 0x14, kSgiFrame = 0x1'0000;
}  // namespace gicr

class GicWorld {
 public:
  struct Vcpu final : GicCpuSignals {
    Vcpu(unsigned index, bool last, GicDistributor& distributor)
        : redistributor{{.index = index, .last = last}, distributor} {}
    void wake() override { ++wakes; }

    unsigned wakes = 0;
    GicRedistributor redistributor;
    GicCpuInterface interface { redistributor, *this };
  };

  explicit GicWorld(unsigned count) {
    distributor.add_to(bus);
    for (unsigned i = 0; i < count; ++i) {
      vcpus.emplace_back(i, i + 1 == count, distributor);
      vcpus.back().redistributor.add_to(bus);
    }
  }

  std::uint64_t read_d(std::uint64_t offset, unsigned bytes = 4) {
    return bus.read_mmio(GicDistributor::kAddress + offset, bytes);
  }
  void write_d(std::uint64_t offset, std::uint64_t value, unsigned bytes = 4) {
    bus.write_mmio(GicDistributor::kAddress + offset, bytes, value);
  }
  std::uint64_t read_r(unsigned vcpu, std::uint64_t offset, unsigned bytes = 4) {
    return bus.read_mmio(frame(vcpu) + offset, bytes);
  }
  void write_r(unsigned vcpu, std::uint64_t offset, std::uint64_t value, unsigned bytes = 4) {
    bus.write_mmio(frame(vcpu) + offset, bytes, value);
  }
  /// As read_r() and write_r(), in the SGI frame.
  std::uint64_t read_s(unsigned vcpu, std::uint64_t offset, unsigned bytes = 4) {
    return read_r(vcpu, gicr::kSgiFrame + offset, bytes);
  }
  void write_s(unsigned vcpu, std::uint64_t offset, std::uint64_t value, unsigned bytes = 4) {
    write_r(vcpu, gicr::kSgiFrame + offset, value, bytes);
  }
  /// At EL1; 0 for a register that cannot be read.
  std::uint64_t read_c(unsigned vcpu, icc::SystemRegister which) {
    return vcpus.at(vcpu).interface.read(which, false).value();
  }
  void write_c(unsigned vcpu, icc::SystemRegister which, std::uint64_t value) {
    static_cast<void>(vcpus.at(vcpu).interface.write(which, value, false));
  }

  Bus bus;
  GicDistributor distributor;
  std::deque<Vcpu> vcpus;

 private:
  static std::uint64_t frame(unsigned vcpu) {
    return GicRedistributor::kFirstAddress + vcpu * GicRedistributor::kLength;
  }
};

}  // namespace vpmu::machine
