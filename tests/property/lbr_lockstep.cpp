// SPDX-License-Identifier: MIT
#include "property/lbr_lockstep.hpp"

#include <fmt/format.h>

#include "property/lbr_drawing.hpp"

namespace vpmu::property {
namespace {

using hostperf::HostCpu;
using hostperf::VcpuIndex;
using Difference = LbrLockstep::Difference;
using Kind = LbrOperation::Kind;

constexpr HostCpu host_cpu(unsigned number) {
  return HostCpu{static_cast<std::int32_t>(number)};
}

}  // namespace

LbrLockstep::LbrLockstep(const GuestLbrSetup& setup) : setup_{setup} {
  for (unsigned n = 0; n < kVcpus; ++n) guests_[n] = std::make_unique<LbrGuest>(setup, n);
  make_host(setup.host_cpus);
  for (const auto& guest : guests_) {
    if (const auto cpu = guest->cpu()) guest->scheduled_in(*cpu);
  }
}

/// A guest's devices go before the host, and what it retires behind it.
LbrLockstep::~LbrLockstep() {
  for (const auto& guest : guests_) guest->remove_devices();
}

void LbrLockstep::make_host(unsigned cpus) {
  std::array<hostperf::ModelledVcpu, kVcpus> silicon{};
  for (unsigned n = 0; n < kVcpus; ++n) silicon[n] = guests_[n]->silicon();
  host_.reset();
  perf_ = std::make_unique<hostperf::ModelledHostPerf>(
      *setup_.silicon, silicon, hostperf::ModelledHost{.cpus = cpus, .clock = &clock_});
  host_ = std::make_unique<LbrHostEvents>(*perf_, kVcpus);
  for (unsigned n = 0; n < kVcpus; ++n) {
    const bool runs = n < cpus;
    guests_[n]->attach(*perf_, *host_, runs ? std::optional{n} : std::nullopt);
    if (runs) host_->runs(n, n);
  }
}

Difference LbrLockstep::step(const LbrOperation& operation) {
  clock_.now += 1000;
  const bool of_guest = operation.kind <= Kind::kReset;
  Difference difference = of_guest ? do_to_guest(operation) : do_to_host(operation);
  if (difference) return fmt::format("{}: {}", describe(operation), *difference);
  host_->follow();
  for (const auto& guest : guests_) guest->settle();
  return host_->check();
}

Difference LbrLockstep::do_to_guest(const LbrOperation& operation) {
  const unsigned vcpu = operation.who % kVcpus;
  LbrGuest& guest = *guests_[vcpu];
  switch (operation.kind) {
    case Kind::kReadMsr: return running(vcpu).read(operation.where);
    case Kind::kWriteMsr: return running(vcpu).write(operation.where, operation.value);
    case Kind::kHostReadMsr: return guest.host_read(operation.where);
    case Kind::kHostWriteMsr: return guest.host_write(operation.where, operation.value);
    case Kind::kBranches: return branches(vcpu, operation);
    case Kind::kPmi: return running(vcpu).overflow();
    case Kind::kSwitchIn: switch_in(vcpu, operation.where); return {};
    case Kind::kSwitchOut: switch_out(vcpu); return {};
    case Kind::kDamage: return guest.restore_damaged(operation.where, operation.value);
    default: return guest.reset();
  }
}

Difference LbrLockstep::do_to_host(const LbrOperation& operation) {
  constexpr std::uint64_t kLongerThanAnInterval = 100'000'000;
  const unsigned slot = operation.who % LbrHostEvents::kSlots;
  const unsigned cpu = operation.who % perf_->host_cpus();
  switch (operation.kind) {
    case Kind::kHostBranches: host_branches(cpu, operation); return {};
    case Kind::kTick:
      clock_.now += kLongerThanAnInterval;
      perf_->tick(host_cpu(cpu));
      return {};
    case Kind::kTrace: host_->trace(cpu, operation.where != 0); return {};
    case Kind::kOpenEvent:
      host_->open(slot, HostEventRequest::decode(operation.value));
      host_->enable(slot);
      return {};
    case Kind::kEnableEvent: host_->enable(slot); return {};
    case Kind::kDisableEvent: host_->disable(slot); return {};
    case Kind::kCloseEvent: host_->close(slot); return {};
    default: return migrate(operation.where);
  }
}

LbrGuest& LbrLockstep::running(unsigned vcpu) {
  if (!guests_[vcpu]->cpu()) switch_in(vcpu, vcpu);
  return *guests_[vcpu];
}

void LbrLockstep::switch_in(unsigned vcpu, unsigned cpu) {
  cpu %= perf_->host_cpus();
  if (guests_[vcpu]->cpu() != cpu) {
    for (unsigned other = 0; other < kVcpus; ++other) {
      if (guests_[other]->cpu() == cpu) guests_[other]->scheduled_out();
    }
    if (const auto before = guests_[vcpu]->cpu()) host_->runs(*before, {});
    host_->runs(cpu, vcpu);
  }
  perf_->switch_in(VcpuIndex{vcpu}, host_cpu(cpu));
  guests_[vcpu]->scheduled_in(cpu);
  host_->follow();
}

void LbrLockstep::switch_out(unsigned vcpu) {
  if (const auto before = guests_[vcpu]->cpu()) host_->runs(*before, {});
  perf_->switch_out(VcpuIndex{vcpu});
  guests_[vcpu]->scheduled_out();
}

Difference LbrLockstep::branches(unsigned vcpu, const LbrOperation& operation) {
  LbrGuest& guest = running(vcpu);
  RandomChoices random{operation.value};
  for (std::uint32_t n = 0; n < operation.where; ++n) {
    if (Difference difference = guest.retire(draw_branch(random), branches_++)) return difference;
  }
  return {};
}

/// What the host does itself while it records.
void LbrLockstep::host_branches(unsigned cpu, const LbrOperation& operation) {
  RandomChoices random{operation.value};
  for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
    if (guests_[vcpu]->cpu() != cpu || !perf_->records_for_host(host_cpu(cpu))) continue;
    for (std::uint32_t n = 0; n < operation.where; ++n) {
      const auto branch =
          branch_of(draw_branch(random), kHostMark, branches_++, guests_[vcpu]->cycles());
      perf_->lbr_unit(host_cpu(cpu))->hand_over();
      perf_->lbr_unit(host_cpu(cpu))->record(branch);
      host_->recorded(cpu, vcpu, branch);
    }
  }
}

Difference LbrLockstep::migrate(unsigned cpus) {
  std::array<LbrGuest::State, kVcpus> states;
  for (unsigned n = 0; n < kVcpus; ++n) {
    if (Difference difference = guests_[n]->detach(states[n])) return difference;
  }
  make_host(cpus);
  for (unsigned n = 0; n < kVcpus; ++n) {
    if (Difference difference = guests_[n]->restore(states[n])) return difference;
    if (const auto cpu = guests_[n]->cpu()) guests_[n]->scheduled_in(*cpu);
  }
  return {};
}

Difference LbrLockstep::compare_all() {
  for (const auto& guest : guests_) {
    if (Difference difference = guest->compare_all()) return difference;
  }
  return host_->check();
}

Difference LbrLockstep::finish() {
  if (Difference difference = compare_all()) return difference;
  for (const auto& guest : guests_) {
    if (Difference difference = guest->reset()) return difference;
  }
  if (Difference difference = compare_all()) return difference;
  std::array<LbrGuest::State, kVcpus> states;
  for (unsigned n = 0; n < kVcpus; ++n) {
    if (Difference difference = guests_[n]->detach(states[n])) return difference;
  }
  return {};
}

}  // namespace vpmu::property
