// SPDX-License-Identifier: MIT
#include "vpmu/hostperf/modelled_host_perf.hpp"

#include <algorithm>

#include "hostperf/event_context.hpp"
#include "hostperf/host_cpu.hpp"
#include "hostperf/programme.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::hostperf {
namespace {

constexpr std::uint32_t kIdsPerContext = ModelledHostPerf::kEventsPerVcpu;
static_assert(ModelledHostPerf::kEventsPerHostCpu <= kIdsPerContext);
static_assert(ModelledHostPerf::kEventsPerVcpu + ModelledHostPerf::kEventsPerHostCpu <=
              silicon::Deadlines::kSlots);

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

constexpr std::uint8_t slot_of(EventId event) {
  return static_cast<std::uint8_t>(static_cast<std::uint32_t>(event) % kIdsPerContext);
}

constexpr std::size_t context_of(EventId event) {
  return static_cast<std::uint32_t>(event) / kIdsPerContext;
}

/// Exact for any count; a PMU's clock is below 18 GHz.
constexpr std::uint64_t scale(std::uint64_t count, std::uint64_t to, std::uint64_t from) {
  return count / from * to + count % from * to / from;
}

}  // namespace

ModelledHostPerf::ModelledHostPerf(const HostCpuModel& model, std::span<const ModelledVcpu> vcpus,
                                   const ModelledHost& host)
    : model_{model},
      hz_{host.hz != 0 ? host.hz : model.hz()},
      time_{std::make_unique<Time>(host.clock, vcpus)},
      rotation_cycles_{std::max<std::uint64_t>(scale(host.rotation_ns, hz_, kNsPerSecond), 1)},
      vcpus_{vcpus.size()} {
  const bool has_lbr = model.lbr().exists();
  if (has_lbr) scratch_ = std::make_unique<silicon::x86::LbrStack>(model.lbr());
  const auto add_context = [&](std::uint8_t events, std::uint8_t first_deadline,
                               const ModelledVcpu* task) {
    const auto first_id = static_cast<std::uint32_t>(contexts_.size()) * kIdsPerContext;
    const Context::Config config{first_id, events, first_deadline, task, has_lbr};
    contexts_.push_back(std::make_unique<Context>(config, *time_));
  };
  for (const ModelledVcpu& vcpu : time_->vcpus()) add_context(kEventsPerVcpu, 0, &vcpu);
  const std::size_t cpus = host.cpus == 0 ? vcpus_ : host.cpus;
  for (std::size_t n = 0; n < cpus; ++n) {
    add_context(kEventsPerHostCpu, kEventsPerVcpu, nullptr);
    cpus_.push_back(std::make_unique<Cpu>(static_cast<HostCpu>(n), *contexts_.back(), model.lbr()));
    if (n < vcpus_) cpus_.back()->switch_to(contexts_[n].get());
  }
}

ModelledHostPerf::~ModelledHostPerf() = default;

unsigned ModelledHostPerf::host_cpus() const {
  return static_cast<unsigned>(cpus_.size());
}

// ---- Who is where -------------------------------------------------------------------------------

ModelledHostPerf::Cpu& ModelledHostPerf::cpu_of(HostCpu cpu) const {
  const auto number = static_cast<std::size_t>(cpu);
  ensure(number < cpus_.size());
  return *cpus_[number];
}

void ModelledHostPerf::switch_in(VcpuIndex vcpu, HostCpu cpu) {
  ensure(static_cast<std::size_t>(vcpu) < vcpus_);
  Context& task = *contexts_[static_cast<std::size_t>(vcpu)];
  Cpu& to = cpu_of(cpu);
  if (task.cpu() == &to) return;
  switch_out(vcpu);
  // Whose counting ends or begins is asked first: handlers may run while it hands over.
  if (to.task() != nullptr) to.task()->vcpu()->totals->hand_over();
  task.vcpu()->totals->hand_over();
  to.switch_to(&task);
}

void ModelledHostPerf::switch_out(VcpuIndex vcpu) {
  ensure(static_cast<std::size_t>(vcpu) < vcpus_);
  const Context& task = *contexts_[static_cast<std::size_t>(vcpu)];
  if (task.cpu() == nullptr) return;
  task.vcpu()->totals->hand_over();
  task.cpu()->switch_to(nullptr);
}

std::optional<VcpuIndex> ModelledHostPerf::vcpu_on(HostCpu cpu) const {
  const Context* const task = cpu_of(cpu).task();
  for (std::size_t n = 0; n < vcpus_; ++n) {
    if (task == contexts_[n].get()) return static_cast<VcpuIndex>(n);
  }
  return std::nullopt;
}

