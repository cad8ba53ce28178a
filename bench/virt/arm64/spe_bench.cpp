// SPDX-License-Identifier: MIT
//
// What a vCPU with SPE costs at each exit and entry, in each flavour of world switch: while its
// guest profiles, while it does not, and while it is stopped. And an access that does not trap.
#include <cstdint>
#include <span>
#include <string>

#include <benchmark/benchmark.h>

#include "vpmu/base/ensure.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"
#include "vpmu/virt/arm64/spe.hpp"

namespace vpmu::bench {

namespace {

using namespace virt::arm64;
using silicon::Privilege;
namespace reg = silicon::arm64::reg;

constexpr hostperf::HostCpu kCpu{0};

class Nowhere final : public silicon::arm64::SpeBuffer {
  tl::expected<void, Fault> write(std::uint64_t /*address*/,
                                  std::span<const std::uint8_t> /*bytes*/) override {
    return {};
  }
};

class NoLine final : public SpeSink {
  bool own_interrupt(unsigned /*irq*/) override { return true; }
  void set_buffer_line(bool /*asserted*/) override {}
};

SpeVmConfig host_of(SpeFlavour flavour) {
  virt::CpuSet cpus{1};
  cpus.insert(0);
  return {.model = silicon::arm64::find_cpu_model("neoverse-n1")->spe,
          .cpus = cpus,
          .flavour = flavour};
}

/// A vCPU that can run.
struct Vcpu {
  explicit Vcpu(SpeFlavour flavour)
      : vm{host_of(flavour)}, unit{vm.config().model, 1, buffer}, spe{vm, &unit, sink} {
    vm.set_interrupt_controller(SpeVm::InterruptController::kInitialised);
    ensure(spe.init_vcpu({.spe = true}).has_value());
    ensure(spe.set_irq(21).has_value());
    ensure(spe.init().has_value());
  }
  void write(silicon::arm64::SystemRegister which, std::uint64_t value) {
    ensure(spe.write_register(which, value, Privilege::kKernel, Initiator::kGuest).is_done());
  }
  void profile() {
    write(reg::PMBPTR_EL1, 0x10'0000);
    write(reg::PMBLIMITR_EL1, 0x20'0001);
    write(reg::PMSIRR_EL1, 0x400);
    write(reg::PMSCR_EL1, 3);
  }

  Nowhere buffer;
  NoLine sink;
  SpeVm vm;
  silicon::arm64::SpeUnit unit;
  Spe spe;
};

enum class Guest : std::uint8_t { kIdle, kProfiles, kStopped };

void exit_and_entry(benchmark::State& state) {
  Vcpu vcpu{static_cast<SpeFlavour>(state.range(0))};
  const auto guest = static_cast<Guest>(state.range(1));
  if (guest != Guest::kIdle) vcpu.profile();
  if (guest == Guest::kStopped) ensure(vcpu.spe.set_stop(kSpeStopTrap).has_value());
  ensure(vcpu.spe.enter(kCpu) == SpeEntry::kDone);
  const SpeSwitchStatistics before = vcpu.spe.switch_statistics();
  for (auto _ : state) {
    vcpu.spe.exit();
    benchmark::DoNotOptimize(vcpu.spe.enter(kCpu));
  }
  const SpeSwitchStatistics after = vcpu.spe.switch_statistics();
  const auto per_iteration = [&](std::uint64_t more) {
    return benchmark::Counter(static_cast<double>(more), benchmark::Counter::kAvgIterations);
  };
  state.counters["moves"] = per_iteration(after.moves() - before.moves());
  state.counters["drains"] = per_iteration(after.drains() - before.drains());
}
BENCHMARK(exit_and_entry)
    ->Name("spe/exit_and_entry")
    ->ArgNames({"flavour", "guest"})
    ->ArgsProduct({{0, 1, 2}, {0, 1, 2}});

/// Of a control, which does not trap.
void direct_access(benchmark::State& state) {
  Vcpu vcpu{SpeFlavour::kVhe};
  vcpu.profile();
  ensure(vcpu.spe.enter(kCpu) == SpeEntry::kDone);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        vcpu.spe.read_register(reg::PMSICR_EL1, Privilege::kKernel, Initiator::kGuest));
  }
}
BENCHMARK(direct_access)->Name("spe/direct_access");

/// Of the buffer's, which traps: an exit, and an entry behind it.
void trapped_access(benchmark::State& state) {
  Vcpu vcpu{SpeFlavour::kVhe};
  vcpu.profile();
  ensure(vcpu.spe.enter(kCpu) == SpeEntry::kDone);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        vcpu.spe.read_register(reg::PMBPTR_EL1, Privilege::kKernel, Initiator::kGuest));
    benchmark::DoNotOptimize(vcpu.spe.enter(kCpu));
  }
}
BENCHMARK(trapped_access)->Name("spe/trapped_access");

}  // namespace

}  // namespace vpmu::bench
