// SPDX-License-Identifier: MIT
#include "property/spe_lockstep.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "property/answers.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::property {

using Kind = SpeVcpuOperation::Kind;
using UnitKind = SpeUnitOperation::Kind;
using Outcome = ReferenceSpeUnit::Outcome;
using silicon::Privilege;
using silicon::arm64::SpeUnitState;
using silicon::arm64::SystemRegister;
using virt::arm64::SpeAttribute;
using virt::arm64::SpeEntry;
using virt::arm64::SpeFlavour;
using virt::arm64::SpeState;
using virt::arm64::SpeVm;

namespace {

SystemRegister register_of(unsigned which) {
  return silicon::arm64::system_register(3, 0, 9, which >> 4, which & 0xf);
}

virt::arm64::SpeVmConfig config_of(const SpeSetup& setup) {
  virt::CpuSet cpus{4};
  for (unsigned cpu = 0; cpu < setup.cpus_with; ++cpu) cpus.insert(cpu);
  return {.model = setup.model,
          .cpus = cpus,
          .flavour = static_cast<SpeFlavour>(setup.flavour),
          .perfmon_capable = setup.perfmon_capable,
          .exclusive = setup.exclusive,
          .max_buffer_bytes = setup.most_pages * std::uint64_t{0x1000}};
}

template <class T>
int number_of(const ErrnoResult<T>& result) {
  return result ? 0 : result.error().number;
}

std::optional<std::string> differ(const char* what, std::int64_t is, std::int64_t expected) {
  if (is == expected) return {};
  return fmt::format("{}: {:#x}, expected {:#x}", what, is, expected);
}

/// What the host has of the unit, where PMSCR_EL1 of VHE is guests' only.
SpeUnitState registers_of(const silicon::arm64::SpeUnit& unit, unsigned flavour) {
  SpeUnitState state = unit.save();
  if (flavour == 0) state.pmscr = 0;
  state.random = state.in_flight = 0;
  state.statistics = {};
  return state;
}

/// Something of a state that a fault can hit.
void damage(SpeState& state, std::uint64_t what) {
  SpeUnitState& unit = (what & 0x2000) != 0 ? state.unit : state.guest;
  std::uint64_t* const words[] = {
      &unit.pmscr,   &unit.pmsnevfr,  &unit.pmsicr,    &unit.pmsirr,       &unit.pmsfcr,
      &unit.pmsevfr, &unit.pmslatfr,  &unit.pmblimitr, &unit.pmbptr,       &unit.pmbsr,
      &unit.random,  &unit.in_flight, &state.pmbidr,   &state.model.pmsidr};
  bool* const flags[] = {&state.has_feature,    &state.initialised,
                         &state.host_has_unit,  &state.entered,
                         &state.has_run,        &state.asserted,
                         &state.place.controls, &state.place.inverted_filter,
                         &state.place.buffer,   &state.place.host_stopped};
  const std::uint64_t which = what / 64 % 64;
  if (which < std::size(words)) {
    *words[which] ^= std::uint64_t{1} << what % 64;
  } else if (which < 60) {
    bool& flag = *flags[which % std::size(flags)];
    flag = !flag;
  } else {
    state.stop = static_cast<virt::arm64::SpeStop>(what % 4);
  }
}

}  // namespace

