// SPDX-License-Identifier: MIT
#include "machine/profiler/profiler.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "machine/profiler/opening.hpp"
#include "machine/profiler/sampling_rate.hpp"
#include "vpmu/hostperf/guest_callbacks.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::machine {

using hostperf::EventAttr;
using hostperf::EventId;
using hostperf::EventPast;
using hostperf::EventState;
using hostperf::GuestSnapshot;
using hostperf::HostCpu;
using hostperf::ModelledHostPerf;
using hostperf::Sample;
using hostperf::SampledMode;
using hostperf::Target;
using hostperf::VcpuIndex;
using silicon::x86::LbrStack;

namespace {
/// Machine time between looks for samples that do not come, by cycles in a second.
constexpr std::uint64_t kShortestLook = 100'000, kLongestLook = 100;

/// An event on one of its targets.
struct Opened {
  std::size_t event = 0;
  Target target{};
  EventId id = hostperf::kNoEvent;
  std::uint64_t sampled = 0;         ///< counts that samples stand for
  std::uint64_t sampled_cycles = 0;  ///< of running() at the last one
  std::optional<SamplingRate> rate;  ///< none: the period is fixed
};

SampledMode guest_mode(bool user) {
  return user ? SampledMode::kGuestUser : SampledMode::kGuestKernel;
}
}  // namespace

struct Profiler::Private final : Timer, hostperf::OverflowHandler {
  Private(GuestMachine& machine_in, const ProfilerConfig& config_in, hostperf::SampleSink& sink_in)
      : Timer{machine_in.clock(), Wakes::kNobody},
        machine{machine_in},
        perf{machine_in.host_perf()},
        config{config_in},
        sink{sink_in},
        samples(config_in.events.size()) {}
  ~Private() {
    for (const Opened& each : opened) perf.close(each.id);
  }
  Private(const Private&) = delete;
  Private& operator=(const Private&) = delete;

  Result<void> open();
  Result<void> open(std::size_t event, Target target);
  void on_overflow(EventId id, std::uint64_t cookie) override;
  void on_timer() override;

  [[nodiscard]] const ObservedVcpu* interrupted(const Opened& each, Sample& sample) const;
  void locate(const ObservedVcpu& vcpu, const SamplingEvent& event, Sample& sample);
  void record_branches(const Opened& each, Sample& sample);
  /// Counts that the sample which is due stands for. Goes on from there.
  std::uint64_t take_counts(Opened& each);
  [[nodiscard]] std::uint64_t running(const Opened& each, const EventPast& past) const;
  void look_again();

  GuestMachine& machine;
  ModelledHostPerf& perf;
  const ProfilerConfig config;
  hostperf::SampleSink& sink;
  std::vector<Opened> opened;
  std::vector<std::uint64_t> samples;  ///< by event
  std::uint64_t look_every = kNever;   ///< cycles
  std::array<std::uint64_t, ProfilerConfig::kDeepest> chain{};
  std::array<LbrStack::Decoded, silicon::x86::LbrModel::kMaxDepth> branches{};
};

// ---- Opening ------------------------------------------------------------------------------------

namespace {
Result<void> check(const ProfilerConfig& config) {
  if (config.events.empty()) return fail("there is no event to sample; give one");
  if (auto checked = check_number(config.events.size()); !checked) return checked;
  if (config.callchain_depth > ProfilerConfig::kDeepest) {
    return fail("call chains of " + std::to_string(config.callchain_depth) +
                " addresses: give at most " + std::to_string(ProfilerConfig::kDeepest));
  }
  for (const SamplingEvent& event : config.events) {
    if (event.attr.period == 0 && event.frequency == 0) {
      return fail("event '" + event.name + "': give a period or a frequency");
    }
  }
  return {};
}
}  // namespace

Result<void> Profiler::Private::open() {
  const bool on_cpus = config.on_host_cpus;
  const std::uint32_t targets = on_cpus ? perf.host_cpus() : machine.facts().vcpus;
  for (std::size_t event = 0; event < config.events.size(); ++event) {
    for (std::uint32_t n = 0; n < targets; ++n) {
      const Target target =
          on_cpus ? Target::of(static_cast<HostCpu>(n)) : Target::of(VcpuIndex{n});
      if (auto done = open(event, target); !done) return done;
    }
  }
  for (const Opened& each : opened) perf.enable(each.id);
  look_again();
  return {};
}

Result<void> Profiler::Private::open(std::size_t number, Target target) {
  const SamplingEvent& event = config.events[number];
  Opened opening{.event = number, .target = target, .rate = {}};
  EventAttr attr = event.attr;
  attr.cookie = opened.size();
  if (event.frequency != 0) {
    const std::uint64_t hz = machine.facts().hz;
    opening.rate.emplace(hz, event.frequency, attr.period);
    attr.period = opening.rate->period();
    const std::uint64_t between =
        std::clamp(hz / event.frequency, hz / kShortestLook, hz / kLongestLook);
    look_every = std::min(look_every, between);
  }
  const auto id = open_event(machine, event.name, attr, target, *this);
  if (!id) return tl::unexpected(id.error());
  opening.id = *id;
  opening.sampled_cycles = running(opening, perf.past(*id));
  opened.push_back(opening);
  return {};
}

// ---- Sampling -----------------------------------------------------------------------------------

