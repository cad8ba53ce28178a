// SPDX-License-Identifier: MIT
#include "machine/machine.hpp"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

#include "machine/cannot_hold.hpp"
#include "machine/machine_shape.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::machine {

namespace {
/// Whether the guest can be what it is on that host.
Result<void> check_host(const MachineConfig& config) {
  const silicon::x86::CpuModel& host = config.host();
  const auto pmu = config.pmu.value_or(virt::x86::guest_pmu(*config.model));
  if (&host != config.model && pmu.version != 0) {
    return fail("a guest of " + std::string{config.model->name} +
                " with a PMU cannot run on a host of " + std::string{host.name} +
                ": give --pmu off, and let it count with --pv-perf");
  }
  if (!config.pv_perf) return {};
  return can_offer(*config.pv_perf, *config.model, host);
}
}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(const MachineConfig& config, Console& console) {
  const auto shape = check({.vcpus = config.vcpus,
                            .most_vcpus = MachineConfig::kMaxVcpus,
                            .host_cpus = config.host_cpus,
                            .quantum = config.quantum});
  if (!shape) return tl::unexpected(shape.error());
  if (config.pmu && (!possible(*config.pmu) || config.pmu->vendor != config.model->vendor)) {
    return fail("there is no such PMU on " + std::string{config.model->name} + ": see --pmu");
  }
  if (auto host = check_host(config); !host) return tl::unexpected(host.error());
  auto memory = GuestMemory::create(config.memory_bytes);
  if (!memory) return tl::unexpected(memory.error());
  std::unique_ptr<Machine> machine{new Machine{config, std::move(*memory), console}};
  const auto opened = machine->host_activity_->open(config.host_events);
  if (!opened) return tl::unexpected(opened.error());
  return machine;
}

Machine::Machine(const MachineConfig& config, GuestMemory memory, Console& console)
    : config_{config},
      board_{std::move(memory), *config.model, config.vcpus, *this, console},
      pmu_config_{config.pmu.value_or(virt::x86::guest_pmu(*config.model))} {
  std::vector<hostperf::ModelledVcpu> modelled;
  for (unsigned i = 0; i < config.vcpus; ++i) {
    const Vcpu::Config vcpu{config.model, {i, config.vcpus},   config.trace,
                            &filter_log_, config.lbr_observer, config.pass_lbr_through};
    vcpus_.push_back(std::make_unique<Vcpu>(vcpu, board_));
    modelled.push_back(
        {&vcpus_.back()->totals(), &vcpus_.back()->deadlines(), &vcpus_.back()->conditions()});
  }
  const hostperf::ModelledHost host{
      .hz = config.model->hz, .cpus = config.host_cpus, .clock = this};
  host_perf_ = std::make_unique<hostperf::ModelledHostPerf>(config.host(), modelled, host);
  if (config.pv_perf) pv_perf_areas_ = std::make_unique<virt::x86::PvPerfAreas>();
  host_activity_ = std::make_unique<HostActivity>(*host_perf_, board_.clock);
  for (const auto& vcpu : vcpus_) {
    vcpu->attach_pmu(pmu_config_, *host_perf_);
    if (config.pv_perf) {
      vcpu->attach_pv_perf(*config.pv_perf, *pv_perf_areas_, config_.host(),
                           config_.pv_perf_raw.get());
    }
    vcpu->attach_filter(filter_slot_);
  }
  std::vector<TurnTaker*> takers;
  for (const auto& vcpu : vcpus_) takers.push_back(vcpu.get());
  turns_ = std::make_unique<Turns>(Turns::Around{.vcpus = takers,
                                                 .clock = &board_.clock,
                                                 .perf = host_perf_.get(),
                                                 .console = &console,
                                                 .input = &board_.com1,
                                                 .quantum = config.quantum});
}

Machine::~Machine() {
  // PMUs hold events of host perf, which looks at the vCPUs' totals.
  for (const auto& vcpu : vcpus_) vcpu->detach_pmu();
}

Result<void> Machine::load(const boot::LoadRequest& request) {
  return boot::load(request, board_.memory).map([this](const auto& state) { start(state); });
}

Result<void> Machine::load(const boot::Image& image, const boot::LoadRequest& request) {
  return boot::load(image, request, board_.memory).map([this](const auto& state) { start(state); });
}

void Machine::start(const boot::BootState& state) {
  boot_state_ = state;
  x86::Cpu& cpu = vcpus_.front()->cpu();
  boot::apply(state, cpu.core());
  cpu.state_changed();
}

GuestFacts Machine::facts() const {
  return {.architecture = Architecture::kX86,
          .cpu_model = config_.model->name,
          .host_cpu_model = config_.host().name,
          .hz = config_.model->hz,
          .vcpus = config_.vcpus,
          .memory_bytes = config_.memory_bytes,
          .quantum = config_.quantum};
}

// ---- Event filter -------------------------------------------------------------------------------

