// SPDX-License-Identifier: MIT
#include "property/reference_arm64_pmu.hpp"

namespace vpmu::property {

namespace {

constexpr unsigned encode(unsigned op1, unsigned crn, unsigned crm, unsigned op2) {
  return 3u << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
}

/// PMUSERENR_EL0.
constexpr std::uint64_t kEn = 1, kSw = 2, kCr = 4, kEr = 8;

/// What the machine's Neoverse N1 counts of what Arm64Counts has.
unsigned amount(unsigned event, const Arm64Counts& counts) {
  switch (event) {
    case 0x08:
    case 0x1b: return counts.instructions;
    case 0x11:
    case 0x1d: return counts.cycles;
    case 0x66:
    case 0x70:
    case 0x40:
    case 0x4e: return counts.loads;
    default: return 0;
  }
}

}  // namespace

bool arm64_gate_admits(std::uint64_t key, unsigned event) {
  if (key == 0) return true;
  const std::uint64_t mixed = (key * 0x9e3779b97f4a7c15 + event) * 0xbf58476d1ce4e5b9;
  return (mixed >> 61) != 0;
}

ReferenceArm64Pmu::Found ReferenceArm64Pmu::find(unsigned which) const {
  switch (which) {
    case encode(0, 9, 14, 1): return {Name::kIntenSet};
    case encode(0, 9, 14, 2): return {Name::kIntenClr};
    case encode(0, 9, 14, 6): return {Name::kMmir};
    case encode(3, 9, 12, 0): return {Name::kPmcr};
    case encode(3, 9, 12, 1): return {Name::kCntenSet};
    case encode(3, 9, 12, 2): return {Name::kCntenClr};
    case encode(3, 9, 12, 3): return {Name::kOvsClr};
    case encode(3, 9, 12, 4): return {Name::kSwInc};
    case encode(3, 9, 12, 5): return {Name::kSelr};
    case encode(3, 9, 12, 6): return {Name::kCeid0};
    case encode(3, 9, 12, 7): return {Name::kCeid1};
    case encode(3, 9, 13, 0): return {Name::kCounter, 31};
    case encode(3, 9, 13, 1): return {Name::kType, static_cast<unsigned>(select_)};
    case encode(3, 9, 13, 2): return {Name::kCounter, static_cast<unsigned>(select_)};
    case encode(3, 9, 14, 0): return {Name::kUserEnr};
    case encode(3, 9, 14, 3): return {Name::kOvsSet};
    default: break;
  }
  for (unsigned n = 0; n < 32; ++n) {
    if (which == encode(3, 14, 12 + n / 8, n % 8)) return {Name::kType, n};
    if (which == encode(3, 14, 8 + n / 8, n % 8)) {
      return n == 31 ? Found{Name::kNoCounter} : Found{Name::kCounter, n};
    }
  }
  return {};
}

/// The tables "Accessibility" of the registers.
Access ReferenceArm64Pmu::may(Found found, bool write, bool el0) const {
  std::uint64_t needs = 0;
  bool el1_only = false;
  switch (found.name) {
    case Name::kNone: return Access::not_mine();
    case Name::kNoCounter: return Access::fault();
    case Name::kIntenSet:
    case Name::kIntenClr: el1_only = true; break;
    case Name::kMmir:
      if (write || setup_.version < 5) return Access::fault();
      el1_only = true;
      break;
    case Name::kSwInc:
      if (!write) return Access::fault();
      needs = kEn | kSw;
      break;
    case Name::kCeid0:
    case Name::kCeid1:
      if (write) return Access::fault();
      needs = kEn;
      break;
    case Name::kUserEnr:
      if (write) el1_only = true;
      break;
    case Name::kSelr: needs = kEn | kEr; break;
    case Name::kCounter: needs = write ? kEn : kEn | (found.n == 31 ? kCr : kEr); break;
    default: needs = kEn; break;
  }
  if (el0 && el1_only) return Access::fault();
  if (el0 && needs != 0 && (user_ & needs) == 0) return Access::trap();
  const bool of_counter = found.name == Name::kCounter || found.name == Name::kType;
  return of_counter && !exists(found.n) ? Access::fault() : Access::done();
}

std::uint64_t ReferenceArm64Pmu::implemented() const {
  std::uint64_t bits = std::uint64_t{1} << 31;
  for (unsigned n = 0; n < setup_.counters; ++n) bits |= std::uint64_t{1} << n;
  return bits;
}

unsigned ReferenceArm64Pmu::event(unsigned n) const {
  return n == 31 ? 0x11 : static_cast<unsigned>(type_[n] & 0xffff);
}

bool ReferenceArm64Pmu::on(unsigned n) const {
  return (pmcr_ & 1) != 0 && (enable_ >> n & 1) != 0;
}

bool ReferenceArm64Pmu::long_overflow(unsigned n) const {
  if (n == 31) return !setup_.aarch32 || (pmcr_ & 0x40) != 0;
  return setup_.version == 6 && (pmcr_ & 0x80) != 0;
}

void ReferenceArm64Pmu::increment(unsigned n) {
  ++value_[n];
  if (n != 31 && setup_.version != 6) value_[n] &= 0xffff'ffff;
  const bool wrapped = long_overflow(n) ? value_[n] == 0 : (value_[n] & 0xffff'ffff) == 0;
  if (!wrapped) return;
  ++overflows_;
  overflow_ |= std::uint64_t{1} << n;
  const bool chained = n % 2 == 0 && n + 1 < setup_.counters && setup_.version != 6 &&
                       event(n + 1) == 0x1e && on(n + 1);
  if (chained) increment(n + 1);
}

void ReferenceArm64Pmu::retire(const Arm64Counts& counts, bool el0) {
  // What the counters were when the instruction began decides; those of one event do not see what
  // another's overflow did.
  for (unsigned n = 0; n < 32; ++n) {
    if (!exists(n) || !on(n) || !arm64_gate_admits(gate_, event(n))) continue;
    if ((type_[n] >> (el0 ? 30 : 31) & 1) != 0) continue;
    for (unsigned i = amount(event(n), counts); i > 0; --i) {
      const bool divided = n == 31 && setup_.aarch32 && (pmcr_ & 0x48) == 0x08;
      if (divided && ++prescaler_ != 64) continue;
      if (divided) prescaler_ = 0;
      increment(n);
    }
  }
}

std::uint64_t ReferenceArm64Pmu::ceid(unsigned word) const {
  // Of Neoverse N1: see its events in the manual, as far as the machine counts them.
  constexpr std::uint64_t kCounted[] = {0x28cf'0738, 0x00d0'a026};
  std::uint64_t events = kCounted[word];
  if (word == 0) {
    events &= ~(std::uint64_t{1} | std::uint64_t{1} << 0x1e);
    if (setup_.counters > 0) events |= 1;
    if (setup_.counters > 1 && setup_.version != 6) events |= std::uint64_t{1} << 0x1e;
  }
  for (unsigned n = 0; n < 32; ++n) {
    if (!arm64_gate_admits(gate_, 32 * word + n)) events &= ~(std::uint64_t{1} << n);
  }
  return events;
}

Access ReferenceArm64Pmu::read(unsigned which, bool el0) {
  const Found found = find(which);
  if (const Access allowed = may(found, false, el0); !allowed.is_done()) return allowed;
  switch (found.name) {
    case Name::kPmcr:
      return Access::done(pmcr_ | setup_.counters << 11 | (setup_.aarch32 ? 0u : 0x40u));
    case Name::kCntenSet:
    case Name::kCntenClr: return Access::done(enable_);
    case Name::kOvsSet:
    case Name::kOvsClr: return Access::done(overflow_);
    case Name::kIntenSet:
    case Name::kIntenClr: return Access::done(interrupt_);
    case Name::kSelr: return Access::done(select_);
    case Name::kCeid0: return Access::done(ceid(0));
    case Name::kCeid1: return Access::done(ceid(1));
    case Name::kUserEnr: return Access::done(user_);
    case Name::kCounter: return Access::done(value_[found.n]);
    case Name::kType: return Access::done(type_[found.n]);
    default: return Access::done(0);
  }
}

void ReferenceArm64Pmu::set_control(std::uint64_t value) {
  std::uint64_t kept = 0x21;
  if (setup_.aarch32) kept |= 0x48;
  if (setup_.version == 6) kept |= 0x80;
  pmcr_ = value & kept;
}

Access ReferenceArm64Pmu::write(unsigned which, std::uint64_t value, bool el0) {
  const Found found = find(which);
  if (const Access allowed = may(found, true, el0); !allowed.is_done()) return allowed;
  const std::uint64_t bits = value & implemented();
  switch (found.name) {
    case Name::kPmcr:
      for (unsigned n = 0; n < 31 && (value & 2) != 0; ++n) value_[n] = 0;
      if ((value & 4) != 0) value_[31] = prescaler_ = 0;
      set_control(value);
      break;
    case Name::kCntenSet: enable_ |= bits; break;
    case Name::kCntenClr: enable_ &= ~bits; break;
    case Name::kOvsSet: overflow_ |= bits; break;
    case Name::kOvsClr: overflow_ &= ~bits; break;
    case Name::kIntenSet: interrupt_ |= bits; break;
    case Name::kIntenClr: interrupt_ &= ~bits; break;
    case Name::kSwInc:
      for (unsigned n = 0; n < 31; ++n) {
        const bool excluded = (type_[n] >> (el0 ? 30 : 31) & 1) != 0;
        if ((bits >> n & 1) != 0 && on(n) && event(n) == 0 && !excluded) increment(n);
      }
      break;
    case Name::kSelr: select_ = value & 31; break;
    case Name::kUserEnr: user_ = value & 15; break;
    case Name::kCounter:
      value_[found.n] = found.n == 31 || setup_.version == 6 ? value : value & 0xffff'ffff;
      if (found.n == 31) prescaler_ = 0;
      break;
    case Name::kType:
      type_[found.n] = value & (found.n == 31         ? 0xc000'0000
                                : setup_.version == 1 ? 0xc000'03ff
                                                      : 0xc000'ffff);
      break;
    default: break;
  }
  return Access::done();
}

Access ReferenceArm64Pmu::host_write(unsigned which, std::uint64_t value) {
  const Found found = find(which);
  if (const Access allowed = may(found, true, false); !allowed.is_done()) return allowed;
  const std::uint64_t bits = value & implemented();
  switch (found.name) {
    case Name::kPmcr: set_control(value); return Access::done();
    case Name::kCntenSet:
    case Name::kCntenClr: enable_ = bits; return Access::done();
    case Name::kOvsSet:
    case Name::kOvsClr: overflow_ = bits; return Access::done();
    case Name::kIntenSet:
    case Name::kIntenClr: interrupt_ = bits; return Access::done();
    default: return write(which, value, false);
  }
}

void ReferenceArm64Pmu::reset() {
  pmcr_ = enable_ = overflow_ = interrupt_ = select_ = user_ = 0;
  value_.fill(0);
  type_.fill(0);
  prescaler_ = 0;
}

bool ReferenceArm64Pmu::interrupt() const {
  return (pmcr_ & 1) != 0 && (overflow_ & interrupt_) != 0;
}

}  // namespace vpmu::property