/// The cycles of guests for which the event was on a counter; of a host CPU's event those of all
/// that are at home there, whatever it shared its counter with.
std::uint64_t Profiler::Private::running(const Opened& each, const EventPast& past) const {
  if (each.target.kind == Target::Kind::kVcpu) return past.time_running_cycles;
  std::uint64_t cycles = 0;
  for (std::size_t n = each.target.index; n < machine.facts().vcpus; n += perf.host_cpus()) {
    cycles += machine.observed(static_cast<unsigned>(n))
                  .totals()
                  .read(silicon::RawEvent::kCycles, silicon::kAllPrivileges);
  }
  return cycles;
}

std::uint64_t Profiler::Private::take_counts(Opened& each) {
  const EventPast past = perf.past(each.id);
  std::uint64_t counts = past.count - each.sampled;
  if (each.rate) {
    const std::uint64_t cycles = running(each, past);
    each.rate->sampled(counts, cycles - each.sampled_cycles);
    each.sampled_cycles = cycles;
    perf.set_period(each.id, each.rate->period());
  } else {
    // One instruction may have been good for several periods, and for a part of the next.
    counts -= counts % config.events[each.event].attr.period;
  }
  each.sampled += counts;
  return counts;
}

/// Null: no vCPU is on the CPU.
const ObservedVcpu* Profiler::Private::interrupted(const Opened& each, Sample& sample) const {
  sample.host_cpu = perf.cpu(each.id);
  if (each.target.kind == Target::Kind::kVcpu) {
    sample.vcpu = each.target.index;
  } else if (const auto vcpu = perf.vcpu_on(static_cast<HostCpu>(each.target.index))) {
    sample.vcpu = static_cast<std::uint32_t>(*vcpu);
  } else {
    return nullptr;
  }
  return &machine.observed(sample.vcpu);
}

void Profiler::Private::locate(const ObservedVcpu& vcpu, const SamplingEvent& event,
                               Sample& sample) {
  GuestSnapshot guest;
  if (!event.attr.exclude_guest) guest = hostperf::GuestCallbacks::host().snapshot();
  if (guest.state == 0) {
    // The modelled host is a hypervisor, and has no code of its own to point at.
    sample.mode = SampledMode::kHostKernel;
    return;
  }
  const bool user = (guest.state & hostperf::kGuestUserMode) != 0;
  sample.mode = guest_mode(user);
  sample.ip = guest.ip;
  const std::span<std::uint64_t> room{chain.data(), config.callchain_depth};
  // An event that has counted the last instruction of one privilege is not of the other one, in
  // which the next instruction is.
  const bool excluded = user ? event.attr.exclude_user : event.attr.exclude_kernel;
  if (!event.precise && !excluded) {
    if (!room.empty()) sample.callchain = room.first(vcpu.call_chain(room));
    return;
  }
  const ObservedVcpu::Place last = vcpu.last_retired();
  sample.mode = guest_mode(last.user);
  sample.ip = last.address;
  sample.exact = true;
  if (!room.empty()) sample.callchain = room.first(vcpu.call_chain_of_last(room));
}

void Profiler::Private::record_branches(const Opened& each, Sample& sample) {
  if (config.events[each.event].attr.branch_type == 0) return;
  sample.branches = std::span{branches}.first(perf.branches(each.id, branches));
}

void Profiler::Private::on_overflow(EventId, std::uint64_t cookie) {
  Opened& each = opened[cookie];
  Sample sample;
  sample.event = static_cast<std::uint32_t>(each.event);
  const ObservedVcpu* const vcpu = interrupted(each, sample);
  if (vcpu == nullptr) return;
  const Clock& clock = machine.clock();
  sample.time_ns = clock.to_ns(clock.now());
  sample.period = take_counts(each);
  locate(*vcpu, config.events[each.event], sample);
  record_branches(each, sample);
  ++samples[each.event];
  sink.on_sample(sample);
}

// ---- Samples that do not come -------------------------------------------------------------------

void Profiler::Private::look_again() {
  if (look_every != kNever) arm(machine.now() + std::max<std::uint64_t>(look_every, 1));
}

void Profiler::Private::on_timer() {
  for (Opened& each : opened) {
    if (!each.rate || perf.state(each.id) != EventState::kActive) continue;
    const EventPast past = perf.past(each.id);
    const std::uint64_t cycles = running(each, past) - each.sampled_cycles;
    if (each.rate->look(past.count - each.sampled, cycles)) {
      perf.set_period(each.id, each.rate->period());
    }
  }
  look_again();
}

// ---- The profiler's user ------------------------------------------------------------------------

Profiler::Profiler() = default;
Profiler::~Profiler() = default;

Result<std::unique_ptr<Profiler>> Profiler::attach(GuestMachine& machine,
                                                   const virt::GuestProvider&,
                                                   const ProfilerConfig& config,
                                                   hostperf::SampleSink& sink) {
  if (auto checked = check(config); !checked) return tl::unexpected(checked.error());
  std::unique_ptr<Profiler> profiler{new Profiler};
  profiler->private_ = std::make_unique<Private>(machine, config, sink);
  if (auto done = profiler->private_->open(); !done) return tl::unexpected(done.error());
  return profiler;
}

std::vector<SamplingTotals> Profiler::totals() const {
  const Private& from = *private_;
  std::vector<SamplingTotals> totals(from.config.events.size());
  for (const Opened& each : from.opened) {
    SamplingTotals& to = totals[each.event];
    const auto count = from.perf.read(each.id).value_or(hostperf::EventCount{});
    to.count += count.value;
    to.time_enabled_ns += count.time_enabled_ns;
    to.time_running_ns += count.time_running_ns;
    if (from.perf.state(each.id) == EventState::kError) ++to.in_error;
  }
  for (std::size_t n = 0; n < totals.size(); ++n) totals[n].samples = from.samples[n];
  return totals;
}

}  // namespace vpmu::machine
