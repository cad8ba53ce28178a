// SPDX-License-Identifier: MIT
//
// A virtual SPE with a unit of its own, a buffer that only counts, and an interrupt line that only
// remembers its level.
#pragma once

#include <cerrno>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_fixture.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"
#include "vpmu/virt/arm64/spe.hpp"

namespace vpmu::virt::arm64 {

namespace reg = silicon::arm64::reg;

using silicon::arm64::kSpeModelV1p1;
using silicon::arm64::kSpeModelV1p2;
using silicon::arm64::SpeMemory;

/// CPUs of a host that has `cpus`: those in `list`.
inline CpuSet cpus_of(const char* list, unsigned cpus) {
  return *parse_cpu_list(list, cpus);
}

class FakeSpeSink final : public SpeSink {
 public:
  bool own_interrupt(unsigned irq) override { return others.count(irq) == 0; }
  void set_buffer_line(bool asserted) override {
    EXPECT_NE(asserted, line) << "told of changes only";
    line = asserted;
    ++changes;
  }

  SpeBufferAnswer prepare_buffer(std::uint64_t start, std::uint64_t limit) override {
    prepared.push_back({start, limit});
    return answer;
  }
  void release_buffer() override { ++releases; }

  bool line = false;
  int changes = 0;
  std::set<unsigned> others;  ///< interrupts of other devices
  SpeBufferAnswer answer = SpeBufferAnswer::kReady;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> prepared;
  int releases = 0;
};

/// A host of four CPUs that all have the unit.
inline SpeVmConfig spe_everywhere(const silicon::arm64::SpeModel& model = kSpeModelV1p1) {
  return {.model = model, .cpus = cpus_of("all", 4)};
}

/// A vCPU with its unit.
struct SpeVcpu {
  explicit SpeVcpu(SpeVm& vm, std::uint64_t seed = 1)
      : unit{vm.usable() ? vm.config().model : kSpeModelV1p1, seed, buffer},
        spe{vm, vm.usable() ? &unit : nullptr, sink} {}

  SpeMemory buffer;
  FakeSpeSink sink;
  silicon::arm64::SpeUnit unit;
  Spe spe;
};

class SpeFixture : public testing::Test {
 protected:
  using SystemRegister = silicon::arm64::SystemRegister;
  using Privilege = silicon::Privilege;

  static constexpr hostperf::HostCpu kCpu{0};
  static constexpr std::int32_t kIrq = 21;
  static constexpr std::uint64_t kBase = 0x10'0000;
  static constexpr std::uint64_t kEnable = 1;
  static constexpr std::uint64_t kS = 1 << 17;

  SpeFixture() { make(spe_everywhere()); }

  /// A VM with an interrupt controller, and a vCPU of it without anything.
  void make(const SpeVmConfig& config) {
    vcpu.reset();
    vm = std::make_unique<SpeVm>(config);
    vm->set_interrupt_controller(SpeVm::InterruptController::kInitialised);
    vcpu = std::make_unique<SpeVcpu>(*vm);
  }
  /// Everything that must be done before the guest can be entered.
  static void set_up(Spe& spe) {
    ASSERT_TRUE(spe.init_vcpu({.spe = true}));
    ASSERT_TRUE(spe.set_irq(kIrq));
    ASSERT_TRUE(spe.init());
  }
  void make_ready(const SpeVmConfig& config = spe_everywhere()) {
    make(config);
    set_up(spe());
  }

  [[nodiscard]] Spe& spe() { return vcpu->spe; }
  [[nodiscard]] silicon::arm64::SpeUnit& unit() { return vcpu->unit; }

  /// As a machine does: an access that traps is followed by an entry.
  Access try_read(SystemRegister which, Privilege privilege = Privilege::kKernel) {
    const Access access = spe().read_register(which, privilege, Initiator::kGuest);
    entry = spe().enter(kCpu);
    return access;
  }
  Access try_write(SystemRegister which, std::uint64_t value,
                   Privilege privilege = Privilege::kKernel) {
    const Access access = spe().write_register(which, value, privilege, Initiator::kGuest);
    entry = spe().enter(kCpu);
    return access;
  }
  std::uint64_t read(SystemRegister which) {
    const Access access = try_read(which);
    EXPECT_TRUE(access.is_done());
    return access.value();
  }
  void write(SystemRegister which, std::uint64_t value) {
    EXPECT_TRUE(try_write(which, value).is_done());
  }
  /// As a driver starts it: a buffer of that many bytes, sampling at those levels.
  void profile(std::uint64_t bytes = 0x1000, std::uint64_t levels = 3) {
    write(reg::PMBPTR_EL1, kBase);
    write(reg::PMBLIMITR_EL1, (kBase + bytes) | kEnable);
    write(reg::PMSIRR_EL1, 0x400);
    write(reg::PMSICR_EL1, 0);
    write(reg::PMSCR_EL1, levels);
  }
  /// The guest retires operations until so many have been sampled, and takes interrupts of the
  /// unit.
  void sample(int count, const silicon::arm64::SpeOperation& operation = at_el0()) {
    for (int i = 0; i < count && unit().profiles(operation.pc.level); ++i) {
      unit().pass(unit().until_sample() - 1);
      unit().sample(operation);
    }
    if (!unit().interrupt()) return;
    spe().exit();
    entry = spe().enter(kCpu);
  }
  static silicon::arm64::SpeOperation at_el0() { return {.pc = {.address = 0x40'0000}}; }

  std::unique_ptr<SpeVm> vm;
  std::unique_ptr<SpeVcpu> vcpu;
  SpeEntry entry = SpeEntry::kDone;  ///< of the last one
};

}  // namespace vpmu::virt::arm64
