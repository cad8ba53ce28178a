// SPDX-License-Identifier: MIT
#include "machine/arm64_board/machine.hpp"

#include <cerrno>
#include <string>
#include <utility>

#include "machine/cannot_hold.hpp"
#include "machine/machine_shape.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::machine::arm64 {

namespace {
bool has_spe(const MachineConfig& config) {
  return config.spe && config.model->spe.version != 0;
}

virt::arm64::PmuConfig pmu_of(const MachineConfig& config) {
  const auto pmu = config.pmu.value_or(virt::arm64::guest_pmu(*config.model));
  return has_spe(config) ? with_sample_events(pmu, *config.model) : pmu;
}

/// Whether the guest can be what it is on that host.
Result<void> check_host(const MachineConfig& config) {
  if (&config.host() == config.model) return {};
  if (has_spe(config) && config.host().spe != config.model->spe) {
    return fail("a guest of " + std::string{config.model->name} +
                " with SPE cannot run on a host of " + std::string{config.host().name} +
                ": give --guest-spe off");
  }
  const auto pmu = config.pmu.value_or(virt::arm64::guest_pmu(*config.model));
  if (pmu.version == 0) return {};
  return fail("a guest of " + std::string{config.model->name} +
              " with a PMU cannot run on a host of " + std::string{config.host().name} +
              ": give --pmu off, and count from outside");
}
}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(const MachineConfig& config, Console& console) {
  const auto shape = check({.vcpus = config.vcpus,
                            .most_vcpus = MachineConfig::kMaxVcpus,
                            .host_cpus = config.host_cpus,
                            .quantum = config.quantum});
  if (!shape) return tl::unexpected(shape.error());
  if (config.pmu && !possible(*config.pmu)) {
    return fail("there is no such PMU on " + std::string{config.model->name} + ": see --pmu");
  }
  if (auto host = check_host(config); !host) return tl::unexpected(host.error());
  auto memory = GuestMemory::create(config.memory_bytes, kArmMemory);
  if (!memory) return tl::unexpected(memory.error());
  std::unique_ptr<Machine> machine{new Machine{config, std::move(*memory), console}};
  if (auto spe = machine->attach_spe(); !spe) return tl::unexpected(spe.error());
  const auto opened = machine->host_activity_->open(config.host_events);
  if (!opened) return tl::unexpected(opened.error());
  return machine;
}

Machine::Machine(const MachineConfig& config, GuestMemory memory, Console& console)
    : config_{config},
      board_{std::move(memory), *config.model, config.vcpus, {this, &power_}, console},
      pmu_config_{pmu_of(config)} {
  std::vector<hostperf::ModelledVcpu> modelled;
  std::vector<TurnTaker*> takers;
  for (unsigned i = 0; i < config.vcpus; ++i) {
    const Vcpu::Config vcpu{
        .model = config.model, .index = i, .vcpus = config.vcpus, .events = this};
    vcpus_.push_back(std::make_unique<Vcpu>(vcpu, board_));
    modelled.push_back({&vcpus_.back()->totals(), &vcpus_.back()->deadlines()});
    takers.push_back(vcpus_.back().get());
  }
  const hostperf::ModelledHost host{
      .hz = config.model->hz, .cpus = config.host_cpus, .clock = this};
  host_perf_ = std::make_unique<hostperf::ModelledHostPerf>(config.host(), modelled, host);
  host_activity_ = std::make_unique<HostActivity>(*host_perf_, board_.clock);
  for (const auto& vcpu : vcpus_) vcpu->attach_pmu(pmu_config_, *host_perf_);
  turns_ = std::make_unique<Turns>(Turns::Around{.vcpus = takers,
                                                 .clock = &board_.clock,
                                                 .perf = host_perf_.get(),
                                                 .console = &console,
                                                 .input = &board_.pl011,
                                                 .quantum = config.quantum});
}

Result<void> Machine::attach_spe() {
  if (!has_spe(config_)) return {};
  const SpeOffer& offer = *config_.spe;
  const unsigned cpus = host_perf_->host_cpus();
  const std::string all = cpus == 1 ? "0" : "0-" + std::to_string(cpus - 1);
  const std::string list = offer.host_cpus.value_or(all);
  const auto with_unit = virt::parse_cpu_list(list, cpus);
  if (!with_unit) return fail("--spe-cpus: " + with_unit.error().message);
  spe_vm_.emplace(virt::arm64::SpeVmConfig{.model = config_.model->spe,
                                           .cpus = *with_unit,
                                           .flavour = offer.flavour,
                                           .perfmon_capable = offer.physical_time,
                                           .exclusive = offer.exclusive,
                                           .max_buffer_bytes = offer.max_buffer_bytes});
  if (!spe_vm_->usable()) return {};
  spe_vm_->set_interrupt_controller(virt::arm64::SpeVm::InterruptController::kInitialised);
  auto memory = SpeMemory::create(offer.memory, board_.memory, board_.cluster);
  if (!memory) return tl::unexpected(memory.error());
  spe_memory_ = std::move(*memory);
  for (const auto& vcpu : vcpus_) {
    auto done = vcpu->attach_spe(*spe_vm_, *spe_memory_, offer.supported_cpus.c_str());
    if (!done) return done;
  }
  return {};
}

