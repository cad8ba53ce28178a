// SPDX-License-Identifier: MIT
#include "silicon/arm64/spe_filters.hpp"

namespace vpmu::silicon::arm64 {

namespace {

constexpr std::uint64_t kSvePartialPredicate = 1 << 17, kSveEmptyPredicate = 1 << 18;

bool passes_events(const SpeUnitState& registers, const SpeOperation& operation) {
  const Pmsfcr control{registers.pmsfcr};
  const std::uint64_t wanted = control.get(Pmsfcr::kFe) != 0 ? registers.pmsevfr : 0;
  if ((operation.events & wanted) != wanted) return false;
  const std::uint64_t unwanted = control.get(Pmsfcr::kFne) != 0 ? registers.pmsnevfr : 0;
  return (wanted & unwanted) != 0 || (operation.events & unwanted) == 0;
}

bool passes_type(const SpeUnitState& registers, const SpeOperation& operation) {
  const Pmsfcr control{registers.pmsfcr};
  const std::uint64_t types = control.raw & mask_of(Pmsfcr::kB, Pmsfcr::kLd, Pmsfcr::kSt);
  if (control.get(Pmsfcr::kFt) == 0 || types == 0) return true;
  Pmsfcr is;
  is.set(Pmsfcr::kB, operation.type.of == SpeOperationType::Class::kBranch);
  is.set(Pmsfcr::kLd, operation.loads);
  is.set(Pmsfcr::kSt, operation.stores);
  return (types & is.raw) != 0;
}

bool passes_latency(const SpeUnitState& registers, const SpeOperation& operation) {
  if (Pmsfcr{registers.pmsfcr}.get(Pmsfcr::kFl) == 0) return true;
  // What saturates is no less than any MINLAT, which has no more bits than the counter.
  return operation.total_latency >= Pmslatfr{registers.pmslatfr}.get(Pmslatfr::kMinlat);
}

}  // namespace

std::uint64_t recorded_events(std::uint8_t version) {
  std::uint64_t events = kSpeMisaligned - 1;
  if (version >= kSpeV1p1) events |= kSpeMisaligned | kSvePartialPredicate | kSveEmptyPredicate;
  return events;
}

std::uint64_t filterable_events(std::uint8_t version) {
  std::uint64_t events = kSpeRetired | kSpeL1dRefill | kSpeTlbWalk | kSpeMispredicted;
  if (version >= kSpeV1p1) events |= kSpeMisaligned;
  if (version >= kSpeV1p2) events |= kSpeNotTaken;
  return events;
}

bool passes_filters(const SpeUnitState& registers, const SpeOperation& operation) {
  return passes_events(registers, operation) && passes_type(registers, operation) &&
         passes_latency(registers, operation);
}

}  // namespace vpmu::silicon::arm64
