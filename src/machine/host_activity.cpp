// SPDX-License-Identifier: MIT
#include "machine/host_activity.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <functional>

#include "machine/cannot_hold.hpp"
#include "vpmu/silicon/x86/canonical.hpp"

namespace vpmu::machine {

using hostperf::EventState;
using hostperf::HostCpu;
using hostperf::LbrSwitches;
using hostperf::ModelledHostPerf;
using silicon::Privilege;
using silicon::x86::BranchType;
using silicon::x86::LbrStack;
using silicon::x86::TakenBranch;

namespace {
/// What is due may be this late in a state: a vCPU that ran last may have gone a little further.
constexpr std::uint64_t kLatest = std::uint64_t{1} << 20;

/// Later, or never if that is out of range.
std::uint64_t after(std::uint64_t cycle, std::uint64_t cycles) {
  return cycles < Timer::kNever - cycle ? cycle + cycles : Timer::kNever;
}

/// Makes the branch one that the unit records.
void choose_recorded(const LbrStack& unit, TakenBranch& branch) {
  // Calls first: they make the call stack longer.
  for (const BranchType type :
       {BranchType::kDirectCall, BranchType::kIndirectCall, BranchType::kConditional,
        BranchType::kIndirectJump, BranchType::kDirectJump, BranchType::kReturn}) {
    for (const Privilege privilege : {Privilege::kKernel, Privilege::kUser}) {
      branch.type = type;
      branch.ends_in = privilege;
      if (unit.accepts(type, privilege)) return;
    }
  }
}

/// Modulo 2^64.
LbrSwitches combine(const LbrSwitches& left, const LbrSwitches& right, auto operation) {
  return {operation(left.switches, right.switches), operation(left.saved_msrs, right.saved_msrs),
          operation(left.restored_msrs, right.restored_msrs),
          operation(left.skipped_restores, right.skipped_restores),
          operation(left.resets, right.resets)};
}

Result<void> refuse(const HostEvent& event, const std::string& message) {
  return fail("host event '" + event.name + "': " + message);
}
}  // namespace

HostActivity::~HostActivity() {
  for (const Opened& opened : opened_) {
    if (opened.id != hostperf::kNoEvent) perf_.close(opened.id);
  }
}

// ---- Opening ------------------------------------------------------------------------------------

Result<void> HostActivity::open(std::span<const HostEvent> events) {
  assert(events_.empty());
  events_.assign(events.begin(), events.end());
  for (const HostEvent& event : events_) {
    if (auto checked = check(event); !checked) return checked;
  }
  opened_.resize(events_.size() * cpus());
  // All of them before the first one is enabled: what one uses may keep another from being opened.
  for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
    if (auto opened = open_on(cpu); !opened) return opened;
  }
  on_timer();
  return {};
}

Result<void> HostActivity::check(const HostEvent& event) const {
  const std::uint64_t there = cpus() < 64 ? (std::uint64_t{1} << cpus()) - 1 : HostEvent::kEveryCpu;
  if (event.cpus == 0) return refuse(event, "it is on no host CPU; give it one");
  if (event.cpus != HostEvent::kEveryCpu && (event.cpus & ~there) != 0) {
    return refuse(event, "there is no host CPU " +
                             std::to_string(std::countr_zero(event.cpus & ~there)) +
                             "; the last one is " + std::to_string(cpus() - 1));
  }
  if (event.until <= event.at) return refuse(event, "it ends before it begins");
  if (event.every != 0) {
    if (event.every < HostEvent::kShortestRound) {
      return refuse(event, "it comes again after less than " +
                               std::to_string(HostEvent::kShortestRound) + " cycles");
    }
    if (event.until - event.at >= event.every) {
      return refuse(event, "it comes again before it has ended");
    }
  }
  if (event.branches.count > HostBranches::kMost) {
    return refuse(event, "the host itself retires at most " + std::to_string(HostBranches::kMost) +
                             " branches at a time");
  }
  if (!silicon::x86::canonical(event.branches.from) ||
      !silicon::x86::canonical(event.branches.to)) {
    return refuse(event, "the host itself branches from and to canonical addresses only");
  }
  if (event.branches.count != 0 && (event.trace || event.attr.branch_type == 0)) {
    return refuse(event, "without last branch records the host's own branches leave no trace");
  }
  return {};
}

