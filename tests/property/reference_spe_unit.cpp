// SPDX-License-Identifier: MIT
#include "property/reference_spe_unit.hpp"

#include <algorithm>

namespace vpmu::property {

namespace {

// CRm and op2.
constexpr unsigned kPmscr = 0x90, kPmsnevfr = 0x91, kPmsicr = 0x92, kPmsirr = 0x93, kPmsfcr = 0x94,
                   kPmsevfr = 0x95, kPmslatfr = 0x96, kPmsidr = 0x97, kPmblimitr = 0xa0,
                   kPmbptr = 0xa1, kPmbsr = 0xa3, kPmbidr = 0xa7;

using Class = silicon::arm64::SpeOperationType::Class;

std::uint64_t slice(std::uint64_t value, unsigned high, unsigned low) {
  return value << (63 - high) >> (63 - high + low);
}

void add(std::vector<std::uint8_t>& record, unsigned header, std::uint64_t payload,
         unsigned bytes) {
  record.push_back(static_cast<std::uint8_t>(header));
  for (; bytes != 0; --bytes, payload >>= 8) record.push_back(payload & 0xff);
}

std::uint64_t code(const silicon::arm64::SpeOperation::Place& place) {
  return slice(place.address, 55, 0) | std::uint64_t{1} << 63 | std::uint64_t{place.level} << 61;
}

}  // namespace

ReferenceSpeUnit::ReferenceSpeUnit(const silicon::arm64::SpeModel& model, std::uint64_t generator)
    : random{generator}, version_{model.version}, pmsidr_{model.pmsidr}, pmbidr_{model.pmbidr} {
  for (const unsigned which :
       {kPmscr, kPmsicr, kPmsirr, kPmsfcr, kPmsevfr, kPmslatfr, kPmblimitr, kPmbptr, kPmbsr}) {
    registers_[which] = 0;
  }
  if (version_ >= 3) registers_[kPmsnevfr] = 0;
}

/// Bits that are not RES0.
std::uint64_t ReferenceSpeUnit::bits(unsigned which) const {
  const bool v1p1 = version_ >= 2, v1p2 = version_ >= 3;
  const bool ernd = slice(pmsidr_, 5, 5), wide = slice(pmsidr_, 19, 16) == 3;
  switch (which) {
    case kPmscr: return v1p2 ? 0b1111'1011 : 0b0111'1011;
    case kPmsicr: return ernd ? 0xff00'0000'ffff'ffff : 0xffff'ffff;
    case kPmsirr: return 0xffff'ff01;
    case kPmsfcr: return 0b111'0000'0000'0000'0111 | (v1p2 ? 0b1000 : 0);
    case kPmsnevfr:
    case kPmsevfr: return 0b1010'1010 | (v1p1 ? 1 << 11 : 0) | (v1p2 ? 1 << 6 : 0);
    case kPmslatfr: return wide ? 0xffff : 0xfff;
    case kPmblimitr: return ~std::uint64_t{0xfff} | (v1p2 ? 0b10'0111 : 1);
    case kPmbptr: return ~std::uint64_t{0};
    case kPmbsr: return 0x00ff'ffff'fc0f'ffff;
    default: return 0;
  }
}

std::uint64_t ReferenceSpeUnit::field(unsigned which, unsigned high, unsigned low) const {
  const auto found = registers_.find(which);
  return found == registers_.end() ? 0 : slice(found->second, high, low);
}

bool ReferenceSpeUnit::bit(unsigned which, unsigned number) const {
  return field(which, number, number) != 0;
}

Access ReferenceSpeUnit::read(unsigned which) const {
  if (which == kPmsidr) return Access::done(pmsidr_);
  if (which == kPmbidr) return Access::done(pmbidr_);
  const auto found = registers_.find(which);
  if (found != registers_.end()) return Access::done(found->second);
  return which == kPmsnevfr ? Access::fault() : Access::not_mine();
}

Access ReferenceSpeUnit::write(unsigned which, std::uint64_t value) {
  const auto found = registers_.find(which);
  if (found == registers_.end()) return read(which).is_not_mine() ? read(which) : Access::fault();
  found->second = value & bits(which);
  complete_if_off();
  return Access::done();
}

void ReferenceSpeUnit::reset() {
  for (auto& [which, value] : registers_) value = 0;
  complete_if_off();
}

bool ReferenceSpeUnit::profiles(unsigned level) const {
  if (!bit(kPmblimitr, 0)) return false;
  if (bit(kPmbsr, 17)) return false;
  if (level > 1) return false;
  return bit(kPmscr, level);
}

void ReferenceSpeUnit::complete_if_off() {
  if (!profiles(0) && !profiles(1)) in_flight = 0;
}

std::uint64_t ReferenceSpeUnit::random_byte() {
  random ^= random >> 12;
  random ^= random << 25;
  random ^= random >> 27;
  return slice(random * 0x2545'f491'4f6c'dd1d, 63, 56);
}

/// SPEToCollectSample().
bool ReferenceSpeUnit::collect() {
  const bool ernd = slice(pmsidr_, 5, 5), rnd = bit(kPmsirr, 0);
  std::uint64_t count = field(kPmsicr, 31, 0), ecount = field(kPmsicr, 63, 56);
  bool selected = false, primary_ended = false;
  if (count == 0) {
    count = field(kPmsirr, 31, 8) << 8;
    if (rnd && !ernd) count += random_byte();
  } else {
    count -= 1;
    if (count == 0) {
      if (rnd && ernd) {
        ecount = random_byte();
        selected = ecount == 0;
        primary_ended = true;
      } else {
        selected = true;
      }
    }
  }
  if (rnd && ernd && ecount != 0 && !primary_ended) {
    ecount -= 1;
    if (ecount == 0) selected = true;
  }
  registers_[kPmsicr] = ecount << 56 | count;
  return selected;
}

ReferenceSpeUnit::Outcome ReferenceSpeUnit::retire(const Operation& operation, bool known) {
  if (!profiles(operation.pc.level)) return Outcome::kNotProfiled;
  population += 1;
  if (in_flight != 0) in_flight -= 1;
  if (!collect()) return Outcome::kNotSelected;
  if (in_flight != 0) {
    collisions += 1;
    registers_[kPmbsr] |= 1 << 16;
    return Outcome::kSelected;
  }
  if (!known) return Outcome::kSelected;
  in_flight = operation.total_latency;
  // SPECompleteSample().
  feed += 1;
  std::uint64_t events = operation.events & 0x7ff;
  if (version_ >= 2) events = operation.events & 0x6'0fff;
  if (filtered_out(operation, events)) return Outcome::kSelected;
  filtrate += 1;
  if (field(kPmblimitr, 2, 1) != 2) write_record(operation, events);
  complete_if_off();
  return Outcome::kSelected;
}

bool ReferenceSpeUnit::filtered_out(const Operation& operation, std::uint64_t events) const {
  const std::uint64_t all_of = field(kPmsevfr, 63, 0), none_of = field(kPmsnevfr, 63, 0);
  const bool by_event = bit(kPmsfcr, 0) && all_of != 0;
  const bool by_no_event =
      bit(kPmsfcr, 3) && none_of != 0 && !(by_event && (all_of & none_of) != 0);
  if (by_event && (events & all_of) != all_of) return true;
  if (by_no_event && (events & none_of) != 0) return true;
  const bool b = bit(kPmsfcr, 16), ld = bit(kPmsfcr, 17), st = bit(kPmsfcr, 18);
  const bool by_type = bit(kPmsfcr, 1) && (b || ld || st);
  const bool branch = operation.type.of == Class::kBranch;
  if (by_type && !((b && branch) || (ld && operation.loads) || (st && operation.stores))) {
    return true;
  }
  const std::uint64_t least = field(kPmslatfr, 15, 0);
  const std::uint64_t saturated = slice(pmsidr_, 19, 16) == 3 ? 0xffff : 0xfff;
  const std::uint64_t counter = std::min<std::uint64_t>(operation.total_latency, saturated);
  return bit(kPmsfcr, 2) && least != 0 && counter < least;
}

void ReferenceSpeUnit::write_record(const Operation& operation, std::uint64_t events) {
  const std::uint64_t limit = field(kPmblimitr, 63, 12) << 12, pointer = registers_[kPmbptr];
  const std::uint64_t longest = 1 << slice(pmsidr_, 15, 12);
  const std::uint64_t alignment = 1 << slice(pmbidr_, 3, 0);
  const bool as_required = pointer % alignment == 0 && limit >= longest &&
                           pointer <= limit - longest &&
                           slice(pointer, 63, 56) == slice(limit, 63, 56);
  const std::uint64_t most = slice(pmbidr_, 47, 32) * 4096;
  if (!as_required || (most != 0 && limit - pointer > most)) {
    misprogrammed += 1;
    lost += 1;
    return event(0, as_required ? 4 : 1);
  }
  std::vector<std::uint8_t> written = record(operation, events);
  while (written.size() % alignment != 0) written.push_back(0);
  if (const auto done = pages.write(pointer, written); !done) {
    lost += 1;
    event(done.error().stage2 ? 0x25 : 0x24, done.error().status);
    if (done.error().external) registers_[kPmbsr] |= 1 << 18;
    return;
  }
  records += 1;
  bytes += written.size();
  registers_[kPmbptr] = pointer + written.size();
  if (registers_[kPmbptr] > limit - longest) event(0, 1);
}

void ReferenceSpeUnit::event(std::uint64_t event_class, std::uint64_t status) {
  std::uint64_t& pmbsr = registers_[kPmbsr];
  pmbsr &= ~(std::uint64_t{0x3f} << 26 | 0x3f);
  pmbsr |= event_class << 26 | 1 << 17 | status;
}

std::vector<std::uint8_t> ReferenceSpeUnit::record(const Operation& operation,
                                                   std::uint64_t events) const {
  const bool branch = operation.type.of == Class::kBranch;
  const bool memory = operation.type.of == Class::kLoadStore;
  const auto counter = [this](std::uint64_t latency) {
    return std::min<std::uint64_t>(latency, slice(pmsidr_, 19, 16) == 3 ? 0xffff : 0xfff);
  };
  std::vector<std::uint8_t> packets;
  if (bit(kPmscr, 3)) add(packets, 0x64, operation.context_el1, 4);
  if (slice(pmscr_el2, 3, 3) != 0) add(packets, 0x65, contextidr_el2, 4);
  add(packets, 0x98, counter(operation.total_latency), 2);
  add(packets, 0x99, counter(operation.issue_latency), 2);
  if (memory) add(packets, 0x9a, counter(operation.translation_latency), 2);
  add(packets, 0xb0, code(operation.pc), 8);
  if (branch && operation.target) add(packets, 0xb1, code(*operation.target), 8);
  if (memory && operation.has_address) {
    add(packets, 0xb2, operation.virtual_address, 8);
    if (bit(kPmscr, 4) && slice(pmscr_el2, 4, 4) != 0) {
      add(packets, 0xb3, slice(operation.physical_address, 55, 0) | std::uint64_t{1} << 63, 8);
    }
  }
  if (memory && operation.loads && operation.source && slice(pmsidr_, 4, 4) != 0) {
    add(packets, 0x43, static_cast<std::uint8_t>(*operation.source), 1);
  }
  add(packets, static_cast<std::uint8_t>(operation.type.of), operation.type.payload, 1);
  if (events >> 16 != 0) {
    add(packets, 0x62, events, 4);
  } else if (events >> 8 != 0 || memory) {
    add(packets, 0x52, events, 2);
  } else {
    add(packets, 0x42, events, 1);
  }
  add_end(packets, operation);
  return packets;
}

void ReferenceSpeUnit::add_end(std::vector<std::uint8_t>& record,
                               const Operation& operation) const {
  if (!bit(kPmscr, 5)) return add(record, 0x01, 0, 0);
  const std::uint64_t mine = field(kPmscr, 7, 6), allowed = slice(pmscr_el2, 7, 6);
  std::uint64_t time = operation.virtual_count;
  if (allowed == 1 && mine == 1) time = operation.physical_count;
  if ((allowed == 1 && mine == 3) || (allowed == 3 && (mine == 1 || mine == 3))) {
    time = operation.physical_count - cntpoff_el2;
  }
  add(record, 0x71, time, 8);
}

}  // namespace vpmu::property
