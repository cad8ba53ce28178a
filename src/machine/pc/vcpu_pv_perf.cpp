// SPDX-License-Identifier: MIT
#include "machine/pc/vcpu_pv_perf.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "machine/cannot_hold.hpp"
#include "machine/pc/lvtpc.hpp"

namespace vpmu::machine {

using virt::x86::PvPerf;
using virt::x86::pv::Software;

namespace {
PvPerf::Around around_unit(const VcpuPvPerf::Around& around, virt::x86::PvPerfHost& host) {
  return {.model = around.host,
          .perf = around.perf,
          .vcpu = static_cast<hostperf::VcpuIndex>(around.vcpu),
          .host = &host,
          .areas = around.areas,
          .raw_events = around.raw_events,
          .guest_vendor = around.guest_vendor};
}
}  // namespace

Result<virt::x86::PvPerfConfig> offer_to_guest(const silicon::x86::CpuModel& model,
                                               const silicon::x86::CpuModel& host,
                                               const virt::x86::PvPerfRequest& request) {
  constexpr std::uint32_t kAddressSizes = 0x80000008;
  auto config = virt::x86::offer_pv_perf(host, request);
  if (config) {
    config->physical_bits =
        static_cast<std::uint8_t>(silicon::x86::cpuid(model, {}, kAddressSizes, 0).eax & 0xff);
  }
  return config;
}

Result<void> can_offer(const virt::x86::PvPerfConfig& config, const silicon::x86::CpuModel& model,
                       const silicon::x86::CpuModel& host) {
  if (!config.offered() || !possible(config)) {
    return fail("there is no such PV perf: see --pv-perf");
  }
  auto here = offer_to_guest(model, host, request_for(config));
  if (!here) return tl::unexpected(here.error());
  here->cpuid_base = config.cpuid_base;
  return fits(config, *here);
}

VcpuPvPerf::VcpuPvPerf(const virt::x86::PvPerfConfig& config, const Around& around)
    : around_{around},
      unit_{config, around_unit(around, *this)},
      log_{around.board->clock, unit_, around.vcpu, around.filters},
      alarm_{*this, around.board->clock, Wakes::kNobody},
      waker_{*this, around.board->clock, Wakes::kGuest} {
  unit_.set_observer(&log_);
  sleeping_ = around.cpu->core().waiting_for_sipi;
  if (is_on_host_cpu()) {
    on_host_cpu_ = true;
    unit_.scheduled_in();
  }
}

bool VcpuPvPerf::is_on_host_cpu() const {
  const auto me = static_cast<hostperf::VcpuIndex>(around_.vcpu);
  for (unsigned cpu = 0; cpu < around_.perf->host_cpus(); ++cpu) {
    if (around_.perf->vcpu_on(static_cast<hostperf::HostCpu>(cpu)) == me) return true;
  }
  return false;
}

// ---- What the guest does ------------------------------------------------------------------------

Access VcpuPvPerf::write_msr(MsrIndex msr, std::uint64_t value) {
  const Access access = unit_.write_msr(msr, value, Initiator::kGuest);
  // Now, not before the next instruction: the write that starts an event is itself counted.
  if (access.is_done()) follow();
  return access;
}

Access VcpuPvPerf::hypercall(const PvPerf::Hypercall& call) {
  const Access access = unit_.hypercall(call);
  if (access.is_done()) follow();
  return access;
}

// ---- Time ---------------------------------------------------------------------------------------

void VcpuPvPerf::follow() {
  unit_.before_entry();
  arm();
}

void VcpuPvPerf::time_passed() {
  unit_.time_passed();
  follow();
}

void VcpuPvPerf::arm() {
  arm(alarm_, unit_.due_ns(false));
  arm(waker_, sleeping_ ? unit_.due_ns(true) : PvPerf::kNever);
}

void VcpuPvPerf::arm(Alarm& alarm, std::uint64_t due_ns) {
  if (due_ns == PvPerf::kNever) {
    alarm.disarm();
    return;
  }
  const Clock& clock = around_.board->clock;
  // The first cycle at which now_ns() is that.
  std::uint64_t cycle = clock.to_cycles(due_ns, Clock::kNsPerSecond);
  if (clock.to_ns(cycle) < due_ns) ++cycle;
  alarm.arm(std::max(cycle, clock.now() + 1));
}

void VcpuPvPerf::turn_begins() {
  unit_.scheduled_in();
  if (!std::exchange(on_host_cpu_, true) && stolen_since_ != Timer::kNever) {
    count(Software::kStolenNs, now_ns() - around_.board->clock.to_ns(stolen_since_));
  }
  stolen_since_ = Timer::kNever;
  sleeping_ = false;
  arm();
}

void VcpuPvPerf::scheduled_out() {
  if (!std::exchange(on_host_cpu_, false)) return;
  unit_.scheduled_out();
  if (around_.cpu->runnable()) stolen_since_ = around_.board->clock.now();
  follow();
}

void VcpuPvPerf::sleeps() {
  sleeping_ = true;
  arm();
}

void VcpuPvPerf::may_wake() {
  if (on_host_cpu_ || stolen_since_ != Timer::kNever || !around_.cpu->runnable()) return;
  stolen_since_ = around_.board->clock.now();
}

// ---- What only the hypervisor counts ------------------------------------------------------------

void VcpuPvPerf::count(Software what, std::uint64_t n) {
  if (!unit_.counts(what)) return;
  const bool user = around_.cpu->core().cpl != 0;
  unit_.count(what, n, user ? silicon::Privilege::kUser : silicon::Privilege::kKernel);
}

bool VcpuPvPerf::interrupted() {
  count(Software::kInterrupts, 1);
  return enter();
}

// ---- The hypervisor around the unit -------------------------------------------------------------

std::uint64_t VcpuPvPerf::now_ns() {
  const Clock& clock = around_.board->clock;
  return clock.to_ns(clock.now());
}

std::uint64_t VcpuPvPerf::guest_tsc() {
  return around_.board->clock.now() + around_.cpu->core().tsc_offset;
}

/// Null: not RAM, or the local APIC lies above it.
std::uint8_t* VcpuPvPerf::ram(GuestPhysical address, std::size_t bytes) const {
  if (around_.apic->decodes(raw(address))) return nullptr;
  return around_.board->memory.host(raw(address), bytes);
}

bool VcpuPvPerf::read_ram(GuestPhysical address, std::span<std::uint64_t> words) {
  std::uint8_t* const from = ram(address, words.size_bytes());
  if (from == nullptr) return false;
  auto* const source = static_cast<std::uint64_t*>(static_cast<void*>(from));
  for (std::size_t n = 0; n < words.size(); ++n) {
    words[n] = std::atomic_ref{source[n]}.load(std::memory_order_relaxed);
  }
  return true;
}

std::uint8_t* VcpuPvPerf::writable_ram(GuestPhysical address, std::size_t bytes) {
  return ram(address, bytes);
}

void VcpuPvPerf::ram_written(GuestPhysical address, std::size_t bytes) {
  if (bytes == 0) return;
  const std::size_t page = around_.board->memory.page_index(raw(address));
  const auto first = static_cast<unsigned>(raw(address) & 0xfff);
  const auto last = static_cast<unsigned>(std::min<std::size_t>(first + bytes, 4096) - 1);
  CodePages& code = around_.board->code_pages;
  if (code.hits(page, first, last)) code.written(page);
}

virt::x86::PmiOutcome VcpuPvPerf::raise_pmi(virt::x86::LvtpcAfterPmi after) {
  return deliver_pmi(*around_.apic, after, LocalApic::PmiModes::kFixedAndNmi);
}

// ---- State --------------------------------------------------------------------------------------

VcpuPvPerf::State VcpuPvPerf::save() {
  return {.unit = unit_.save(), .log = log_.save(), .stolen_since = stolen_since_};
}

Result<void> VcpuPvPerf::restore(const State& state) {
  const std::uint64_t now = around_.board->clock.now();
  if (state.stolen_since != Timer::kNever && state.stolen_since > now) {
    return cannot_hold("time without a host CPU", state.stolen_since);
  }
  const bool was_on_host_cpu = std::exchange(on_host_cpu_, is_on_host_cpu());
  if (was_on_host_cpu && !on_host_cpu_) unit_.scheduled_out();
  if (!was_on_host_cpu && on_host_cpu_) unit_.scheduled_in();
  sleeping_ = around_.cpu->core().halted || around_.cpu->core().waiting_for_sipi;
  stolen_since_ = state.stolen_since;
  if (auto unit = unit_.restore(state.unit); !unit) return unit;
  if (auto log = log_.restore(state.log); !log) return log;  // which restoring has written to
  arm();
  return {};
}

}  // namespace vpmu::machine
