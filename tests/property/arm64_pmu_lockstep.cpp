// SPDX-License-Identifier: MIT
#include "property/arm64_pmu_lockstep.hpp"

#include <fmt/format.h>

#include "property/answers.hpp"

namespace vpmu::property {

namespace {

using silicon::Privilege;
using silicon::RawEvent;
using silicon::arm64::SystemRegister;
using virt::arm64::Pmu;
using virt::arm64::PmuConfig;

const silicon::arm64::CpuModel& host() {
  return *silicon::arm64::find_cpu_model("neoverse-n1");
}

PmuConfig config_of(const Arm64PmuSetup& setup) {
  return {.version = static_cast<std::uint8_t>(setup.version),
          .event_counters = static_cast<std::uint8_t>(setup.counters),
          .aarch32 = setup.aarch32,
          .common_events = virt::arm64::guest_pmu(host()).common_events};
}

SystemRegister register_of(std::uint32_t which) {
  return SystemRegister{static_cast<std::uint16_t>(which)};
}

Privilege privilege_of(bool el0) {
  return el0 ? Privilege::kUser : Privilege::kKernel;
}

}  // namespace

Arm64PmuLockstep::Arm64PmuLockstep(const Setup& setup)
    : setup_{setup}, modelled_{host(), vcpus_}, reference_{setup} {
  make_pmu();
  pmu_->before_entry();
}

Arm64PmuLockstep::~Arm64PmuLockstep() = default;

void Arm64PmuLockstep::make_pmu() {
  pmu_ = std::make_unique<Pmu>(config_of(setup_), perf_, hostperf::VcpuIndex{0}, line_);
  pmu_->set_event_gate(&gate_);
}

std::optional<std::string> Arm64PmuLockstep::step(const Operation& operation) {
  using Kind = Operation::Kind;
  switch (operation.kind) {
    case Kind::kRead:
    case Kind::kHostRead: return read(operation);
    case Kind::kWrite:
    case Kind::kHostWrite: return write(operation);
    case Kind::kRetire: return retire(operation);
    case Kind::kScheduledIn: pmu_->scheduled_in(); return enter();
    case Kind::kReset:
      pmu_->reset();
      reference_.reset();
      return enter();
    case Kind::kGate: change_gate(operation); return enter();
    case Kind::kRestore: return restore(operation);
  }
  return {};
}

std::optional<std::string> Arm64PmuLockstep::read(const Operation& operation) {
  const bool host = operation.kind == Operation::Kind::kHostRead;
  const Access access =
      pmu_->read_register(register_of(operation.where), privilege_of(operation.flag),
                          host ? Initiator::kHost : Initiator::kGuest);
  return compare(describe(operation), access, reference_.read(operation.where, operation.flag));
}

std::optional<std::string> Arm64PmuLockstep::write(const Operation& operation) {
  const bool host = operation.kind == Operation::Kind::kHostWrite;
  const Access access = pmu_->write_register(register_of(operation.where), operation.value,
                                             privilege_of(operation.flag),
                                             host ? Initiator::kHost : Initiator::kGuest);
  const Access expected = host ? reference_.host_write(operation.where, operation.value)
                               : reference_.write(operation.where, operation.value, operation.flag);
  if (auto difference = compare(describe(operation), access, expected)) return difference;
  return access.is_done() ? enter() : std::nullopt;
}

void Arm64PmuLockstep::retire_one(const Arm64Counts& counts, bool el0) {
  const Privilege privilege = privilege_of(el0);
  totals_.add(RawEvent::kInstructions, privilege, counts.instructions);
  totals_.add(RawEvent::kCycles, privilege, counts.cycles);
  totals_.add(RawEvent::kLoads, privilege, counts.loads);
  deadlines_.fire_due();
  reference_.retire(counts, el0);
}

std::optional<std::string> Arm64PmuLockstep::retire(const Operation& operation) {
  const Arm64Counts counts = counts_of(operation);
  for (std::uint32_t n = 0; n < operation.where; ++n) {
    const std::uint64_t requests = line_.requests;
    retire_one(counts, operation.flag);
    if (!pmu_->has_entry_work()) continue;
    if (line_.requests == requests) return "entry work that was not asked for";
    if (auto difference = enter()) return difference;
  }
  return {};
}

void Arm64PmuLockstep::change_gate(const Operation& operation) {
  gate_.key = operation.value;
  reference_.set_gate(operation.value);
  if (operation.flag) {
    pmu_->set_event_gate(&gate_);
  } else {
    pmu_->gate_changed();
  }
}

/// On another host: its line was never told anything.
std::optional<std::string> Arm64PmuLockstep::restore(const Operation& operation) {
  if (operation.flag) retire_one({.instructions = 1, .cycles = 2, .loads = 1}, false);
  const virt::arm64::PmuState state = pmu_->save();
  pmu_.reset();
  line_.on = false;
  make_pmu();
  if (const auto restored = pmu_->restore(state); !restored) return restored.error().message;
  if (pmu_->save() != state) return "restored, and saves something else";
  return enter();
}

std::optional<std::string> Arm64PmuLockstep::enter() {
  pmu_->before_entry();
  if (pmu_->has_entry_work()) return "before_entry() left work";
  if (line_.repeated) return "the sink was told of what was no change";
  if (line_.on != reference_.interrupt()) {
    return fmt::format("interrupt line: {}, expected {}", line_.on, reference_.interrupt());
  }
  const unsigned most = setup_.counters + 1;
  if (perf_.open_events() > most) return fmt::format("{} host events", perf_.open_events());
  return {};
}

std::optional<std::string> Arm64PmuLockstep::compare_all() {
  for (const std::uint32_t which : arm64_pmu_registers()) {
    const Operation look{.kind = Operation::Kind::kRead, .where = which};
    if (auto difference = read(look)) return difference;
  }
  if (pmu_->statistics().overflows != reference_.overflows()) {
    return fmt::format("overflows: {}, expected {}", pmu_->statistics().overflows,
                       reference_.overflows());
  }
  return {};
}

std::optional<std::string> Arm64PmuLockstep::finish() {
  if (auto difference = compare_all()) return difference;
  pmu_.reset();
  if (perf_.open_events() != 0) return fmt::format("{} host events left", perf_.open_events());
  return {};
}

}  // namespace vpmu::property