Machine::~Machine() {
  // PMUs hold events of host perf, which looks at the vCPUs' totals.
  for (const auto& vcpu : vcpus_) vcpu->detach_pmu();
}

boot::DeviceTreeBoard Machine::tree_board() const {
  const bool real = config_.model->implementer() == silicon::arm64::Implementer::kArm;
  return {.vcpus = config_.vcpus,
          .cpu = real ? "arm," + std::string{config_.model->name} : "arm,armv8",
          .pmu = pmu_config_.version != 0,
          .spe = vcpus_.front()->spe() != nullptr};
}

Result<void> Machine::load(const boot::LoadRequest& request) {
  return boot::load_arm64(request, tree_board(), board_.memory).map([this](const auto& at) {
    start(at);
  });
}

Result<void> Machine::load(const boot::Image& image, const boot::LoadRequest& request) {
  return boot::load_arm64(image, request, tree_board(), board_.memory).map([this](const auto& at) {
    start(at);
  });
}

void Machine::start(const boot::Arm64Start& at) {
  start_ = at;
  vcpus_.front()->power_on(at.entry, at.device_tree);
}

void Machine::set_trace(TraceSink* trace) {
  for (const auto& vcpu : vcpus_) vcpu->set_trace(trace);
}

void Machine::set_event_filter(GuestFilter filter) {
  const std::uint32_t number = filter_ ? filter_->number + 1 : 0;
  if (filter_) past_filters_.push_back(std::move(*filter_));
  if (past_filters_.size() > kMostPastFilters) past_filters_.erase(past_filters_.begin());
  filter_ = std::move(filter);
  filter_->since = instructions();
  filter_->number = number;
  let_count_what_filter_admits();
}

void Machine::let_count_what_filter_admits() {
  virt::arm64::EventFilter* const filter = filter_->filter ? &*filter_->filter : nullptr;
  if (filter != nullptr) filter->vm_has_run();  // soon: nothing changes it any more
  for (const auto& vcpu : vcpus_) vcpu->set_event_gate(filter, filter_->number);
}

ErrnoResult<void> Machine::set_spe_stop(virt::arm64::SpeStopRequest request) {
  for (const auto& vcpu : vcpus_) {
    if (vcpu->spe() == nullptr) return refuse(ENXIO, "the guest has no SPE");
    if (auto stopped = vcpu->spe()->set_stop(request); !stopped) return stopped;
  }
  return {};
}

GuestFacts Machine::facts() const {
  return {.architecture = Architecture::kArm64,
          .cpu_model = config_.model->name,
          .host_cpu_model = config_.host().name,
          .hz = config_.model->hz,
          .vcpus = config_.vcpus,
          .memory_bytes = config_.memory_bytes,
          .quantum = config_.quantum};
}

// ---- What the guest asks for --------------------------------------------------------------------

unsigned Machine::Power::vcpus() const {
  return machine_.config_.vcpus;
}

PowerControl::PowerState Machine::Power::power_state(unsigned vcpu) const {
  return machine_.vcpus_[vcpu]->cpu().powered() ? PowerState::kOn : PowerState::kOff;
}

bool Machine::Power::is_entry(std::uint64_t address) const {
  constexpr std::uint64_t kInstructionBytes = 4;
  return address % kInstructionBytes == 0 &&
         machine_.board_.memory.host(address, kInstructionBytes) != nullptr;
}

void Machine::Power::power_on(unsigned vcpu, std::uint64_t entry, std::uint64_t context) {
  machine_.vcpus_[vcpu]->power_on(entry, context);
}

void Machine::Power::power_off(unsigned vcpu) {
  machine_.vcpus_[vcpu]->power_off();
}

/// PSCI lets a CPU wake without a reason, so that it may as well not sleep.
void Machine::Power::wait_for_interrupt(unsigned /*vcpu*/) {}

void Machine::send_event() {
  for (const auto& vcpu : vcpus_) vcpu->cpu().set_event();
}

// ---- State --------------------------------------------------------------------------------------

namespace {
GuestFilterState save(const GuestFilter& filter) {
  if (!filter.filter) return {filter.name, std::nullopt, filter.since};
  const auto ranges = filter.filter->ranges();
  return {filter.name, std::vector(ranges.begin(), ranges.end()), filter.since};
}

Result<GuestFilter> made_of(const GuestFilterState& state, std::uint8_t pmu_version) {
  GuestFilter filter{.name = state.name, .filter = {}, .since = state.since};
  if (!state.ranges) return filter;
  filter.filter.emplace(pmu_version);
  for (const virt::arm64::FilterRange& range : *state.ranges) {
    if (!filter.filter->set(range)) return fail("an event filter is not one");
  }
  return filter;
}
}  // namespace

