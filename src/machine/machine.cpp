// SPDX-License-Identifier: MIT
#include "machine/machine.hpp"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

#include "machine/cannot_hold.hpp"
#include "vpmu/base/ensure.hpp"
#include "vpmu/hostperf/guest_callbacks.hpp"

namespace vpmu::machine {

namespace {
/// Input is asked for once in so many turns: a system call each. Not before the first: a guest that
/// sets up its serial port clears what came in until then.
constexpr unsigned kTurnsPerInput = 64;

/// Timers that fire while everybody is halted without waking anybody. After so many in a row nobody
/// believes that the next one will.
constexpr unsigned kIdleTimers = 100'000;

/// A turn also ends after so many cycles for each of its instructions: a guest may fault for ever
/// without retiring anything.
constexpr std::uint64_t kCyclesPerInstruction = 256;
constexpr std::uint64_t kLongestTurn = std::uint64_t{1} << 48;
}  // namespace

const char* name(Outcome::Reason reason) {
  switch (reason) {
    case Outcome::Reason::kDebugExit: return "debug-exit";
    case Outcome::Reason::kPowerOff: return "power-off";
    case Outcome::Reason::kReset: return "reset";
    case Outcome::Reason::kCrash: return "crash";
    case Outcome::Reason::kInstructions: return "instruction-limit";
    case Outcome::Reason::kHalted: return "halted";
    case Outcome::Reason::kStopped: return "stopped";
    case Outcome::Reason::kPaused: return "paused";
  }
  return "?";
}

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
  if (config.vcpus == 0 || config.vcpus > MachineConfig::kMaxVcpus) {
    return fail(std::to_string(config.vcpus) + " vCPUs: give 1 to " +
                std::to_string(MachineConfig::kMaxVcpus) + " with --smp");
  }
  if (config.host_cpus > MachineConfig::kMaxHostCpus) {
    return fail(std::to_string(config.host_cpus) + " host CPUs: give 1 to " +
                std::to_string(MachineConfig::kMaxHostCpus) + " with --host-cpus");
  }
  if (config.quantum == 0) return fail("quantum of 0 instructions: give at least 1 with --quantum");
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
      console_{console},
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

std::uint64_t Machine::instructions() const {
  std::uint64_t sum = 0;
  for (const auto& vcpu : vcpus_) sum += vcpu->instructions();
  return sum;
}

Outcome Machine::run(const RunLimits& limits) {
  const hostperf::GuestCallbackReader reader;  // profilers ask on this thread
  outcome_.reset();
  while (!outcome_) run_round(limits);
  console_.flush();
  return *outcome_;
}

/// Goes on with the round that schedule_ is in. Returns at its end, or with an outcome.
void Machine::run_round(const RunLimits& limits) {
  for (; schedule_.vcpu < vcpus_.size(); ++schedule_.vcpu) {
    Vcpu& vcpu = *vcpus_[schedule_.vcpu];
    if (!schedule_.in_turn && !vcpu.runnable()) continue;
    run_turn(vcpu, limits);
    if (outcome_) return;
  }
  const bool ran = schedule_.ran;
  ++schedule_.round;
  const bool input = (schedule_.round % kTurnsPerInput == 0 || !ran) && take_input();
  schedule_.vcpu = 0;
  schedule_.ran = false;
  // Input may have woken somebody.
  if (!ran && !input) idle();
  if (!outcome_ && stop_.exchange(false)) end(Outcome::Reason::kStopped, 0);
}

hostperf::HostCpu Machine::host_cpu(const Vcpu& vcpu) const {
  return static_cast<hostperf::HostCpu>(vcpu.index() % host_perf_->host_cpus());
}

/// Tells the vCPU that has to leave for this one.
void Machine::take_host_cpu(const Vcpu& vcpu) {
  if (!config_.pv_perf) return;
  const auto before = host_perf_->vcpu_on(host_cpu(vcpu));
  if (before && static_cast<unsigned>(*before) != vcpu.index()) {
    vcpus_[static_cast<unsigned>(*before)]->scheduled_out();
  }
}

void Machine::run_turn(Vcpu& vcpu, const RunLimits& limits) {
  if (!schedule_.in_turn) {
    take_host_cpu(vcpu);
    host_perf_->switch_in(static_cast<hostperf::VcpuIndex>(vcpu.index()), host_cpu(vcpu));
    host_perf_->tick(host_cpu(vcpu));
    schedule_.in_turn = schedule_.ran = true;
    schedule_.idle_timers = 0;
    vcpu.scheduled_in(host_cpu(vcpu));
    schedule_.turn_begin = vcpu.instructions();
    schedule_.turn_end = board_.clock.now() + longest_turn();
  }
  running_ = &vcpu.cpu();
  const std::uint64_t others = instructions() - vcpu.instructions();
  for (;;) {
    board_.clock.run_due();
    if (turn_is_over(vcpu, limits)) break;
    const std::uint64_t mine = vcpu.instructions();
    const std::uint64_t left = std::min({config_.quantum - (mine - schedule_.turn_begin),
                                         limits.instructions - others - mine - schedule_.stalled,
                                         limits.pause_at - others - mine});
    const std::uint64_t until = std::min(board_.clock.next_due(), schedule_.turn_end);
    // Where somebody only looks on, it is as if there had been no stop.
    const std::uint64_t guests = std::min(board_.clock.next_wake(), schedule_.turn_end);
    const x86::Cpu::Exit exit = vcpu.run(left, until, schedule_.cut);
    schedule_.cut = exit == x86::Cpu::Exit::kBudget && board_.clock.now() < guests &&
                    vcpu.instructions() - schedule_.turn_begin < config_.quantum;
    if (exit == x86::Cpu::Exit::kShutdown) end(Outcome::Reason::kCrash, vcpu.index());
    if (exit == x86::Cpu::Exit::kHalted || exit == x86::Cpu::Exit::kWaiting) {
      schedule_.in_turn = false;
      break;
    }
  }
  running_ = nullptr;
}

bool Machine::turn_is_over(const Vcpu& vcpu, const RunLimits& limits) {
  const std::uint64_t all = instructions();
  // A pause first: what else is to happen here can happen when the run goes on.
  if (limits.pause_at <= all) end(Outcome::Reason::kPaused, 0);
  if (limits.instructions <= all + schedule_.stalled) end(Outcome::Reason::kInstructions, 0);
  if (!outcome_ && stop_.exchange(false)) end(Outcome::Reason::kStopped, 0);
  if (outcome_) return true;
  const std::uint64_t mine = vcpu.instructions();
  const bool used_up = mine - schedule_.turn_begin >= config_.quantum;
  if (!used_up && board_.clock.now() < schedule_.turn_end) return false;
  if (mine == schedule_.turn_begin) schedule_.stalled += config_.quantum;
  schedule_.in_turn = false;
  return true;
}

std::uint64_t Machine::longest_turn() const {
  return std::min(config_.quantum, kLongestTurn) * kCyclesPerInstruction;
}

void Machine::idle() {
  console_.flush();
  const std::uint64_t next = board_.clock.next_wake();
  if (next != Timer::kNever && ++schedule_.idle_timers <= kIdleTimers) {
    board_.clock.set_now(std::max(next, board_.clock.now()));
    board_.clock.run_due();
    return;
  }
  if (!console_.wait_for_input()) end(Outcome::Reason::kHalted, 0);
}

bool Machine::take_input() {
  bool taken = false;
  while (board_.com1.can_receive()) {
    const auto byte = console_.next_input();
    if (!byte) break;
    schedule_.idle_timers = 0;
    board_.com1.receive(*byte);
    taken = true;
  }
  return taken;
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
                     .schedule = schedule_,
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
  if (state.schedule.vcpu >= vcpus_.size()) return cannot_hold("turn", state.schedule.vcpu);
  if (auto board = board_.restore(state.board); !board) return board;
  if (auto host = host_activity_->restore_schedule(state.host, vcpus_.size()); !host) return host;
  if (config_.pv_perf) place_on_host_cpus(state.host);
  for (std::size_t n = 0; n < vcpus_.size(); ++n) {
    auto vcpu = vcpus_[n]->restore(state.vcpus[n]);
    if (vcpu) vcpu = vcpus_[n]->cpu().restore_branches(state.branches[n]);
    if (!vcpu) return fail("vCPU " + std::to_string(n) + ": " + vcpu.error().message);
  }
  // After the vCPUs, whose counters say that they are denied as they take their places.
  if (auto filters = restore_filters(state); !filters) return filters;
  // After the CPUs, which have flushed their TLBs.
  for (std::size_t n = 0; n < vcpus_.size(); ++n) {
    auto caches = vcpus_[n]->memory_model().restore(state.caches[n]);
    if (!caches) return fail("caches of vCPU " + std::to_string(n) + ": " + caches.error().message);
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
  const auto& schedule = state.schedule;
  if (schedule.in_turn && schedule.turn_end > board_.clock.now() + longest_turn()) {
    return cannot_hold("end of the turn", schedule.turn_end);
  }
  schedule_ = schedule;
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

void Machine::stop() {
  stop_ = true;
  x86::Cpu* running = running_;
  if (running != nullptr) running->request_exit();
}

// ---- What the guest asks for --------------------------------------------------------------------

void Machine::end(Outcome::Reason reason, std::uint32_t value) {
  if (outcome_) return;
  outcome_ = Outcome{reason, value};
  x86::Cpu* running = running_;
  if (running != nullptr) running->request_exit();
}

void Machine::exit(std::uint32_t code) {
  end(Outcome::Reason::kDebugExit, code);
}

void Machine::power_off() {
  end(Outcome::Reason::kPowerOff, 0);
}

void Machine::reset() {
  end(Outcome::Reason::kReset, 0);
}

}  // namespace vpmu::machine
