// SPDX-License-Identifier: MIT
#include "machine/host_activity.hpp"

#include <algorithm>
#include <cassert>

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

using hostperf::HostCpu;
using hostperf::ModelledHostPerf;

HostActivity::~HostActivity() {
  for (const Opened& opened : opened_) perf_.close(opened.id);
}

Result<void> HostActivity::open(std::span<const HostEvent> events) {
  assert(opened_.empty());
  if (events.size() > ModelledHostPerf::kEventsPerHostCpu) {
    return fail(std::to_string(events.size()) + " host events: at most " +
                std::to_string(ModelledHostPerf::kEventsPerHostCpu) + " can be open");
  }
  events_.assign(events.begin(), events.end());
  for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
    for (const HostEvent& event : events_) {
      hostperf::EventAttr attr = event.attr;
      attr.cookie = opened_.size();
      const auto target = hostperf::Target::of(static_cast<HostCpu>(cpu));
      const auto id = perf_.open(attr, target, *this);
      if (!id) return fail("host event '" + event.name + "': the CPU model cannot count it");
      opened_.push_back({*id});
      perf_.enable(*id);
    }
  }
  return {};
}

HostActivity::Reading HostActivity::read(std::size_t event, unsigned cpu) const {
  const Opened& opened = opened_[place(event, cpu)];
  return {perf_.read(opened.id).value_or(hostperf::EventCount{}), opened.overflows,
          perf_.state(opened.id)};
}

void HostActivity::on_overflow(hostperf::EventId, std::uint64_t cookie) {
  ++opened_[cookie].overflows;
}

// ---- State --------------------------------------------------------------------------------------

HostActivityState HostActivity::save() const {
  HostActivityState state;
  for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
    const hostperf::HostCpuState from = perf_.save(static_cast<HostCpu>(cpu));
    HostActivityState::Cpu to;
    if (from.vcpu) to.vcpu = static_cast<std::int32_t>(*from.vcpu);
    to.rotation_interval = from.rotation_interval;
    for (std::size_t event = 0; event < events_.size(); ++event) {
      const Opened& opened = opened_[place(event, cpu)];
      to.events.push_back({perf_.past(opened.id), opened.overflows});
    }
    const auto first = opened_.begin() + static_cast<std::ptrdiff_t>(place(0, cpu));
    const auto last = first + static_cast<std::ptrdiff_t>(events_.size());
    for (const hostperf::EventId id : from.order) {
      const auto found =
          std::find_if(first, last, [id](const auto& each) { return each.id == id; });
      // Somebody else's, which is not part of the host's own activity.
      if (found != last) to.order.push_back(static_cast<std::uint32_t>(found - first));
    }
    state.cpus.push_back(std::move(to));
  }
  return state;
}

Result<void> HostActivity::check(const HostActivityState::Cpu& cpu, std::size_t vcpus) const {
  if (cpu.vcpu < -1 || cpu.vcpu >= static_cast<std::int64_t>(vcpus)) {
    return cannot_hold("vCPU on a host CPU", static_cast<std::uint64_t>(cpu.vcpu));
  }
  if (cpu.events.size() != events_.size()) return cannot_hold("host events", cpu.events.size());
  std::vector<std::uint32_t> flexible;
  for (std::uint32_t event = 0; event < events_.size(); ++event) {
    if (!events_[event].attr.pinned) flexible.push_back(event);
  }
  std::vector<std::uint32_t> order = cpu.order;
  std::ranges::sort(order);
  if (order != flexible) return cannot_hold("order of host events", order.size());
  return {};
}

Result<void> HostActivity::restore(const HostActivityState& state, std::size_t vcpus) {
  if (state.cpus.size() != cpus()) return cannot_hold("host CPUs", state.cpus.size());
  for (const auto& cpu : state.cpus) {
    if (auto checked = check(cpu, vcpus); !checked) return checked;
  }
  for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
    const HostActivityState::Cpu& from = state.cpus[cpu];
    hostperf::HostCpuState to;
    if (from.vcpu >= 0) to.vcpu = static_cast<hostperf::VcpuIndex>(from.vcpu);
    to.rotation_interval = from.rotation_interval;
    for (const std::uint32_t event : from.order) to.order.push_back(opened_[place(event, cpu)].id);
    perf_.restore(static_cast<HostCpu>(cpu), to);
  }
  for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
    for (std::size_t event = 0; event < events_.size(); ++event) {
      Opened& opened = opened_[place(event, cpu)];
      opened.overflows = state.cpus[cpu].events[event].overflows;
      perf_.set_past(opened.id, state.cpus[cpu].events[event]);
    }
  }
  return {};
}

}  // namespace vpmu::machine
