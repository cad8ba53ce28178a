// SPDX-License-Identifier: MIT
//
// A VMM in one file: a vCPU whose "instructions" are a loop, with a virtual PMU. The guest counts a
// hundred instructions and takes an overflow interrupt on the last one.
#include <array>
#include <cstdint>
#include <cstdio>

#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/x86/msrs.hpp"
#include "vpmu/virt/exit_stats.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace {

namespace msr = vpmu::silicon::x86::msr;
using vpmu::Initiator;
using vpmu::silicon::Privilege;
using vpmu::silicon::RawEvent;
using vpmu::virt::ExitReason;

class LocalApic final : public vpmu::virt::x86::PmiSink {
 public:
  vpmu::virt::x86::PmiOutcome raise_pmi(vpmu::virt::x86::LvtpcAfterPmi) override {
    ++pmis;
    return vpmu::virt::x86::PmiOutcome::kDelivered;
  }
  void request_entry_work() override {}
  int pmis = 0;
};

}  // namespace

int main() {
  const vpmu::silicon::x86::CpuModel* model = vpmu::silicon::x86::find_cpu_model("icelake-server");
  if (model == nullptr) return 1;

  vpmu::silicon::RetireTotals totals;
  vpmu::silicon::Deadlines deadlines{totals};
  const std::array vcpus{vpmu::hostperf::ModelledVcpu{&totals, &deadlines}};
  vpmu::hostperf::ModelledHostPerf perf{*model, vcpus};
  LocalApic apic;
  vpmu::virt::x86::Pmu pmu{vpmu::virt::x86::guest_pmu(*model), perf, vpmu::hostperf::VcpuIndex{0},
                           apic};
  vpmu::virt::ExitStats exits;

  constexpr std::uint64_t kCount = 100, kTurn = std::uint64_t{1} << 48;
  constexpr std::uint64_t kInstructions = 0xc0, kOs = 1 << 17, kInt = 1 << 20, kEn = 1 << 22;
  const auto wrmsr = [&](vpmu::MsrIndex index, std::uint64_t value) {
    exits.record(ExitReason::kMsrWrite);
    if (!pmu.write_msr(index, value, Initiator::kGuest).is_done()) return false;
    pmu.before_entry();
    return true;
  };
  if (!wrmsr(msr::IA32_A_PMC0, kTurn - kCount)) return 1;
  if (!wrmsr(msr::IA32_PERFEVTSEL0, kInstructions | kOs | kInt | kEn)) return 1;

  std::uint64_t executed = 0;
  while (apic.pmis == 0 && executed < 2 * kCount) {
    totals.add(RawEvent::kInstructions, Privilege::kKernel, 1);
    ++executed;
    deadlines.fire_due();
    if (pmu.has_entry_work()) pmu.before_entry();
  }
  std::printf("counted %llu instructions, %d PMI\n", static_cast<unsigned long long>(executed),
              apic.pmis);
  return executed == kCount && apic.pmis == 1 && exits.total_count() == 2 ? 0 : 1;
}