void Machine::set_event_filter(std::unique_ptr<const virt::x86::EventFilter> filter,
                               std::string name) {
  ensure(filter == nullptr || filter->vendor() == config_.host().vendor);
  filter_log_.begin(filter.get(), std::move(name), instructions());
  filter_slot_.publish(std::move(filter));
  // Their status does not change if it denies them, too.
  for (const auto& vcpu : vcpus_) vcpu->note_denied();
}

// ---- State --------------------------------------------------------------------------------------

MachineState Machine::save() {
  MachineState state{.protocol = boot_state_.protocol,
                     .schedule = turns_->save(),
                     .board = board_.save(),
                     .vcpus = {},
                     .host = {},
                     .caches = {},
                     .last_level_cache = board_.last_level_cache.save(),
                     .branches = {},
                     .filters = filter_log_.save()};
  for (const auto& vcpu : vcpus_) {
    state.vcpus.push_back(vcpu->save());
    state.caches.push_back(vcpu->memory_model().save());
    state.branches.push_back(vcpu->cpu().save_branches());
  }
  state.host = host_activity_->save();
  return state;
}

Result<void> Machine::restore(const MachineState& state) {
  if (state.vcpus.size() != vcpus_.size()) return cannot_hold("vCPUs", state.vcpus.size());
  if (state.caches.size() != vcpus_.size()) return cannot_hold("caches", state.caches.size());
  if (state.branches.size() != vcpus_.size()) {
    return cannot_hold("branch logs", state.branches.size());
  }
  if (auto turns = turns_->check(state.schedule); !turns) return turns;
  if (auto board = board_.restore(state.board); !board) return board;
  if (auto host = host_activity_->restore_schedule(state.host, vcpus_.size()); !host) return host;
  if (config_.pv_perf) place_on_host_cpus(state.host);
  for (std::size_t n = 0; n < vcpus_.size(); ++n) {
    auto vcpu = vcpus_[n]->restore(state.vcpus[n]);
    if (vcpu) vcpu = vcpus_[n]->cpu().restore_branches(state.branches[n]);
    if (!vcpu) return in_part("vCPU " + std::to_string(n), std::move(vcpu));
  }
  // After the vCPUs, whose counters say that they are denied as they take their places.
  if (auto filters = restore_filters(state); !filters) return filters;
  // After the CPUs, which have flushed their TLBs.
  for (std::size_t n = 0; n < vcpus_.size(); ++n) {
    auto caches = vcpus_[n]->memory_model().restore(state.caches[n]);
    if (!caches) return in_part("caches of vCPU " + std::to_string(n), std::move(caches));
  }
  if (auto cache = board_.last_level_cache.restore(state.last_level_cache); !cache) return cache;
  // The guests' counters take their place among the host's events, also those of vCPUs that do not
  // run next; and time passes for their PV perf events.
  if (!config_.host_events.empty() || config_.pv_perf) {
    for (const auto& vcpu : vcpus_) vcpu->program_counters();
  }
  if (auto host = host_activity_->restore_counts(state.host); !host) return host;
  for (std::size_t n = 0; n < vcpus_.size(); ++n) {
    auto conditions = vcpus_[n]->restore_conditions(state.vcpus[n].conditions);
    if (!conditions) return conditions;
  }
  if (auto turns = turns_->restore(state.schedule); !turns) return turns;
  boot_state_.protocol = state.protocol;
  return {};
}

/// Before the vCPUs are restored, whose PV perf takes over times: they pass for who is on a host
/// CPU.
void Machine::place_on_host_cpus(const HostActivityState& state) {
  for (unsigned cpu = 0; cpu < state.cpus.size(); ++cpu) {
    if (state.cpus[cpu].vcpu < 0) continue;
    host_perf_->switch_in(static_cast<hostperf::VcpuIndex>(state.cpus[cpu].vcpu),
                          static_cast<hostperf::HostCpu>(cpu));
  }
}

Result<void> Machine::restore_filters(const MachineState& state) {
  using silicon::x86::Vendor;
  const auto& pv_perf = state.vcpus.front().pv_perf;
  const Vendor here = config_.host().vendor;
  const Vendor there = pv_perf ? pv_perf->unit.host_vendor : here;
  std::unique_ptr<const virt::x86::EventFilter> filter;
  if (!state.filters.empty() && state.filters.back().image) {
    if (here != there) {
      return fail(std::string{"its event filter is one of "} + silicon::x86::name(there) +
                  "'s events, and this host is of " + silicon::x86::name(here) +
                  "; save it where --filter-at has lifted the filter, and give this host's with "
                  "--filter");
    }
    auto made = virt::x86::EventFilter::create(*state.filters.back().image, here);
    if (!made) return fail("its event filter is not one");
    filter = std::move(*made);
  }
  auto restored = filter_log_.restore(state.filters, filter.get(), there, config_.vcpus);
  if (!restored) return restored;
  filter_slot_.publish(std::move(filter));
  return {};
}

}  // namespace vpmu::machine
