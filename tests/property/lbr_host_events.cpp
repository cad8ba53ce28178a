// SPDX-License-Identifier: MIT
#include "property/lbr_host_events.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::property {
namespace {

using hostperf::EventState;
using hostperf::HostCpu;
using hostperf::Target;
using silicon::Privilege;
using silicon::x86::BranchType;
using silicon::x86::LbrStack;
using silicon::x86::TakenBranch;
using Difference = std::optional<std::string>;

constexpr std::uint64_t kCycles = 0x3c;

/// What `branch_type` asks for. As Linux has it, calls and returns may be far ones.
bool asks_for(std::uint32_t types, const TakenBranch& branch) {
  std::uint32_t privileges = types & (hostperf::kBranchUser | hostperf::kBranchKernel);
  if (privileges == 0) privileges = hostperf::kBranchUser | hostperf::kBranchKernel;
  const bool user = branch.ends_in == Privilege::kUser;
  if ((privileges & (user ? hostperf::kBranchUser : hostperf::kBranchKernel)) == 0) return false;
  const auto any_of = [types](std::uint32_t wanted) { return (types & wanted) != 0; };
  using namespace hostperf;
  if (any_of(kBranchAny)) return true;
  switch (branch.type) {
    case BranchType::kConditional: return any_of(kBranchConditional);
    case BranchType::kIndirectJump: return any_of(kBranchIndirectJump);
    case BranchType::kDirectJump: return false;
    case BranchType::kIndirectCall:
      return any_of(kBranchAnyCall | kBranchIndirectCall | kBranchCallStack);
    case BranchType::kDirectCall: return any_of(kBranchAnyCall | kBranchCall | kBranchCallStack);
    case BranchType::kReturn: return any_of(kBranchAnyReturn);
    case BranchType::kOther: return any_of(kBranchAnyCall | kBranchAnyReturn);
  }
  return false;
}

}  // namespace

HostEventRequest HostEventRequest::decode(std::uint64_t bits) {
  using namespace hostperf;
  constexpr std::array<std::uint32_t, 8> kTypes = {
      kBranchAny,
      kBranchAny,
      kBranchAny | kBranchUser,
      kBranchCallStack | kBranchUser,
      kBranchAnyCall,
      kBranchAnyReturn | kBranchConditional | kBranchKernel,
      kBranchIndirectCall | kBranchIndirectJump,
      0};
  const auto take = [&](unsigned count) {
    const auto value = static_cast<unsigned>(bits & ((1u << count) - 1));
    bits >>= count;
    return value;
  };
  HostEventRequest request;
  request.of_task = take(2) == 0;
  request.target = take(1);
  request.attr.config = kCycles;
  request.attr.branch_type = kTypes[take(3)];
  request.attr.pinned = take(1) != 0;
  request.attr.exclude_guest = take(3) == 0;
  // Without branches it is there to be in the way.
  request.attr.exclusive = request.attr.branch_type == 0 || take(4) == 0;
  if (take(2) == 0) {
    request.attr.config = kGuestLbrEvent;
    request.attr.branch_type = kGuestLbrBranchType;
    request.attr.exclude_host = true;
  }
  return request;
}

LbrHostEvents::LbrHostEvents(hostperf::ModelledHostPerf& perf, unsigned vcpus)
    : perf_{perf},
      vcpus_{vcpus},
      traced_(perf.host_cpus()),
      vcpu_on_(perf.host_cpus()),
      units_(perf.host_cpus()) {}

LbrHostEvents::~LbrHostEvents() {
  for (unsigned slot = 0; slot < kSlots; ++slot) close(slot);
}

void LbrHostEvents::open(unsigned slot, const HostEventRequest& request) {
  close(slot);
  const unsigned targets = request.of_task ? vcpus_ : perf_.host_cpus();
  const unsigned target = request.target % targets;
  const auto opened =
      perf_.open(request.attr,
                 request.of_task ? Target::of(hostperf::VcpuIndex{target})
                                 : Target::of(HostCpu{static_cast<std::int32_t>(target)}),
                 handler_);
  if (!opened) return;
  events_[slot] = {.id = *opened, .request = request};
  events_[slot].request.target = target;
}

void LbrHostEvents::enable(unsigned slot) {
  if (events_[slot].id != hostperf::kNoEvent) perf_.enable(events_[slot].id);
}

void LbrHostEvents::disable(unsigned slot) {
  if (events_[slot].id != hostperf::kNoEvent) perf_.disable(events_[slot].id);
}

void LbrHostEvents::close(unsigned slot) {
  if (events_[slot].id != hostperf::kNoEvent) perf_.close(events_[slot].id);
  events_[slot] = {};
  follow();
}

void LbrHostEvents::trace(unsigned cpu, bool used) {
  traced_[cpu] = used;
  perf_.use_lbr_for_trace(HostCpu{static_cast<std::int32_t>(cpu)}, used);
}

