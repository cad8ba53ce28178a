// SPDX-License-Identifier: MIT
#include "vpmu/hostperf/modelled_host_perf.hpp"

#include "hostperf/modelled_vcpu.hpp"
#include "vpmu/base/ensure.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::hostperf {
namespace {

using silicon::x86::EventSelect;

constexpr std::uint8_t slot_of(EventId event) {
  return static_cast<std::uint8_t>(static_cast<std::uint32_t>(event) %
                                   ModelledHostPerf::kEventsPerVcpu);
}

constexpr std::size_t vcpu_of(EventId event) {
  return static_cast<std::uint32_t>(event) / ModelledHostPerf::kEventsPerVcpu;
}

/// Exact for any count; a PMU's clock is below 18 GHz.
constexpr std::uint64_t to_ns(std::uint64_t cycles, std::uint64_t hz) {
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  return cycles / hz * kNsPerSecond + cycles % hz * kNsPerSecond / hz;
}

/// The row that a config means; null if the model cannot count it.
const silicon::x86::EventRow* find_row(const silicon::x86::CpuModel& model, std::uint64_t config) {
  EventSelect select{{config}};
  const silicon::x86::EventSelector selector{
      static_cast<std::uint16_t>(select.get(EventSelect::kEvent)),
      static_cast<std::uint8_t>(select.get(EventSelect::kUnitMask))};
  select.set(EventSelect::kEvent, 0);
  select.set(EventSelect::kUnitMask, 0);
  if (select.raw != 0) return nullptr;
  return silicon::x86::find_event(model.events, selector);
}

/// All that a vCPU retires is the guest's.
constexpr silicon::PrivilegeSet counted_privileges(const EventAttr& attr) {
  return {.user = !attr.exclude_guest && !attr.exclude_user,
          .kernel = !attr.exclude_guest && !attr.exclude_kernel};
}

}  // namespace

ModelledHostPerf::ModelledHostPerf(const silicon::x86::CpuModel& model,
                                   std::span<const ModelledVcpu> vcpus)
    : model_{model} {
  vcpus_.reserve(vcpus.size());
  for (const ModelledVcpu& vcpu : vcpus) {
    vcpus_.push_back(
        std::make_unique<Vcpu>(model.pmu, vcpu, static_cast<std::uint32_t>(vcpus_.size())));
  }
}

ModelledHostPerf::~ModelledHostPerf() = default;

ModelledHostPerf::Event& ModelledHostPerf::event(EventId id) const {
  ensure(vcpu_of(id) < vcpus_.size());
  Event& event = vcpus_[vcpu_of(id)]->event(slot_of(id));
  ensure(event.handler != nullptr);
  return event;
}

tl::expected<EventId, OpenError> ModelledHostPerf::open(const EventAttr& attr, Target target,
                                                        OverflowHandler& handler) {
  if (target.kind != Target::Kind::kVcpu || target.index >= vcpus_.size()) {
    return tl::make_unexpected(OpenError::kNoSuchTarget);
  }
  if (attr.exclusive) return tl::make_unexpected(OpenError::kNotSupported);
  const silicon::x86::EventRow* row = find_row(model_, attr.config);
  if (row == nullptr) return tl::make_unexpected(OpenError::kNoSuchEvent);

  Vcpu& vcpu = *vcpus_[target.index];
  const std::uint8_t slot = vcpu.free_slot();
  if (slot == kEventsPerVcpu) return tl::make_unexpected(OpenError::kNoSpace);
  vcpu.event(slot) = Event{.attr = attr,
                           .handler = &handler,
                           .row = row,
                           .privileges = counted_privileges(attr),
                           .left = attr.period};
  return static_cast<EventId>(target.index * kEventsPerVcpu + slot);
}

void ModelledHostPerf::close(EventId id) {
  Event& closing = event(id);
  vcpus_[vcpu_of(id)]->disable(slot_of(id));
  closing = Event{};
}

void ModelledHostPerf::enable(EventId id) {
  event(id);
  vcpus_[vcpu_of(id)]->enable(slot_of(id));
}

void ModelledHostPerf::disable(EventId id) {
  event(id);
  vcpus_[vcpu_of(id)]->disable(slot_of(id));
}

void ModelledHostPerf::pause(EventId id) {
  vcpus_[vcpu_of(id)]->pause(event(id), slot_of(id));
}

void ModelledHostPerf::resume(EventId id) {
  vcpus_[vcpu_of(id)]->resume(event(id), slot_of(id));
}

std::optional<EventCount> ModelledHostPerf::read(EventId id) {
  Event& read = event(id);
  if (read.state == EventState::kError) return std::nullopt;
  Vcpu& vcpu = *vcpus_[vcpu_of(id)];
  vcpu.account(read);
  return EventCount{.value = vcpu.value(read),
                    .time_enabled_ns = to_ns(read.time_enabled, model_.hz),
                    .time_running_ns = to_ns(read.time_running, model_.hz)};
}

void ModelledHostPerf::set_period(EventId id, std::uint64_t period) {
  vcpus_[vcpu_of(id)]->set_period(event(id), slot_of(id), period);
}

EventState ModelledHostPerf::state(EventId id) const {
  return event(id).state;
}

HostCpu ModelledHostPerf::cpu(EventId id) const {
  if (event(id).state != EventState::kActive) return kNoHostCpu;
  return static_cast<HostCpu>(vcpu_of(id));
}

}  // namespace vpmu::hostperf