SpeLockstep::Vcpu::Vcpu(const Setup& setup, std::uint64_t seed, SpePages& pages)
    : vm{config_of(setup)}, unit{setup.model, seed, pages}, spe{vm, &unit, line} {
  vm.set_interrupt_controller(SpeVm::InterruptController::kInitialised);
  for (const auto& [which, value] : {std::pair<unsigned, std::uint64_t>{0x91, 0x20},
                                     {0x92, seed},
                                     {0x93, 0x4200},
                                     {0x95, 0x8},
                                     {0xa1, 0x9000'0000 + seed * 64},
                                     {0xa0, 0x9010'0000},
                                     {0x90, 2}}) {
    (void)unit.write(register_of(which), value);
  }
  if (setup.host_profiles) (void)unit.write(register_of(0xa0), 0x9010'0001);
  unit.set_owner({.pmscr_el2 = 0x40});
  hosts = registers_of(unit, setup.flavour);
}

void SpeLockstep::Vcpu::set_up(const SpeState& as) {
  if (as.has_feature) ensure(spe.init_vcpu({.spe = true}).has_value());
  if (as.irq != 0) ensure(spe.set_irq(as.irq).has_value());
  if (as.initialised) ensure(spe.init().has_value());
}

SpeLockstep::SpeLockstep(const Setup& setup)
    : setup_{setup},
      vcpu_{std::make_unique<Vcpu>(setup, seed_, pages_)},
      reference_{setup, vcpu_->unit.save().random} {
  if (!setup.ready) return;
  vcpu_->set_up({.has_feature = true, .initialised = true, .irq = 21});
  ensure(vcpu_->spe.set_supported_cpus(setup.cpus_with == 2 ? "0-1" : "all").has_value());
}

std::optional<std::string> SpeLockstep::step(const Operation& operation) {
  if (auto difference = act(operation)) return difference;
  return compare_outside();
}

std::optional<std::string> SpeLockstep::act(const Operation& operation) {
  virt::arm64::Spe& spe = vcpu_->spe;
  switch (operation.kind) {
    case Kind::kUnit: return unit_operation(operation);
    case Kind::kHostAccess: return access(operation.unit, operation.flag, true);
    case Kind::kEnter: return enter(operation.value);
    case Kind::kExit:
      spe.exit();
      reference_.leave();
      return {};
    case Kind::kScheduledOut:
      spe.scheduled_out();
      reference_.leave();
      return compare_hosts();
    case Kind::kStop:
      return attribute({.kind = Kind::kSetAttribute, .which = 2, .value = operation.value});
    case Kind::kHostHasUnit:
      spe.set_host_has_unit(operation.flag);
      reference_.set_host_has_unit(operation.flag);
      return {};
    case Kind::kReset:
      spe.reset();
      reference_.reset();
      return {};
    case Kind::kMove: return move();
    case Kind::kDamaged: return restore_damaged(operation.value);
    case Kind::kInitVcpu:
      return differ(
          "VCPU_INIT",
          number_of(spe.init_vcpu({.spe = operation.flag, .aarch32_el1 = operation.value != 0})),
          reference_.init_vcpu(operation.flag, operation.value != 0));
    case Kind::kCpus: {
      const SpeCpuList& list = spe_cpu_lists()[operation.value];
      return differ("SUPPORTED_CPUS", number_of(spe.set_supported_cpus(list.list)),
                    reference_.set_cpus(list));
    }
    case Kind::kSetAttribute:
    case Kind::kGetAttribute: return attribute(operation);
  }
  return {};
}

// ---- The guest ----------------------------------------------------------------------------------

std::optional<std::string> SpeLockstep::unit_operation(const Operation& operation) {
  const SpeUnitOperation& what = operation.unit;
  switch (what.kind) {
    case UnitKind::kRead:
    case UnitKind::kWrite: return access(what, operation.flag, false);
    case UnitKind::kStart: return start(what);
    case UnitKind::kRetire: return retire(what);
    case UnitKind::kPage: {
      const SpePages::Page page{static_cast<std::uint8_t>(what.value)};
      pages_.set(what.which, page);
      reference_.unit.pages.set(what.which, page);
      return {};
    }
    default: return {};
  }
}

std::optional<std::string> SpeLockstep::access(const SpeUnitOperation& what, bool el0, bool host) {
  const Initiator initiator = host ? Initiator::kHost : Initiator::kGuest;
  const Privilege privilege = el0 ? Privilege::kUser : Privilege::kKernel;
  const SystemRegister which = register_of(what.which);
  if (what.kind == UnitKind::kRead) {
    return compare(describe(what), vcpu_->spe.read_register(which, privilege, initiator),
                   reference_.read(what.which, el0, host));
  }
  return compare(describe(what), vcpu_->spe.write_register(which, what.value, privilege, initiator),
                 reference_.write(what.which, what.value, el0, host));
}

/// As a driver does, back in the guest behind each access.
std::optional<std::string> SpeLockstep::start(const SpeUnitOperation& what) {
  const std::uint64_t limit = (what.value | 0xfff) + 1 + what.which * 0x1000;
  for (const auto& [which, value] : {std::pair<std::uint8_t, std::uint64_t>{0xa3, 0},
                                     {0xa1, what.value},
                                     {0xa0, limit | 1},
                                     {0x93, what.flag ? 0x101 : 0x100},
                                     {0x90, 0x33}}) {
    if (auto difference = enter(0)) return difference;
    auto difference =
        access({.kind = UnitKind::kWrite, .which = which, .value = value}, false, false);
    if (difference) return difference;
  }
  return enter(0);
}

/// As a CPU does: up to the next sample at once. The unit's interrupt is an exit.
std::optional<std::string> SpeLockstep::retire(const SpeUnitOperation& what) {
  if (!vcpu_->spe.is_entered() || reference_.host_has_it()) return {};
  silicon::arm64::SpeUnit& unit = vcpu_->unit;
  std::uint64_t left = what.value;
  while (left != 0 && !unit.interrupt()) {
    if (!unit.profiles(what.operation.pc.level)) return retire_unselected(what, 1);
    const std::uint64_t free = std::min(unit.until_sample() - 1, left);
    unit.pass(free);
    if (auto difference = retire_unselected(what, free)) return difference;
    left -= free;
    if (left == 0) break;
    what.flag ? unit.drop() : unit.sample(what.operation);
    if (reference_.retire(what.operation, !what.flag) != Outcome::kSelected) {
      return "an operation is selected that must not be";
    }
    --left;
  }
  if (unit.interrupt()) vcpu_->spe.exit();
  return {};
}

std::optional<std::string> SpeLockstep::retire_unselected(const SpeUnitOperation& what,
                                                          std::uint64_t count) {
  for (std::uint64_t n = 0; n < count; ++n) {
    if (reference_.retire(what.operation, true) == Outcome::kSelected) {
      return fmt::format("operation {} of {} is selected", n + 1, count);
    }
  }
  return {};
}

std::optional<std::string> SpeLockstep::enter(std::uint64_t cpu) {
  const SpeEntry is = vcpu_->spe.enter(hostperf::HostCpu{static_cast<std::int32_t>(cpu)});
  return differ("entry", static_cast<int>(is),
                static_cast<int>(reference_.enter(static_cast<unsigned>(cpu))));
}

// ---- The VMM ------------------------------------------------------------------------------------

std::optional<std::string> SpeLockstep::attribute(const Operation& operation) {
  const SpeAttribute which{operation.which};
  std::int32_t value = static_cast<std::int32_t>(operation.value);
  if (operation.kind == Kind::kSetAttribute) {
    const int is = number_of(vcpu_->spe.set_attribute(which, operation.flag ? nullptr : &value));
    return differ(
        "errno", is,
        reference_.set(operation.which, operation.flag ? std::nullopt : std::optional{value}));
  }
  std::int32_t expected = value;
  const int is = number_of(vcpu_->spe.get_attribute(which, &value));
  if (auto difference = differ("errno", is, reference_.get(operation.which, expected))) {
    return difference;
  }
  return differ("attribute", value, expected);
}

std::optional<std::string> SpeLockstep::move() {
  const SpeState state = vcpu_->spe.save();
  const virt::CpuSet cpus = vcpu_->spe.supported_cpus();
  auto there = std::make_unique<Vcpu>(setup_, ++seed_, pages_);
  there->set_up(state);
  ensure(there->spe.set_supported_cpus(virt::cpu_list(cpus).c_str()).has_value());
  if (const auto restored = there->spe.restore(state); !restored) {
    return "a state that was saved is refused: " + restored.error().message;
  }
  if (there->spe.save() != state) return "a state has changed by a restore";
  // Without the feature, nobody has drawn anything from the unit's generator.
  if (!state.has_feature) reference_.unit.random = there->unit.save().random;
  vcpu_ = std::move(there);
  return {};
}

/// Whatever is accepted is a state that can go on; what is refused changes nothing.
std::optional<std::string> SpeLockstep::restore_damaged(std::uint64_t what) {
  const SpeState saved = vcpu_->spe.save();
  SpeState state = saved;
  damage(state, what);
  SpePages pages;
  Vcpu there{setup_, 7, pages};
  there.set_up(saved);
  const SpeState before = there.spe.save();
  if (!there.spe.restore(state)) {
    return there.spe.save() == before ? std::nullopt
                                      : std::optional<std::string>{"a refused state changes it"};
  }
  if (there.line.on != there.spe.buffer_line()) return "the line is not that of the state";
  for (int i = 0; i < 2; ++i) {
    there.spe.exit();
    (void)there.spe.enter(hostperf::HostCpu{0});
    if (there.unit.profiles(0)) there.unit.drop();
  }
  there.spe.scheduled_out();
  return registers_of(there.unit, setup_.flavour) == there.hosts
             ? std::nullopt
             : std::optional<std::string>{"a state that is accepted changes the host's registers"};
}

// ---- What must hold -----------------------------------------------------------------------------

std::optional<std::string> SpeLockstep::compare_hosts(bool still_scheduled) const {
  SpeUnitState is = registers_of(vcpu_->unit, setup_.flavour);
  // Until the vCPU is scheduled out, PMSNEVFR_EL1 may be the guest's: no host uses it.
  if (still_scheduled && setup_.flavour != 2) is.pmsnevfr = vcpu_->hosts.pmsnevfr;
  if (is != vcpu_->hosts) {
    return "the host's registers are not as it left them";
  }
  return vcpu_->unit.owner().pmscr_el2 == 0x40 ? std::nullopt
                                               : std::optional<std::string>{"PMSCR_EL2"};
}

std::optional<std::string> SpeLockstep::compare_outside() const {
  const virt::arm64::Spe& spe = vcpu_->spe;
  if (vcpu_->line.repeated) return "the sink was told of what was no change";
  if (vcpu_->line.on != reference_.line()) return "the interrupt";
  if (spe.buffer_line() != vcpu_->line.on) return "the interrupt, as it is said";
  if (spe.is_entered() != reference_.entered) {
    return fmt::format("it is {}", spe.is_entered() ? "entered" : "not entered");
  }
  if (spe.is_entered() && reference_.host_has_it()) return compare_hosts();
  if (!spe.is_entered() && (setup_.host_profiles || setup_.flavour == 2)) {
    if (auto difference = compare_hosts(true)) return difference;
  }
  for (unsigned level = 0; spe.is_entered() && level < 3; ++level) {
    const bool expected = reference_.has_unit() && reference_.unit.profiles(level);
    if (vcpu_->unit.profiles(level) != expected && (reference_.feature || setup_.flavour != 0)) {
      return fmt::format("it {} EL{}", expected ? "does not profile" : "profiles", level);
    }
  }
  return differ("MDCR_EL2", static_cast<std::int64_t>(spe.mdcr_el2().raw), reference_.mdcr_el2());
}

std::optional<std::string> SpeLockstep::compare_all() {
  for (unsigned which = 0x90; which < 0xb0; ++which) {
    if ((which & 0xf) > 7) continue;
    const SpeUnitOperation read{.kind = UnitKind::kRead, .which = static_cast<std::uint8_t>(which)};
    if (auto difference = access(read, false, true)) return difference;
  }
  if (!std::ranges::equal(pages_.bytes(), reference_.unit.pages.bytes())) return "the buffer";
  pages_.writes.clear();
  reference_.unit.pages.writes.clear();
  struct Row {
    const char* what;
    std::uint64_t is, expected;
  };
  const silicon::arm64::SpeStatistics& units = vcpu_->unit.statistics();
  const virt::arm64::SpeExitStatistics& exits = vcpu_->spe.exit_statistics();
  for (const Row& row :
       {Row{"population", units.population, reference_.unit.population},
        Row{"feed", units.feed, reference_.unit.feed},
        Row{"collisions", units.collisions, reference_.unit.collisions},
        Row{"records", units.records, reference_.unit.records},
        Row{"generator", vcpu_->unit.save().random, reference_.unit.random},
        Row{"events", exits.events, reference_.events}, Row{"full", exits.full, reference_.full},
        Row{"misprogrammed", exits.misprogrammed, reference_.misprogrammed},
        Row{"stage 1", exits.stage1_faults, reference_.stage1_faults},
        Row{"external", exits.external_aborts, reference_.external_aborts},
        Row{"lost", units.lost, reference_.unit.lost},
        Row{"replaced", exits.replaced, reference_.replaced},
        Row{"too large", exits.too_large, reference_.too_large}}) {
    auto difference = differ(row.what, static_cast<std::int64_t>(row.is),
                             static_cast<std::int64_t>(row.expected));
    if (difference) return difference;
  }
  return {};
}

std::optional<std::string> SpeLockstep::finish() {
  if (auto difference = compare_all()) return difference;
  vcpu_->spe.scheduled_out();
  return compare_hosts();
}

}  // namespace vpmu::property