Result<void> Machine::restore_filters(const MachineState& state) {
  if (!state.filter) return {};
  for (const GuestFilterState& past : state.past_filters) {
    auto filter = made_of(past, config_.model->pmu.version);
    if (!filter) return tl::unexpected(filter.error());
    filter->number = static_cast<std::uint32_t>(past_filters_.size());
    past_filters_.push_back(std::move(*filter));
  }
  auto filter = made_of(*state.filter, config_.model->pmu.version);
  if (!filter) return tl::unexpected(filter.error());
  filter->number = static_cast<std::uint32_t>(past_filters_.size());
  filter_ = std::move(*filter);
  let_count_what_filter_admits();
  return {};
}

MachineState Machine::save() {
  MachineState state{.protocol = start_.protocol,
                     .schedule = turns_->save(),
                     .board = board_.save(),
                     .vcpus = {},
                     .host = {},
                     .caches = {},
                     .last_level_cache = board_.last_level_cache.save(),
                     .filter = {}};
  if (filter_) state.filter = arm64::save(*filter_);
  for (const GuestFilter& past : past_filters_) state.past_filters.push_back(arm64::save(past));
  for (const auto& vcpu : vcpus_) {
    state.vcpus.push_back(vcpu->save());
    state.caches.push_back(vcpu->memory_model().save());
  }
  state.host = host_activity_->save();
  if (spe_memory_) state.spe_memory = spe_memory_->save();
  for (const auto& vcpu : vcpus_) {
    const GuestSpe* const spe = vcpu->spe();
    if (spe != nullptr && spe->buffer_pins() != nullptr) {
      state.buffer_pins.push_back(spe->buffer_pins()->save());
    }
  }
  return state;
}

/// After the CPUs, whose tables say which buffers are as they were.
Result<void> Machine::restore_spe_memory(const MachineState& state) {
  if (state.spe_memory.has_value() != (spe_memory_ != nullptr)) {
    return fail("memory for SPE: one has it, the other has not");
  }
  if (!spe_memory_) return {};
  const bool pins = spe_memory_->offer().lock == SpeLock::kBuffer;
  if (state.buffer_pins.size() != (pins ? vcpus_.size() : 0)) {
    return cannot_hold("vCPUs with pinned buffers", state.buffer_pins.size());
  }
  auto memory = in_part("memory for SPE", spe_memory_->restore(*state.spe_memory));
  for (std::size_t n = 0; memory && n < state.buffer_pins.size(); ++n) {
    memory = in_part("profiling buffers of vCPU " + std::to_string(n),
                     vcpus_[n]->spe()->buffer_pins()->restore(state.buffer_pins[n]));
  }
  return memory;
}

Result<void> Machine::restore(const MachineState& state) {
  if (state.vcpus.size() != vcpus_.size()) return cannot_hold("vCPUs", state.vcpus.size());
  if (state.caches.size() != vcpus_.size()) return cannot_hold("caches", state.caches.size());
  if (auto turns = turns_->check(state.schedule); !turns) return turns;
  if (auto board = board_.restore(state.board); !board) return board;
  if (auto host = host_activity_->restore_schedule(state.host, vcpus_.size()); !host) return host;
  // Before the PMUs, which ask it.
  if (auto filters = restore_filters(state); !filters) return filters;
  for (std::size_t n = 0; n < vcpus_.size(); ++n) {
    auto vcpu = vcpus_[n]->restore(state.vcpus[n]);
    if (!vcpu) return in_part("vCPU " + std::to_string(n), std::move(vcpu));
  }
  if (auto memory = restore_spe_memory(state); !memory) return memory;
  // After the CPUs, which have flushed their TLBs.
  for (std::size_t n = 0; n < vcpus_.size(); ++n) {
    auto caches = vcpus_[n]->memory_model().restore(state.caches[n]);
    if (!caches) return in_part("caches of vCPU " + std::to_string(n), std::move(caches));
  }
  if (auto cache = board_.last_level_cache.restore(state.last_level_cache); !cache) return cache;
  // The guests' counters take their place among the host's events, also those of vCPUs that do not
  // run next.
  if (!config_.host_events.empty()) {
    for (const auto& vcpu : vcpus_) vcpu->program_counters();
  }
  if (auto host = host_activity_->restore_counts(state.host); !host) return host;
  for (unsigned n = 0; n < host_perf_->host_cpus(); ++n) {
    const auto cpu = static_cast<hostperf::HostCpu>(n);
    const auto vcpu = host_perf_->vcpu_on(cpu);
    if (vcpu) vcpus_[static_cast<std::size_t>(*vcpu)]->restore_host_cpu(cpu);
  }
  if (auto turns = turns_->restore(state.schedule); !turns) return turns;
  start_.protocol = state.protocol;
  return {};
}

}  // namespace vpmu::machine::arm64