Result<void> HostActivity::open_on(unsigned cpu) {
  std::size_t open = 0;
  for (std::size_t event = 0; event < events_.size(); ++event) {
    if (!is_on(event, cpu)) continue;
    if (++open > ModelledHostPerf::kEventsPerHostCpu) {
      return fail("more than " + std::to_string(ModelledHostPerf::kEventsPerHostCpu) +
                  " host events on host CPU " + std::to_string(cpu) + "; give fewer");
    }
    Opened& opened = opened_[place(event, cpu)];
    opened.progress.next = events_[event].at;
    if (events_[event].trace) continue;
    hostperf::EventAttr attr = events_[event].attr;
    attr.cookie = place(event, cpu);
    const auto target = hostperf::Target::of(static_cast<HostCpu>(cpu));
    const auto id = perf_.open(attr, target, *this);
    if (!id) {
      return refuse(events_[event], attr.branch_type == 0
                                        ? "the CPU model cannot count it"
                                        : "the CPU model cannot count it and record its branches");
    }
    opened.id = *id;
  }
  return {};
}

// ---- What happens when --------------------------------------------------------------------------

void HostActivity::on_timer() {
  if (opened_.empty()) return;
  const std::uint64_t now = clock_.now();
  for (;;) {
    const std::size_t place = first_to_change();
    if (opened_[place].progress.next > now) break;
    change(place);
  }
  arm_next();
}

std::size_t HostActivity::first_to_change() const {
  const auto sooner = [](const Opened& left, const Opened& right) {
    if (left.progress.next != right.progress.next) return left.progress.next < right.progress.next;
    return left.progress.on && !right.progress.on;
  };
  return static_cast<std::size_t>(std::ranges::min_element(opened_, sooner) - opened_.begin());
}

void HostActivity::arm_next() {
  const std::uint64_t next = opened_[first_to_change()].progress.next;
  if (next == kNever) {
    disarm();
  } else {
    arm(next);
  }
}

void HostActivity::change(std::size_t place) {
  const HostEvent& event = event_at(place);
  HostEventProgress& progress = opened_[place].progress;
  const std::uint64_t due = progress.next;
  if (!progress.on) {
    begin(place);
    progress.next =
        event.until == HostEvent::kForever ? kNever : after(due, event.until - event.at);
  } else {
    end(place);
    progress.next = event.every == 0 ? kNever : after(due, event.every - (event.until - event.at));
  }
}

void HostActivity::begin(std::size_t place) {
  Opened& opened = opened_[place];
  opened.error = false;
  opened.progress.on = true;
  opened.progress.began = clock_.now();
  ++opened.progress.times;
  follow(place);
  retire_branches(place);
}

void HostActivity::end(std::size_t place) {
  Opened& opened = opened_[place];
  retire_branches(place);
  opened.error = false;
  opened.progress.on = false;
  opened.progress.ended = clock_.now();
  follow(place);
}

void HostActivity::follow(std::size_t place) {
  const Opened& opened = opened_[place];
  if (event_at(place).trace) {
    perf_.use_lbr_for_trace(cpu_at(place), is_traced(cpu_at(place)));
  } else if (opened.id == hostperf::kNoEvent) {
    return;
  } else if (opened.progress.on && !opened.error) {
    perf_.enable(opened.id);
  } else {
    perf_.disable(opened.id);
  }
}

bool HostActivity::is_traced(HostCpu cpu) const {
  for (std::size_t event = 0; event < events_.size(); ++event) {
    const Opened& opened = opened_[place(event, static_cast<unsigned>(cpu))];
    if (events_[event].trace && opened.progress.on) return true;
  }
  return false;
}

