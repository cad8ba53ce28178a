// SPDX-License-Identifier: MIT
#include "vpmu/silicon/arm64/spe_unit.hpp"

#include <algorithm>
#include <optional>

#include "silicon/arm64/spe_filters.hpp"
#include "silicon/arm64/spe_sampling.hpp"
#include "vpmu/base/ensure.hpp"
#include "vpmu/silicon/arm64/spe_record.hpp"

namespace vpmu::silicon::arm64 {

namespace {

/// The time that a record gets at `operation`.
std::optional<std::uint64_t> timestamp(Pmscr guest, const SpeOwner& owner,
                                       const SpeOperation& operation) {
  if (guest.get(Pmscr::kTs) == 0) return std::nullopt;
  const std::uint64_t permitted = PmscrEl2{owner.pmscr_el2}.get(PmscrEl2::kPct);
  std::uint64_t source = guest.get(Pmscr::kPct);
  if (permitted == kSpePctOffset && source == kSpePctPhysical) source = kSpePctOffset;
  if (permitted != kSpePctOffset && permitted != kSpePctPhysical) source = kSpePctVirtual;
  switch (source) {
    case kSpePctPhysical: return operation.physical_count;
    case kSpePctOffset: return operation.physical_count - owner.cntpoff_el2;
    default: return operation.virtual_count;
  }
}

SpeRecordOptions options_of(const SpeUnitState& registers, const SpeOwner& owner,
                            const SpeModel& model, const SpeOperation& operation) {
  const Pmscr control{registers.pmscr};
  const PmscrEl2 el2{owner.pmscr_el2};
  const Pmsidr id{model.pmsidr};
  SpeRecordOptions options;
  options.context_el1 = control.get(Pmscr::kCx) != 0;
  if (el2.get(PmscrEl2::kCx) != 0) options.context_el2 = owner.contextidr_el2;
  options.physical_address = control.get(Pmscr::kPa) != 0 && el2.get(PmscrEl2::kPa) != 0;
  options.data_source = id.get(Pmsidr::kLds) != 0;
  options.timestamp = timestamp(control, owner, operation);
  options.counter_bits = id.get(Pmsidr::kCountSize) == 3 ? 16 : 12;
  options.align = static_cast<unsigned>(Pmbidr{model.pmbidr}.get(Pmbidr::kAlign));
  return options;
}

}  // namespace

SpeUnit::SpeUnit(const SpeModel& model, std::uint64_t seed, SpeBuffer& buffer)
    : model_{model}, buffer_{buffer} {
  ensure(is_valid(model));
  model_.pmbidr &= ~mask_of(Pmbidr::kP);
  state_.random = SpeSampling::seeded(seed);
}

bool SpeUnit::profiles(unsigned level) const {
  if (Pmblimitr{state_.pmblimitr}.get(Pmblimitr::kE) == 0 || interrupt()) return false;
  const Pmscr control{state_.pmscr};
  switch (level) {
    case 0: return control.get(Pmscr::kE0spe) != 0;
    case 1: return control.get(Pmscr::kE1spe) != 0;
    default: return false;
  }
}

bool SpeUnit::interrupt() const {
  return Pmbsr{state_.pmbsr}.get(Pmbsr::kS) != 0;
}

std::uint64_t SpeUnit::until_sample() const {
  static_assert(kNever == SpeSampling::kNever);
  return profiles_anywhere() ? sampling().until_selected() : kNever;
}

void SpeUnit::pass(std::uint64_t count) {
  if (profiles_anywhere()) advance(count);
}

void SpeUnit::sample(const SpeOperation& operation) {
  if (!profiles(operation.pc.level) || !select()) return;
  state_.in_flight = operation.total_latency;
  ++state_.statistics.feed;
  SpeOperation recorded = operation;
  recorded.events &= recorded_events(model_.version);
  if (!passes_filters(state_, recorded)) return;
  ++state_.statistics.filtrate;
  if (Pmblimitr{state_.pmblimitr}.get(Pmblimitr::kFm) != Pmblimitr::kDiscard) {
    write_record(recorded);
    settle();
  }
}

void SpeUnit::drop() {
  if (profiles_anywhere()) select();
}

SpeSampling SpeUnit::sampling() const {
  return {Pmsirr{state_.pmsirr}, Pmsicr{state_.pmsicr},
          Pmsidr{model_.pmsidr}.get(Pmsidr::kErnd) != 0, state_.random};
}

/// So many operations of the population have retired.
void SpeUnit::advance(std::uint64_t count) {
  state_.statistics.population += count;
  state_.in_flight -= std::min(state_.in_flight, count);
  SpeSampling counting = sampling();
  counting.advance(count);
  state_.pmsicr = counting.counters().raw;
  state_.random = counting.random();
}

/// The selected operation has retired. False if the last one is still in flight.
bool SpeUnit::select() {
  advance(1);
  if (state_.in_flight == 0) return true;
  ++state_.statistics.collisions;
  state_.pmbsr |= mask_of(Pmbsr::kColl);
  return false;
}

void SpeUnit::write_record(const SpeOperation& operation) {
  if (const Room there = room(); there != Room::kYes) {
    ++state_.statistics.misprogrammed;
    ++state_.statistics.lost;
    return stop(Pmbsr::kEcOther, there == Room::kFull ? Pmbsr::kBscFull : Pmbsr::kBscTooLarge);
  }
  const SpeRecord record = encode(operation, options_of(state_, owner_, model_, operation));
  if (const auto written = buffer_.write(state_.pmbptr, record.bytes()); !written) {
    ++state_.statistics.lost;
    return stop(written.error());
  }
  state_.pmbptr += record.bytes().size();
  ++state_.statistics.records;
  state_.statistics.bytes += record.bytes().size();
  if (room() == Room::kFull) stop(Pmbsr::kEcOther, Pmbsr::kBscFull);
}

/// Whether PMBPTR_EL1 is where the longest record can go.
SpeUnit::Room SpeUnit::room() const {
  constexpr std::uint64_t kTopByte = std::uint64_t{0xff} << 56;
  const std::uint64_t start = state_.pmbptr;
  const std::uint64_t limit = state_.pmblimitr & mask_of(Pmblimitr::kLimit);
  const std::uint64_t longest = std::uint64_t{1} << Pmsidr{model_.pmsidr}.get(Pmsidr::kMaxSize);
  const Pmbidr id{model_.pmbidr};
  const std::uint64_t misaligned = start & ((std::uint64_t{1} << id.get(Pmbidr::kAlign)) - 1);
  if (start >= limit || limit - start < longest || misaligned != 0) return Room::kFull;
  if (((start ^ limit) & kTopByte) != 0) return Room::kFull;
  const std::uint64_t largest = id.max_buffer_bytes();
  return largest != 0 && limit - start > largest ? Room::kTooLarge : Room::kYes;
}

/// A buffer management event. What PMBSR_EL1 has of other things stays.
void SpeUnit::stop(std::uint64_t event_class, std::uint64_t status) {
  Pmbsr syndrome{state_.pmbsr};
  syndrome.set(Pmbsr::kS, 1);
  syndrome.set(Pmbsr::kEc, event_class);
  syndrome.set(Pmbsr::kBsc, status);
  state_.pmbsr = syndrome.raw;
}

void SpeUnit::stop(const SpeBuffer::Fault& fault) {
  stop(fault.stage2 ? Pmbsr::kEcStage2 : Pmbsr::kEcStage1, fault.status);
  if (fault.external) state_.pmbsr |= mask_of(Pmbsr::kEa);
}

/// Nothing stays in flight where nothing is profiled.
void SpeUnit::settle() {
  if (!profiles_anywhere()) state_.in_flight = 0;
}

}  // namespace vpmu::silicon::arm64