void ModelledHostPerf::tick(HostCpu cpu) {
  Cpu& ticking = cpu_of(cpu);
  if (!ticking.anybody_waits()) return;
  if (ticking.task() != nullptr) ticking.task()->vcpu()->totals->hand_over();
  ticking.rotate(time_->now() / rotation_cycles_);
}

// ---- Events -------------------------------------------------------------------------------------

/// An open event and its context. Handlers may close it, but not reuse its place.
struct ModelledHostPerf::Place {
  Context& context;
  Event& event;
  std::uint8_t slot;

  /// Brings the totals that the event counts up to date, during which handlers may run. False: one
  /// of them has closed the event.
  [[nodiscard]] bool hand_over() const {
    if (const ModelledVcpu* vcpu = context.vcpu()) vcpu->totals->hand_over();
    return event.handler != nullptr;
  }
};

ModelledHostPerf::Place ModelledHostPerf::place(EventId id) const {
  ensure(context_of(id) < contexts_.size());
  Context& context = *contexts_[context_of(id)];
  Event& event = context.event(slot_of(id));
  ensure(event.handler != nullptr);
  return {context, event, slot_of(id)};
}

tl::expected<EventId, OpenError> ModelledHostPerf::open(const EventAttr& attr, Target target,
                                                        OverflowHandler& handler) {
  const bool task = target.kind == Target::Kind::kVcpu;
  if (target.index >= (task ? vcpus_ : cpus_.size())) {
    return tl::make_unexpected(OpenError::kNoSuchTarget);
  }
  const auto programme = hostperf::programme(attr, model_);
  if (!programme || (programme->condition && !watches_conditions(target))) {
    return tl::make_unexpected(OpenError::kNoSuchEvent);
  }
  if (programme->lbr.any() &&
      std::ranges::any_of(cpus_, [](const auto& cpu) { return cpu->traced(); })) {
    return tl::make_unexpected(OpenError::kBusy);
  }
  Context& context = *contexts_[task ? target.index : vcpus_ + target.index];
  const std::uint8_t slot = context.free_slot();
  if (slot == context.size()) return tl::make_unexpected(OpenError::kNoSpace);
  Event& opened = context.event(slot);
  opened.attr = attr;
  opened.handler = &handler;
  opened.programme = *programme;
  opened.left = attr.period;
  return context.id(slot);
}

bool ModelledHostPerf::watches_conditions(Target target) const {
  const auto& vcpus = time_->vcpus();
  if (target.kind == Target::Kind::kVcpu) return vcpus[target.index].conditions != nullptr;
  return std::ranges::all_of(vcpus, [](const auto& vcpu) { return vcpu.conditions != nullptr; });
}

void ModelledHostPerf::close(EventId id) {
  const Place closing = place(id);
  if (!closing.hand_over()) return;
  closing.context.disable(closing.slot);
  if (closing.event.programme.lbr.kind == LbrUse::Kind::kGuest) {
    closing.context.lbr_records(closing.slot).valid = false;
  }
  closing.event = Event{};
}

void ModelledHostPerf::enable(EventId id) {
  const Place at = place(id);
  if (at.hand_over()) at.context.enable(at.slot);
}

void ModelledHostPerf::disable(EventId id) {
  const Place at = place(id);
  if (at.hand_over()) at.context.disable(at.slot);
}

void ModelledHostPerf::pause(EventId id) {
  const Place at = place(id);
  if (at.hand_over()) at.context.pause(at.event);
}

void ModelledHostPerf::resume(EventId id) {
  const Place at = place(id);
  if (at.hand_over()) at.context.resume(at.event);
}

void ModelledHostPerf::set_period(EventId id, std::uint64_t period) {
  const Place at = place(id);
  if (at.hand_over()) at.context.set_period(at.event, period);
}

std::optional<EventCount> ModelledHostPerf::read(EventId id) {
  const Place at = place(id);
  if (!at.hand_over()) return std::nullopt;
  at.context.account(at.event);
  EventCount count{.value = at.context.value(at.event),
                   .time_enabled_ns = scale(at.event.time_enabled, kNsPerSecond, hz_)};
  count.time_running_ns = at.event.time_running == at.event.time_enabled
                              ? count.time_enabled_ns
                              : scale(at.event.time_running, kNsPerSecond, hz_);
  return count;
}

EventState ModelledHostPerf::state(EventId id) const {
  return place(id).event.state;
}

HostCpu ModelledHostPerf::cpu(EventId id) const {
  const Place at = place(id);
  return at.event.state == EventState::kActive ? at.context.cpu()->number() : kNoHostCpu;
}

// ---- Last branch records ------------------------------------------------------------------------

LbrHost* ModelledHostPerf::lbr() {
  return model_.lbr().exists() && model_.lbr().call_stack ? this : nullptr;
}