bool HostActivity::has_records(unsigned cpu) const {
  for (std::size_t event = 0; event < events_.size(); ++event) {
    if (events_[event].trace || events_[event].attr.branch_type == 0 || !is_on(event, cpu))
      continue;
    if (state(place(event, cpu)) == EventState::kActive) return true;
  }
  return false;
}

void HostActivity::retire_branches(std::size_t place) {
  const HostBranches& branches = event_at(place).branches;
  if (branches.count == 0 || state(place) != EventState::kActive) return;
  LbrStack* unit = perf_.lbr_unit(cpu_at(place));
  if (unit == nullptr) return;
  TakenBranch branch{.from = branches.from, .to = branches.to, .next = 0};
  branch.cycle = unit->save().cycle;  // at a moment's notice: the guest's time stands still
  choose_recorded(*unit, branch);
  for (std::uint32_t n = 0; n < branches.count; ++n) unit->record(branch);
  opened_[place].progress.retired_branches += branches.count;
}

// ---- Readings -----------------------------------------------------------------------------------

EventState HostActivity::state(std::size_t place) const {
  const Opened& opened = opened_[place];
  if (opened.error) return EventState::kError;
  if (event_at(place).trace) {
    return opened.progress.on ? EventState::kActive : EventState::kOff;
  }
  return perf_.state(opened.id);
}

HostActivity::Reading HostActivity::read(std::size_t event, unsigned cpu) const {
  const Opened& opened = opened_[place(event, cpu)];
  Reading reading{opened.progress, {}, state(place(event, cpu))};
  if (opened.id != hostperf::kNoEvent) {
    reading.count = perf_.read(opened.id).value_or(hostperf::EventCount{});
  }
  return reading;
}

LbrSwitches HostActivity::lbr_switches(unsigned cpu) const {
  const LbrSwitches& here = perf_.lbr_switches(static_cast<HostCpu>(cpu));
  if (lbr_switches_before_.empty()) return here;
  return combine(here, lbr_switches_before_[cpu], std::plus<>{});
}

void HostActivity::on_overflow(hostperf::EventId, std::uint64_t cookie) {
  HostEventProgress& progress = opened_[cookie].progress;
  ++progress.overflows;
  if (event_at(cookie).attr.branch_type == 0) return;
  std::array<LbrStack::Decoded, silicon::x86::LbrModel::kMaxDepth> records;
  progress.sampled_branches += perf_.branches(opened_[cookie].id, records);
}

// ---- State --------------------------------------------------------------------------------------

HostActivityState HostActivity::save() const {
  HostActivityState saved;
  for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
    const hostperf::HostCpuState from = perf_.save(static_cast<HostCpu>(cpu));
    HostActivityState::Cpu to;
    if (from.vcpu) to.vcpu = static_cast<std::int32_t>(*from.vcpu);
    to.rotation_interval = from.rotation_interval;
    for (std::size_t event = 0; event < events_.size(); ++event) {
      const Opened& opened = opened_[place(event, cpu)];
      HostActivityState::Event& each = to.events.emplace_back();
      if (opened.id != hostperf::kNoEvent) {
        static_cast<hostperf::EventPast&>(each) = perf_.past(opened.id);
        each.error = state(place(event, cpu)) == EventState::kError;
      }
      static_cast<HostEventProgress&>(each) = opened.progress;
    }
    const auto first = opened_.begin() + static_cast<std::ptrdiff_t>(place(0, cpu));
    const auto last = first + static_cast<std::ptrdiff_t>(events_.size());
    for (const hostperf::EventId id : from.order) {
      const auto found =
          std::find_if(first, last, [id](const auto& each) { return each.id == id; });
      // Somebody else's, which is not part of the host's own activity.
      if (found != last) to.order.push_back(static_cast<std::uint32_t>(found - first));
    }
    to.lbr_switches = lbr_switches(cpu);
    if (has_records(cpu)) to.host_records = perf_.lbr_unit(static_cast<HostCpu>(cpu))->held();
    saved.cpus.push_back(std::move(to));
  }
  return saved;
}

