// SPDX-License-Identifier: MIT
//
// What it costs that guests on one host CPU have last branch records of their own: two vCPUs take
// turns there, each with its LBR event and a call stack in the unit. Beside it, what a hypervisor
// does that leaves the unit to nobody: all registers saved when the guest exits, all put back when
// it goes on.
#include <array>
#include <span>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "vpmu/base/ensure.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::bench {
namespace {

using hostperf::EventId;
using hostperf::HostCpu;
using hostperf::VcpuIndex;
using silicon::x86::LbrModel;
using silicon::x86::LbrSelect;
using silicon::x86::LbrStack;
namespace msr = silicon::x86::msr;

constexpr hostperf::EventAttr kGuestLbr{.config = hostperf::kGuestLbrEvent,
                                        .pinned = true,
                                        .exclude_host = true,
                                        .branch_type = hostperf::kGuestLbrBranchType};
/// Calls of user code only.
constexpr std::uint64_t kCallStack =
    mask_of(LbrSelect::kCplEq0, LbrSelect::kJcc, LbrSelect::kNearIndJmp, LbrSelect::kNearRelJmp,
            LbrSelect::kFarBranch, LbrSelect::kEnCallStack);
constexpr unsigned kFrames = 8;
constexpr HostCpu kCpu{0};

class Ignore final : public hostperf::OverflowHandler {
 public:
  void on_overflow(EventId, std::uint64_t) override {}
};

void call(LbrStack& unit, unsigned times) {
  for (std::uint64_t n = 1; n <= times; ++n) {
    unit.record({.from = n << 12,
                 .to = (n + 1) << 12,
                 .next = (n << 12) + 5,
                 .type = silicon::x86::BranchType::kDirectCall,
                 .ends_in = silicon::Privilege::kUser});
  }
}

/// Two vCPUs, one host CPU; vCPU 0 is on it.
struct TwoOnOne {
  struct Vcpu {
    silicon::RetireTotals totals;
    silicon::Deadlines deadlines{totals};
  };
  const silicon::x86::CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  std::array<Vcpu, 2> vcpus;
  hostperf::ModelledHostPerf perf{
      model,
      std::array{hostperf::ModelledVcpu{&vcpus[0].totals, &vcpus[0].deadlines},
                 hostperf::ModelledVcpu{&vcpus[1].totals, &vcpus[1].deadlines}},
      {.cpus = 1}};
  Ignore handler;
  EventId lbr{};

  void on(unsigned vcpu) { perf.switch_in(static_cast<VcpuIndex>(vcpu), kCpu); }
  /// Both guests keep their call stack.
  void with_call_stacks() {
    for (const unsigned vcpu : {1u, 0u}) {
      on(vcpu);
      lbr = *perf.open(kGuestLbr, hostperf::Target::of(static_cast<VcpuIndex>(vcpu)), handler);
      perf.enable(lbr);
      ensure(perf.write_lbr(lbr, msr::MSR_LBR_SELECT, kCallStack)->is_done());
      call(*perf.lbr_unit(kCpu), kFrames);
    }
  }
  [[nodiscard]] std::uint64_t moved_msrs() const {
    const hostperf::LbrSwitches& switches = perf.lbr_switches(kCpu);
    return switches.saved_msrs + switches.restored_msrs;
  }
};

void report_switches(benchmark::State& state, std::uint64_t msrs) {
  const auto switches = 2 * state.iterations();
  state.SetItemsProcessed(switches);
  state.counters["msrs"] = static_cast<double>(msrs) / static_cast<double>(switches);
}

void switch_without_lbr(benchmark::State& state) {
  TwoOnOne host;
  for (auto _ : state) {
    host.on(1);
    host.on(0);
  }
  report_switches(state, host.moved_msrs());
}
BENCHMARK(switch_without_lbr)->Name("lbr_switch/none");

void switch_call_stacks(benchmark::State& state) {
  TwoOnOne host;
  host.with_call_stacks();
  const std::uint64_t before = host.moved_msrs();
  for (auto _ : state) {
    host.on(1);
    host.on(0);
  }
  report_switches(state, host.moved_msrs() - before);
}
BENCHMARK(switch_call_stacks)->Name("lbr_switch/call_stack");

/// The host CPU is idle in between, and nobody else uses its records.
void leave_and_come_back(benchmark::State& state) {
  TwoOnOne host;
  host.with_call_stacks();
  const std::uint64_t before = host.moved_msrs();
  for (auto _ : state) {
    host.perf.switch_out(VcpuIndex{0});
    host.on(0);
  }
  report_switches(state, host.moved_msrs() - before);
}
BENCHMARK(leave_and_come_back)->Name("lbr_switch/same_task");

std::vector<MsrIndex> all_msrs(const LbrModel& model) {
  std::vector<MsrIndex> msrs{msr::MSR_LBR_SELECT, msr::MSR_LASTBRANCH_TOS};
  for (const MsrIndex first : {model.from, model.to, model.info}) {
    for (unsigned n = 0; n < model.depth; ++n) msrs.push_back(MsrIndex{raw(first) + n});
  }
  return msrs;
}

/// One item: an exit, and the entry that follows.
void save_and_restore_at_exits(benchmark::State& state) {
  TwoOnOne host;
  host.with_call_stacks();
  LbrStack& unit = *host.perf.lbr_unit(kCpu);
  const std::vector<MsrIndex> msrs = all_msrs(host.model.lbr);
  std::vector<std::uint64_t> values(msrs.size());
  for (auto _ : state) {
    for (std::size_t n = 0; n < msrs.size(); ++n) values[n] = *unit.read(msrs[n]);
    benchmark::DoNotOptimize(values.data());
    for (std::size_t n = 0; n < msrs.size(); ++n) unit.write(msrs[n], values[n]);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["msrs"] = static_cast<double>(2 * msrs.size());
}
BENCHMARK(save_and_restore_at_exits)->Name("lbr_switch/every_exit");

void event_state(benchmark::State& state) {
  TwoOnOne host;
  host.with_call_stacks();
  for (auto _ : state) benchmark::DoNotOptimize(host.perf.state(host.lbr));
}
BENCHMARK(event_state)->Name("host_perf/state");

}  // namespace
}  // namespace vpmu::bench