/// A guest's LBR event. Where its registers are: in the unit while it is active.
struct ModelledHostPerf::GuestLbr {
  LbrRecords& records;
  silicon::x86::LbrStack* unit;
};

ModelledHostPerf::GuestLbr ModelledHostPerf::guest_lbr(EventId id) const {
  const Place at = place(id);
  ensure(at.event.programme.lbr.kind == LbrUse::Kind::kGuest);
  const bool active = at.event.state == EventState::kActive;
  return {at.context.lbr_records(at.slot), active ? &at.context.cpu()->lbr()->stack() : nullptr};
}

std::optional<Access> ModelledHostPerf::read_lbr(EventId id, MsrIndex msr) {
  const GuestLbr guest = guest_lbr(id);
  if (guest.unit == nullptr) return std::nullopt;
  const auto value = guest.unit->read(msr);
  return value ? Access::done(*value) : Access::fault();
}

std::optional<Access> ModelledHostPerf::write_lbr(EventId id, MsrIndex msr, std::uint64_t value) {
  const GuestLbr guest = guest_lbr(id);
  if (guest.unit == nullptr) return std::nullopt;
  return guest.unit->write(msr, value) ? Access::done() : Access::fault();
}

silicon::x86::LbrState ModelledHostPerf::lbr_state(EventId id) const {
  const GuestLbr guest = guest_lbr(id);
  if (guest.unit != nullptr) return guest.unit->save();
  if (guest.records.valid) return guest.records.state;
  return {.depth = model_.lbr().depth};
}

bool ModelledHostPerf::set_lbr_state(EventId id, const silicon::x86::LbrState& state) {
  const GuestLbr guest = guest_lbr(id);
  silicon::x86::LbrStack& checked = guest.unit != nullptr ? *guest.unit : *scratch_;
  if (!checked.restore(state)) return false;
  if (guest.unit == nullptr) guest.records.set(state);
  return true;
}

silicon::x86::LbrStack* ModelledHostPerf::lbr_unit(HostCpu cpu) {
  LbrUnit* const unit = cpu_of(cpu).lbr();
  return unit != nullptr ? &unit->stack() : nullptr;
}

bool ModelledHostPerf::records_for_host(HostCpu cpu) const {
  return cpu_of(cpu).records_for_host();
}

std::size_t ModelledHostPerf::branches(EventId id,
                                       std::span<silicon::x86::LbrStack::Decoded> into) const {
  const Place at = place(id);
  if (at.event.state != EventState::kActive || at.event.attr.exclude_guest ||
      at.event.programme.lbr.kind != LbrUse::Kind::kHost) {
    return 0;
  }
  const silicon::x86::LbrStack& unit = at.context.cpu()->lbr()->stack();
  const std::size_t most = std::min<std::size_t>(unit.depth(), into.size());
  std::size_t found = 0;
  for (; found < most; ++found) {
    const auto record = unit.newest(static_cast<unsigned>(found));
    if (record.from == 0) break;
    into[found] = silicon::x86::LbrStack::decode(unit.model(), record);
  }
  return found;
}

void ModelledHostPerf::use_lbr_for_trace(HostCpu cpu, bool used) {
  Cpu& traced = cpu_of(cpu);
  if (traced.task() != nullptr) traced.task()->vcpu()->totals->hand_over();
  traced.set_traced(used);
}

const LbrSwitches& ModelledHostPerf::lbr_switches(HostCpu cpu) const {
  static constexpr LbrSwitches kNone;
  const LbrUnit* const unit = cpu_of(cpu).lbr();
  return unit != nullptr ? unit->switches() : kNone;
}

// ---- Snapshots ----------------------------------------------------------------------------------

HostCpuState ModelledHostPerf::save(HostCpu cpu) const {
  Cpu& saved = cpu_of(cpu);
  HostCpuState state;
  state.vcpu = vcpu_on(cpu);
  saved.own().save_rotation(state);
  return state;
}

void ModelledHostPerf::restore(HostCpu cpu, const HostCpuState& state) {
  Cpu& restored = cpu_of(cpu);
  if (restored.task() != nullptr) {
    restored.task()->vcpu()->totals->hand_over();
    restored.switch_to(nullptr);
  }
  restored.own().restore_rotation(state);
  restored.schedule();
  if (state.vcpu) switch_in(*state.vcpu, cpu);
}

EventPast ModelledHostPerf::past(EventId id) {
  const Place at = place(id);
  if (!at.hand_over()) return {};
  return at.context.past(at.event);
}

void ModelledHostPerf::set_past(EventId id, const EventPast& past) {
  const Place at = place(id);
  if (at.hand_over()) at.context.set_past(at.event, past);
}

}  // namespace vpmu::hostperf