Result<void> HostActivity::check(const HostActivityState::Event& event, bool here) const {
  if (!here && event != HostActivityState::Event{}) return cannot_hold("event of another CPU", 1);
  if (event.next < clock_.now() && clock_.now() - event.next > kLatest) {
    return cannot_hold("time of a host event", event.next);
  }
  return {};
}

Result<void> HostActivity::check(const HostActivityState::Cpu& cpu, std::size_t vcpus) const {
  if (cpu.vcpu < -1 || cpu.vcpu >= static_cast<std::int64_t>(vcpus)) {
    return cannot_hold("vCPU on a host CPU", static_cast<std::uint64_t>(cpu.vcpu));
  }
  std::vector<std::uint32_t> flexible;
  for (std::uint32_t event = 0; event < events_.size(); ++event) {
    const HostActivityState::Event& saved = cpu.events[event];
    const bool pinned = events_[event].attr.pinned || events_[event].trace;
    if (saved.error && (!pinned || !saved.on)) return cannot_hold("error of a host event", 1);
    if (saved.on && !pinned) flexible.push_back(event);
  }
  std::vector<std::uint32_t> order = cpu.order;
  std::ranges::sort(order);
  if (order != flexible) return cannot_hold("order of host events", order.size());
  return {};
}

Result<void> HostActivity::restore_schedule(const HostActivityState& state, std::size_t vcpus) {
  if (state.cpus.size() != cpus()) return cannot_hold("host CPUs", state.cpus.size());
  for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
    const auto& events = state.cpus[cpu].events;
    if (events.size() != events_.size()) return cannot_hold("host events", events.size());
    for (std::size_t event = 0; event < events.size(); ++event) {
      if (auto checked = check(events[event], is_on(event, cpu)); !checked) return checked;
    }
    if (auto checked = check(state.cpus[cpu], vcpus); !checked) return checked;
  }
  for (std::size_t place = 0; place < opened_.size(); ++place) {
    opened_[place].progress.on = false;
    follow(place);
  }
  for (std::size_t place = 0; place < opened_.size(); ++place) {
    const HostActivityState::Event& saved =
        state.cpus[place / events_.size()].events[place % events_.size()];
    opened_[place].progress = saved;
    opened_[place].error = saved.error;
    follow(place);
  }
  if (!opened_.empty()) arm_next();
  return {};
}

Result<void> HostActivity::restore_counts(const HostActivityState& state) {
  for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
    const HostActivityState::Cpu& from = state.cpus[cpu];
    hostperf::HostCpuState to;
    if (from.vcpu >= 0) to.vcpu = static_cast<hostperf::VcpuIndex>(from.vcpu);
    to.rotation_interval = from.rotation_interval;
    for (const std::uint32_t event : from.order) to.order.push_back(opened_[place(event, cpu)].id);
    perf_.restore(static_cast<HostCpu>(cpu), to);
  }
  for (std::size_t place = 0; place < opened_.size(); ++place) {
    if (opened_[place].id == hostperf::kNoEvent) continue;
    const HostActivityState::Event& saved =
        state.cpus[place / events_.size()].events[place % events_.size()];
    // Not before all are in their places, during which what is counted is another's.
    opened_[place].progress.overflows = saved.overflows;
    opened_[place].progress.sampled_branches = saved.sampled_branches;
    perf_.set_past(opened_[place].id, saved);
  }
  for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
    lbr_switches_before_.push_back(combine(state.cpus[cpu].lbr_switches,
                                           perf_.lbr_switches(static_cast<HostCpu>(cpu)),
                                           std::minus<>{}));
    const auto& records = state.cpus[cpu].host_records;
    if (records.has_value() != has_records(cpu)) return cannot_hold("records of the host", cpu);
    if (!records) continue;
    auto restored = perf_.lbr_unit(static_cast<HostCpu>(cpu))->restore(*records);
    if (!restored) return restored;
  }
  return {};
}

}  // namespace vpmu::machine
