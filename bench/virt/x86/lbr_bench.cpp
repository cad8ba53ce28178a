// SPDX-License-Identifier: MIT
//
// What last branch records cost a hypervisor: the look before each entry, accesses that exit, and
// changing the MSR bitmap. Each also reports the allocations that it made while it was measured.
#include "vpmu/virt/x86/lbr.hpp"

#include <benchmark/benchmark.h>

#include "bench/support/modelled_perf.hpp"
#include "bench/support/pmu_access.hpp"
#include "tests/unit/virt/fake_host_perf.hpp"
#include "vpmu/base/ensure.hpp"
#include "vpmu/silicon/x86/msrs.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"

namespace vpmu::bench {

namespace {

namespace msr = silicon::x86::msr;
using hostperf::EventState;
using virt::x86::Lbr;
using virt::x86::Pmu;

constexpr std::uint64_t kLbrOn = 1;

struct Nobody final : hostperf::OverflowHandler {
  void on_overflow(hostperf::EventId, std::uint64_t) override {}
};

/// A vCPU with the 32 records of icelake-server, of format 5.
struct GuestLbr : ModelledPerf {
  AcceptingSink sink;
  Pmu pmu{virt::x86::restrict_pmu(model, {.lbr = true}).value(), perf, hostperf::VcpuIndex{0},
          sink};
  Lbr lbr{pmu, perf, hostperf::VcpuIndex{0}};
  Nobody nobody;

  void switch_on() {
    ensure(pmu.write_msr(msr::IA32_DEBUGCTL, kLbrOn, Initiator::kGuest).is_done());
    lbr.before_entry();
    ensure(lbr.passed_through() && lbr.recording());
  }
  /// A pinned event of the host CPU takes the unit.
  void lose() {
    const hostperf::EventAttr attr{
        .config = 0xc4, .pinned = true, .branch_type = hostperf::kBranchAny};
    const auto event = perf.open(attr, hostperf::Target::of(hostperf::HostCpu{0}), nobody);
    perf.enable(event.value());
    lbr.before_entry();
    ensure(!lbr.passed_through());
  }
};

void enter_again(benchmark::State& state, GuestLbr& guest) {
  measure(state, [&] {
    guest.lbr.before_entry();
    benchmark::DoNotOptimize(guest.lbr.recording());
  });
}

void entry_unchanged(benchmark::State& state) {
  GuestLbr guest;
  guest.switch_on();
  enter_again(state, guest);
}
BENCHMARK(entry_unchanged)->Name("pmu/lbr_entry_unchanged");

void entry_without_event(benchmark::State& state) {
  GuestLbr guest;
  guest.lbr.before_entry();
  enter_again(state, guest);
}
BENCHMARK(entry_without_event)->Name("pmu/lbr_entry_without_event");

void entry_lost(benchmark::State& state) {
  GuestLbr guest;
  guest.switch_on();
  guest.lose();
  enter_again(state, guest);
}
BENCHMARK(entry_lost)->Name("pmu/lbr_entry_lost");

/// Reads all records, over and over.
void read_records(benchmark::State& state, GuestLbr& guest) {
  std::uint32_t i = 0;
  measure(state, [&] {
    const MsrIndex from{raw(msr::MSR_LASTBRANCH_0_FROM_IP) + i++ % 32};
    benchmark::DoNotOptimize(guest.lbr.read_msr(from, Initiator::kGuest).value());
  });
}

void rdmsr_intercepted(benchmark::State& state) {
  GuestLbr guest;
  guest.switch_on();
  read_records(state, guest);
}
BENCHMARK(rdmsr_intercepted)->Name("pmu/lbr_rdmsr_intercepted");

void rdmsr_lost(benchmark::State& state) {
  GuestLbr guest;
  guest.switch_on();
  guest.lose();
  read_records(state, guest);
}
BENCHMARK(rdmsr_lost)->Name("pmu/lbr_rdmsr_lost");

/// The host takes the unit and gives it back: the bits of 98 MSRs change, twice. What host perf has
/// to do for that is not in it.
void bitmap_edge(benchmark::State& state) {
  const silicon::x86::CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  hostperf::FakeHostPerf perf;
  perf.model = model.lbr;
  AcceptingSink sink;
  Pmu pmu{virt::x86::restrict_pmu(model, {.lbr = true}).value(), perf, hostperf::VcpuIndex{0},
          sink};
  Lbr lbr{pmu, perf, hostperf::VcpuIndex{0}};
  ensure(pmu.write_msr(msr::IA32_DEBUGCTL, kLbrOn, Initiator::kGuest).is_done());
  lbr.before_entry();
  EventState& event = perf.event(lbr.event()).state;
  measure(state, [&] {
    event = EventState::kError;
    lbr.before_entry();
    event = EventState::kActive;
    lbr.before_entry();
  });
  state.SetItemsProcessed(2 * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(bitmap_edge)->Name("pmu/lbr_bitmap_edge");

}  // namespace
}  // namespace vpmu::bench
