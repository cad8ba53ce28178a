// SPDX-License-Identifier: MIT
//
// The unit's registers as software sees them, and what moves with a guest.
#include <limits>
#include <string>

#include "silicon/arm64/spe_filters.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"

namespace vpmu::silicon::arm64 {

namespace {

struct WritableRegister {
  SystemRegister which;
  const char* name;
  std::uint64_t SpeUnitState::*value;
  /// Bits that are not RES0.
  std::uint64_t (*bits)(const SpeModel& model);
};

bool has_random_behind_interval(const SpeModel& model) {
  return Pmsidr{model.pmsidr}.get(Pmsidr::kErnd) != 0;
}
bool has_wide_counters(const SpeModel& model) {
  return Pmsidr{model.pmsidr}.get(Pmsidr::kCountSize) == 3;
}

std::uint64_t pmscr_bits(const SpeModel& model) {
  constexpr Field<7> kOnlyWithEcv;
  return model.version >= kSpeV1p2 ? Pmscr::kWritable : Pmscr::kWritable & ~mask_of(kOnlyWithEcv);
}
std::uint64_t pmsnevfr_bits(const SpeModel& model) {
  return model.version >= kSpeV1p2 ? filterable_events(model.version) : 0;
}
std::uint64_t pmsicr_bits(const SpeModel& model) {
  return has_random_behind_interval(model) ? mask_of(Pmsicr::kCount, Pmsicr::kEcount)
                                           : mask_of(Pmsicr::kCount);
}
std::uint64_t pmsirr_bits(const SpeModel& /*model*/) {
  return Pmsirr::kWritable;
}
std::uint64_t pmsfcr_bits(const SpeModel& model) {
  constexpr std::uint64_t kAlways =
      mask_of(Pmsfcr::kFe, Pmsfcr::kFt, Pmsfcr::kFl, Pmsfcr::kB, Pmsfcr::kLd, Pmsfcr::kSt);
  return model.version >= kSpeV1p2 ? kAlways | mask_of(Pmsfcr::kFne) : kAlways;
}
std::uint64_t pmsevfr_bits(const SpeModel& model) {
  return filterable_events(model.version);
}
std::uint64_t pmslatfr_bits(const SpeModel& model) {
  constexpr Field<11, 0> kOf12Bits;
  return has_wide_counters(model) ? mask_of(Pmslatfr::kMinlat) : mask_of(kOf12Bits);
}
std::uint64_t pmblimitr_bits(const SpeModel& model) {
  constexpr std::uint64_t kAlways = mask_of(Pmblimitr::kE, Pmblimitr::kLimit);
  return model.version >= kSpeV1p2 ? kAlways | mask_of(Pmblimitr::kFm, Pmblimitr::kPmfz) : kAlways;
}
std::uint64_t pmbptr_bits(const SpeModel& /*model*/) {
  return ~std::uint64_t{0};
}
std::uint64_t pmbsr_bits(const SpeModel& /*model*/) {
  return Pmbsr::kWritable;
}

constexpr WritableRegister kRegisters[] = {
    {reg::PMSCR_EL1, "PMSCR_EL1", &SpeUnitState::pmscr, pmscr_bits},
    {reg::PMSNEVFR_EL1, "PMSNEVFR_EL1", &SpeUnitState::pmsnevfr, pmsnevfr_bits},
    {reg::PMSICR_EL1, "PMSICR_EL1", &SpeUnitState::pmsicr, pmsicr_bits},
    {reg::PMSIRR_EL1, "PMSIRR_EL1", &SpeUnitState::pmsirr, pmsirr_bits},
    {reg::PMSFCR_EL1, "PMSFCR_EL1", &SpeUnitState::pmsfcr, pmsfcr_bits},
    {reg::PMSEVFR_EL1, "PMSEVFR_EL1", &SpeUnitState::pmsevfr, pmsevfr_bits},
    {reg::PMSLATFR_EL1, "PMSLATFR_EL1", &SpeUnitState::pmslatfr, pmslatfr_bits},
    {reg::PMBLIMITR_EL1, "PMBLIMITR_EL1", &SpeUnitState::pmblimitr, pmblimitr_bits},
    {reg::PMBPTR_EL1, "PMBPTR_EL1", &SpeUnitState::pmbptr, pmbptr_bits},
    {reg::PMBSR_EL1, "PMBSR_EL1", &SpeUnitState::pmbsr, pmbsr_bits},
};

/// Null if there is none of that name.
const WritableRegister* find_writable(SystemRegister which) {
  for (const WritableRegister& each : kRegisters) {
    if (each.which == which) return &each;
  }
  return nullptr;
}

bool exists(SystemRegister which, const SpeModel& model) {
  return which != reg::PMSNEVFR_EL1 || model.version >= kSpeV1p2;
}

/// Whether such counts can have come about.
bool is_possible(const SpeStatistics& counts) {
  return counts.feed <= counts.population && counts.collisions <= counts.population - counts.feed &&
         counts.filtrate <= counts.feed && counts.records <= counts.filtrate &&
         counts.lost <= counts.filtrate - counts.records && counts.misprogrammed <= counts.lost;
}

}  // namespace

Access SpeUnit::read(SystemRegister which) const {
  if (const WritableRegister* found = find_writable(which)) {
    return exists(which, model_) ? Access::done(state_.*found->value) : Access::fault();
  }
  if (which == reg::PMSIDR_EL1) return Access::done(model_.pmsidr);
  if (which == reg::PMBIDR_EL1) return Access::done(model_.pmbidr);
  return which == reg::PMSCR_EL2 ? Access::fault() : Access::not_mine();
}

Access SpeUnit::write(SystemRegister which, std::uint64_t value) {
  const WritableRegister* found = find_writable(which);
  if (found == nullptr) return read(which).is_not_mine() ? Access::not_mine() : Access::fault();
  if (!exists(which, model_)) return Access::fault();
  state_.*found->value = value & found->bits(model_);
  settle();
  return Access::done();
}

void SpeUnit::reset() {
  for (const WritableRegister& each : kRegisters) state_.*each.value = 0;
  settle();
}

Result<void> SpeUnit::restore(const SpeUnitState& state) {
  for (const WritableRegister& each : kRegisters) {
    if ((state.*each.value & ~each.bits(model_)) != 0) {
      return fail(std::string{each.name} + " with bits that this CPU does not have");
    }
  }
  if (state.random == 0) return fail("a generator of random bytes for SPE that gives none");
  SpeUnit moved = *this;
  moved.state_ = state;
  if (state.in_flight > std::numeric_limits<std::uint32_t>::max() ||
      (state.in_flight != 0 && !moved.profiles_anywhere())) {
    return fail("an SPE sample in flight where there can be none");
  }
  if (!is_possible(state.statistics)) return fail("counts of SPE samples that cannot come about");
  state_ = state;
  return {};
}

}  // namespace vpmu::silicon::arm64