bool LbrHostEvents::traces() const {
  return std::ranges::any_of(traced_, [](bool traced) { return traced; });
}

bool LbrHostEvents::any_exclusive() const {
  return std::ranges::any_of(events_, [](const Event& event) {
    return event.id != hostperf::kNoEvent && event.request.attr.exclusive;
  });
}

bool LbrHostEvents::claims(unsigned cpu) const {
  if (traced_[cpu]) return true;
  return std::ranges::any_of(events_, [&](const Event& event) {
    if (event.id == hostperf::kNoEvent) return false;
    const hostperf::EventAttr& attr = event.request.attr;
    return attr.pinned && (attr.branch_type != 0 || attr.exclusive) &&
           perf_.cpu(event.id) == HostCpu{static_cast<std::int32_t>(cpu)};
  });
}

void LbrHostEvents::follow() {
  std::vector<unsigned> readers(units_.size());
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    Event& event = events_[slot];
    const bool active =
        event.id != hostperf::kNoEvent && perf_.state(event.id) == EventState::kActive;
    if (active && !event.active) event.since = history_.size();
    event.active = active;
    if (active && event.request.attr.branch_type != 0)
      readers[static_cast<std::size_t>(perf_.cpu(event.id))] |= 1u << slot;
  }
  for (std::size_t cpu = 0; cpu < units_.size(); ++cpu) {
    Unit& unit = units_[cpu];
    if ((readers[cpu] & ~unit.readers) != 0 || unit.vcpu != vcpu_on_[cpu] || readers[cpu] == 0)
      unit.since = history_.size();
    unit.readers = readers[cpu];
    unit.vcpu = vcpu_on_[cpu];
  }
}

void LbrHostEvents::recorded(unsigned cpu, unsigned vcpu, const TakenBranch& branch) {
  history_.push_back({.cpu = cpu, .vcpu = vcpu, .branch = branch});
}

bool LbrHostEvents::may_see(const Event& event, const Retired& retired) const {
  const HostEventRequest& request = event.request;
  if (request.attr.exclude_guest) return false;
  if (request.target != (request.of_task ? retired.vcpu : retired.cpu)) return false;
  return asks_for(request.attr.branch_type, retired.branch);
}

/// A task's events that ask for the call stack find it again when the task goes on.
bool LbrHostEvents::keeps_call_stack(const Event& event) {
  return event.request.of_task &&
         (event.request.attr.branch_type & hostperf::kBranchCallStack) != 0;
}

Difference LbrHostEvents::check_one(const Event& event, const LbrStack::Decoded& branch,
                                    std::size_t& before) const {
  for (std::size_t at = before; at > 0; --at) {
    const Retired& retired = history_[at - 1];
    if (retired.branch.from != branch.from) continue;
    if (retired.branch.to != branch.to) return "has another target than it went to";
    if (at - 1 < event.since && !keeps_call_stack(event))
      return "retired before the event was active";
    if (!may_see(event, retired)) return "is not what the event asked for";
    before = at - 1;
    return {};
  }
  return "was not recorded for the host, or not before the one above it";
}

/// Where nothing but new branches changes what is recorded.
std::size_t LbrHostEvents::expected_at_least(const Event& event) const {
  const hostperf::EventAttr& attr = event.request.attr;
  if ((attr.branch_type & hostperf::kBranchAny) == 0) return 0;
  const auto cpu = static_cast<std::size_t>(perf_.cpu(event.id));
  std::size_t found = 0;
  for (std::size_t at = std::max(event.since, units_[cpu].since); at < history_.size(); ++at) {
    found += history_[at].cpu == cpu && may_see(event, history_[at]);
  }
  return std::min<std::size_t>(found, perf_.lbr_model().depth);
}

Difference LbrHostEvents::check(const Event& event) const {
  std::array<LbrStack::Decoded, silicon::x86::LbrModel::kMaxDepth> branches;
  const std::size_t found = perf_.branches(event.id, branches);
  if (found != 0 && !event.active) return "an event of the host that is not active has branches";
  std::size_t before = history_.size();
  for (std::size_t n = 0; n < found; ++n) {
    if (Difference difference = check_one(event, branches[n], before))
      return fmt::format("branch {} of an event of the host, {:#x} -> {:#x}, {}", n,
                         branches[n].from, branches[n].to, *difference);
  }
  if (event.active && found < expected_at_least(event))
    return fmt::format("an event of the host has {} branches, expected {}", found,
                       expected_at_least(event));
  return {};
}

Difference LbrHostEvents::check() const {
  for (const Event& event : events_) {
    if (event.id == hostperf::kNoEvent || event.request.attr.branch_type == 0) continue;
    if (Difference difference = check(event)) return difference;
  }
  return {};
}

}  // namespace vpmu::property
