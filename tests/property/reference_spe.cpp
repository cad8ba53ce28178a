// SPDX-License-Identifier: MIT
#include "property/reference_spe.hpp"

#include <algorithm>
#include <cerrno>

namespace vpmu::property {

namespace {

constexpr unsigned kPmscr = 0x90, kPmsidr = 0x97, kPmblimitr = 0xa0, kPmbptr = 0xa1, kPmbsr = 0xa3,
                   kPmbidr = 0xa7;
constexpr std::uint64_t kS = 1 << 17, kColl = 1 << 16;

bool is_buffer(unsigned which) {
  return which == kPmblimitr || which == kPmbptr || which == kPmbsr;
}

}  // namespace

ReferenceSpe::ReferenceSpe(const SpeSetup& setup, std::uint64_t random)
    : unit{setup.model, random}, setup_{setup} {
  unit.pmscr_el2 = 0x10 | (setup.perfmon_capable ? 0x40u : 0);
  if (!setup.ready) return;
  feature = initialised = true;
  irq_ = 21;
  for (unsigned cpu = 0; cpu < setup.cpus_with; ++cpu) cpus_.insert(cpu);
}

// ---- Registers ----------------------------------------------------------------------------------

std::uint64_t ReferenceSpe::pmbidr() const {
  std::uint64_t shown = setup_.model.pmbidr | (host_has_it() ? 0x10 : 0);
  // Up to 511 pages.
  return shown | std::uint64_t{setup_.most_pages} << 32;
}

unsigned ReferenceSpe::mdcr_el2() const {
  if (!feature || host_has_it()) return 0x4000;
  return stop != 0 ? 0x6000 : 0x2000;
}

bool ReferenceSpe::traps(unsigned which) const {
  if (which == kPmbidr) return setup_.exclusive || setup_.most_pages != 0;
  return is_buffer(which) || stop != 0 || host_has_it();
}

Access ReferenceSpe::read(unsigned which, bool el0, bool host) {
  if (unit.read(which).is_not_mine()) return Access::not_mine();
  if (!feature || (el0 && !host)) return Access::fault();
  const Access got = which == kPmbidr ? Access::done(pmbidr()) : unit.read(which);
  if (got.is_done() && !host && traps(which)) leave();
  return got;
}

Access ReferenceSpe::write(unsigned which, std::uint64_t value, bool el0, bool host) {
  const Access now = read(which, el0, true);
  if (!now.is_done() || (el0 && !host)) return now.is_not_mine() ? now : Access::fault();
  if (which == kPmbidr || which == kPmsidr) {
    return host && value == now.value() ? Access::done() : Access::fault();
  }
  if (host || traps(which)) leave();
  return unit.write(which, value);
}

bool ReferenceSpe::line() const {
  return feature && (value(kPmbsr) & kS) != 0;
}

// ---- Running ------------------------------------------------------------------------------------

bool ReferenceSpe::has_unit() const {
  return feature && entered && stop == 0 && !host_has_it();
}

ReferenceSpeUnit::Outcome ReferenceSpe::retire(const silicon::arm64::SpeOperation& operation,
                                               bool known) {
  if (!has_unit() || line()) return ReferenceSpeUnit::Outcome::kNotProfiled;
  const std::uint64_t before = value(kPmbsr);
  set_syndrome(0);
  const std::uint64_t misprogrammed_before = unit.misprogrammed;
  const ReferenceSpeUnit::Outcome outcome = unit.retire(operation, known);
  std::uint64_t after = value(kPmbsr);
  if ((after & kS) == 0) {
    set_syndrome(before | (after & kColl));
    return outcome;
  }
  ++events;
  after |= before & kColl;
  const std::uint64_t what = after >> 26 & 0x3f;
  if (what == 0) {
    ++(unit.misprogrammed != misprogrammed_before ? misprogrammed : full);
  } else if (what == 0x24) {
    ++((after & 1 << 18) != 0 ? external_aborts : stage1_faults);
  } else {
    ++replaced;
    after = 0x9006'0010;
  }
  set_syndrome(after);
  leave();
  return outcome;
}

ReferenceSpe::Entry ReferenceSpe::enter(unsigned cpu) {
  if (entered) return Entry::kDone;
  if (!cpus_.empty() && cpus_.count(cpu) == 0) return Entry::kOutside;
  if (feature) {
    if (cpu >= setup_.cpus_with) return Entry::kNoUnit;
    const bool beyond = !cpus_.empty() && *cpus_.rbegin() >= setup_.cpus_with;
    if (setup_.cpus_with != 4 && (cpus_.empty() || beyond)) return Entry::kNoSet;
    if (!initialised) return Entry::kNotInitialised;
    const bool enabled = (value(kPmblimitr) & 1) != 0 && (value(kPmscr) & 3) != 0;
    if (stop == 2 && enabled && !line()) return Entry::kStopped;
  }
  run = entered = true;
  if (!has_unit() || line() || (value(kPmblimitr) & 1) == 0) return Entry::kDone;
  const std::uint64_t start = value(kPmbptr), end = value(kPmblimitr) >> 12 << 12;
  if (setup_.most_pages != 0 && end > start && end - start > setup_.most_pages * 0x1000u) {
    ++too_large;
    set_syndrome(0x2'0004);
  }
  return Entry::kDone;
}

void ReferenceSpe::leave() {
  entered = false;
  unit.in_flight = 0;
}

void ReferenceSpe::reset() {
  if (!feature) return;
  leave();
  unit.reset();
}

void ReferenceSpe::set_host_has_unit(bool has) {
  if (setup_.exclusive && has != host_) leave();
  host_ = has;
}

void ReferenceSpe::set_syndrome(std::uint64_t value) {
  (void)unit.write(kPmbsr, value);
}

// ---- The VMM ------------------------------------------------------------------------------------

int ReferenceSpe::init_vcpu(bool spe, bool aarch32) {
  if (spe && aarch32) return EINVAL;
  if (feature && !spe) return EINVAL;
  if (!feature && spe) leave();
  feature = spe;
  reset();
  return 0;
}

int ReferenceSpe::set_cpus(const SpeCpuList& list) {
  if (run) return ENOEXEC;
  if (list.error == 0) cpus_ = list.cpus;
  return list.error;
}

int ReferenceSpe::no_attribute(std::uint64_t attribute) const {
  return !feature || attribute > 2 ? ENXIO : 0;
}

int ReferenceSpe::set(std::uint64_t attribute, std::optional<std::int32_t> value) {
  if (const int error = no_attribute(attribute)) return error;
  switch (attribute) {
    case 0:
      if (irq_) return EBUSY;
      if (!value) return EFAULT;
      if (*value < 16 || *value > 31) return EINVAL;
      irq_ = *value;
      return 0;
    case 1:
      if (!irq_) return ENXIO;
      if (initialised) return EBUSY;
      initialised = true;
      return 0;
    default:
      if (!initialised) return EAGAIN;
      if (!value) return EFAULT;
      if (*value != 1 && *value != 2 && *value != 4) return EINVAL;
      leave();
      stop = *value == 4 ? 0 : *value;
      return 0;
  }
}

int ReferenceSpe::get(std::uint64_t attribute, std::int32_t& value) const {
  if (const int error = no_attribute(attribute)) return error;
  switch (attribute) {
    case 0:
      if (!irq_) return ENXIO;
      value = *irq_;
      return 0;
    case 1: return ENXIO;
    default:
      if (!initialised) return EAGAIN;
      value = stop;
      return 0;
  }
}

}  // namespace vpmu::property
