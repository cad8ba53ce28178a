// SPDX-License-Identifier: MIT
#include "property/reference_gic.hpp"

#include <algorithm>

namespace vpmu::property {

ReferenceGic::ReferenceGic(unsigned vcpus) : vcpus_(vcpus) {
  for (Vcpu& vcpu : vcpus_) {
    for (unsigned sgi = 0; sgi < 16; ++sgi) vcpu.own[sgi].edge = true;
  }
}

const ReferenceGic::Interrupt* ReferenceGic::interrupt(unsigned vcpu, unsigned intid) const {
  if (intid >= kIntids) return nullptr;
  return intid < 32 ? &vcpus_[vcpu].own[intid] : &shared_[intid];
}

ReferenceGic::Interrupt* ReferenceGic::interrupt(unsigned vcpu, unsigned intid) {
  if (intid >= kIntids) return nullptr;
  return intid < 32 ? &vcpus_[vcpu].own[intid] : &shared_[intid];
}

void ReferenceGic::set_line(unsigned vcpu, unsigned intid, bool high) {
  Interrupt* which = interrupt(vcpu, intid);
  if (which == nullptr || intid < 16) return;
  if (high && !which->line && which->edge) which->latched = true;
  which->line = high;
}

// ---- Memory-mapped registers --------------------------------------------------------------------

bool ReferenceGic::reaches(bool distributor, unsigned intid) const {
  return distributor ? intid >= 32 && intid < kIntids : intid < 32;
}

std::optional<std::uint64_t> ReferenceGic::read_common(bool distributor, unsigned vcpu,
                                                       std::uint64_t offset, unsigned bytes) const {
  std::uint64_t value = 0;
  const bool is_word = bytes == 4 && offset % 4 == 0;
  if (offset >= 0x80 && offset < 0x400) {
    if (!is_word) return 0;
    for (unsigned i = 0; i < 32; ++i) {
      const auto intid = static_cast<unsigned>(offset % 0x80 * 8 + i);
      if (!reaches(distributor, intid)) continue;
      const Interrupt& which = *interrupt(vcpu, intid);
      const bool bits[] = {which.group1,    which.enabled, which.enabled, which.pending(),
                           which.pending(), which.active,  which.active};
      if (bits[offset / 0x80 - 1]) value |= std::uint64_t{1} << i;
    }
    return value;
  }
  if (offset >= 0x400 && offset < 0x800) {
    if (!is_word && bytes != 1) return 0;
    for (unsigned i = 0; i < bytes; ++i) {
      const auto intid = static_cast<unsigned>(offset - 0x400 + i);
      if (reaches(distributor, intid)) {
        value |= std::uint64_t{interrupt(vcpu, intid)->priority} << 8 * i;
      }
    }
    return value;
  }
  if (offset >= 0xc00 && offset < 0xd00) {
    if (!is_word) return 0;
    for (unsigned i = 0; i < 16; ++i) {
      const auto intid = static_cast<unsigned>((offset - 0xc00) * 4 + i);
      if (reaches(distributor, intid) && interrupt(vcpu, intid)->edge) {
        value |= std::uint64_t{2} << 2 * i;
      }
    }
    return value;
  }
  return std::nullopt;
}

bool ReferenceGic::write_common(bool distributor, unsigned vcpu, std::uint64_t offset,
                                unsigned bytes, std::uint64_t value) {
  const bool is_word = bytes == 4 && offset % 4 == 0;
  if (offset >= 0x80 && offset < 0x400) {
    for (unsigned i = 0; i < 32 && is_word; ++i) {
      const auto intid = static_cast<unsigned>(offset % 0x80 * 8 + i);
      if (!reaches(distributor, intid)) continue;
      Interrupt& which = *interrupt(vcpu, intid);
      const bool bit = (value >> i & 1) != 0;
      switch (offset / 0x80) {
        case 1: which.group1 = bit; break;
        case 2: which.enabled = which.enabled || bit; break;
        case 3: which.enabled = which.enabled && !bit; break;
        case 4: which.latched = which.latched || bit; break;
        case 5: which.latched = which.latched && !bit; break;
        case 6: which.active = which.active || bit; break;
        default: which.active = which.active && !bit; break;
      }
    }
    return true;
  }
  if (offset >= 0x400 && offset < 0x800) {
    for (unsigned i = 0; i < bytes && (is_word || bytes == 1); ++i) {
      const auto intid = static_cast<unsigned>(offset - 0x400 + i);
      if (!reaches(distributor, intid)) continue;
      interrupt(vcpu, intid)->priority = (value >> 8 * i & 0xff) / 8 * 8;
    }
    return true;
  }
  if (offset >= 0xc00 && offset < 0xd00) {
    for (unsigned i = 0; i < 16 && is_word; ++i) {
      const auto intid = static_cast<unsigned>((offset - 0xc00) * 4 + i);
      if (intid < 16 || !reaches(distributor, intid)) continue;
      interrupt(vcpu, intid)->edge = (value >> 2 * i & 2) != 0;
    }
    return true;
  }
  return false;
}

std::uint64_t ReferenceGic::read_distributor(std::uint64_t offset, unsigned bytes) const {
  if (offset % bytes != 0) return 0;
  if (const auto common = read_common(true, 0, offset, bytes)) return *common;
  if (offset >= 0x6000 && offset < 0x8000) {
    const auto intid = static_cast<unsigned>((offset - 0x6000) / 8);
    return reaches(true, intid) && bytes >= 4 && offset % 8 == 0 ? shared_[intid].route : 0;
  }
  if (bytes != 4) return 0;
  switch (offset) {
    case 0x0: return 0x50 | (groups_enabled_[0] ? 1 : 0) | (groups_enabled_[1] ? 2 : 0);
    case 0x4: return 8 | 9 << 19 | 1 << 25;
    case 0x8: return 0x5600043b;
    case 0xffd0: return 0x44;
    case 0xffe0: return 0x92;
    case 0xffe4: return 0xb4;
    case 0xffe8: return 0x3b;
    case 0xfff0: return 0x0d;
    case 0xfff4: return 0xf0;
    case 0xfff8: return 0x05;
    case 0xfffc: return 0xb1;
    default: return 0;
  }
}

void ReferenceGic::write_distributor(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (offset % bytes != 0 || write_common(true, 0, offset, bytes, value)) return;
  if (offset >= 0x6000 && offset < 0x8000) {
    const auto intid = static_cast<unsigned>((offset - 0x6000) / 8);
    if (reaches(true, intid) && bytes >= 4 && offset % 8 == 0) {
      shared_[intid].route = value & 0xffffff;
    }
  } else if (offset == 0 && bytes == 4) {
    groups_enabled_ = {(value & 1) != 0, (value & 2) != 0};
  }
}

std::uint64_t ReferenceGic::read_redistributor(unsigned vcpu, std::uint64_t offset,
                                               unsigned bytes) const {
  if (offset % bytes != 0) return 0;
  if (offset >= 0x10000) return read_common(false, vcpu, offset - 0x10000, bytes).value_or(0);
  const bool last = vcpu + 1 == vcpus_.size();
  const std::uint64_t type = std::uint64_t{vcpu} << 32 | vcpu << 8 | (last ? 0x10 : 0);
  if (bytes == 8 && offset == 8) return type;
  if (bytes != 4) return 0;
  switch (offset) {
    case 0x4: return 0x5600043b;
    case 0x8: return type & 0xffffffff;
    case 0xc: return type >> 32;
    case 0x14: return vcpus_[vcpu].asleep ? 6 : 0;
    case 0xffe0: return 0x93;
    default: return offset >= 0xffd0 ? read_distributor(offset, 4) : 0;
  }
}

void ReferenceGic::write_redistributor(unsigned vcpu, std::uint64_t offset, unsigned bytes,
                                       std::uint64_t value) {
  if (offset % bytes != 0) return;
  if (offset >= 0x10000) {
    write_common(false, vcpu, offset - 0x10000, bytes, value);
  } else if (offset == 0x14 && bytes == 4) {
    vcpus_[vcpu].asleep = (value & 2) != 0;
  }
}

// ---- The CPU interface --------------------------------------------------------------------------

unsigned ReferenceGic::best(unsigned vcpu) const {
  const Vcpu& own = vcpus_[vcpu];
  unsigned found = kNone;
  if (own.asleep) return found;
  for (unsigned intid = 0; intid < kIntids; ++intid) {
    const Interrupt& which = *interrupt(vcpu, intid);
    if (!which.pending() || !which.enabled || which.active) continue;
    if (intid >= 32 && which.route != vcpu) continue;
    if (!groups_enabled_[which.group1 ? 1 : 0] || !own.group_enabled[which.group1 ? 1 : 0])
      continue;
    if (found == kNone || which.priority < interrupt(vcpu, found)->priority) found = intid;
  }
  return found;
}

unsigned ReferenceGic::running(const Vcpu& vcpu) const {
  unsigned lowest = 0xff;
  for (const auto& active : vcpu.active) {
    if (!active.empty()) lowest = std::min(lowest, *active.begin());
  }
  return lowest;
}

// The tables "Priority grouping by binary point": for group 0, BPR n leaves bits 7 to n + 1, for
// Non-secure group 1 bits 7 to n.
unsigned ReferenceGic::group_priority(const Vcpu& vcpu, unsigned priority, bool group1) {
  static constexpr unsigned kBitsAbove[] = {0xfe, 0xfc, 0xf8, 0xf0, 0xe0, 0xc0, 0x80, 0x00};
  if (!group1 || vcpu.common_point) return priority & kBitsAbove[vcpu.binary_point[0]];
  return priority & kBitsAbove[vcpu.binary_point[1] - 1];
}

unsigned ReferenceGic::signalled(unsigned vcpu) const {
  const unsigned intid = best(vcpu);
  if (intid == kNone) return 2;
  const Vcpu& own = vcpus_[vcpu];
  const Interrupt& which = *interrupt(vcpu, intid);
  const bool preempts = group_priority(own, which.priority, which.group1) < running(own);
  return which.priority < own.mask && preempts ? (which.group1 ? 1 : 0) : 2;
}

unsigned ReferenceGic::acknowledge(unsigned vcpu, unsigned group) {
  if (signalled(vcpu) != group) return kNone;
  const unsigned intid = best(vcpu);
  Interrupt& which = *interrupt(vcpu, intid);
  vcpus_[vcpu].active[group].insert(group_priority(vcpus_[vcpu], which.priority, which.group1));
  which.active = true;
  which.latched = false;
  return intid;
}

unsigned ReferenceGic::highest_pending(unsigned vcpu, unsigned group) const {
  const unsigned intid = best(vcpu);
  return intid != kNone && interrupt(vcpu, intid)->group1 == (group == 1) ? intid : kNone;
}

void ReferenceGic::end(unsigned vcpu, unsigned group, std::uint64_t value) {
  const auto intid = static_cast<unsigned>(value & 0xffffff);
  Vcpu& own = vcpus_[vcpu];
  if (intid >= 1020 && intid <= 0xffffff) return;
  auto& active = own.active[group];
  const auto& others = own.active[1 - group];
  if (active.empty()) return;
  if (!others.empty()) {
    const bool other_runs =
        group == 0 ? *others.begin() < *active.begin() : *others.begin() <= *active.begin();
    if (other_runs) return;
  }
  active.erase(active.begin());
  Interrupt* which = interrupt(vcpu, intid);
  if (!own.separate_deactivation && which != nullptr) which->active = false;
}

void ReferenceGic::send(unsigned vcpu, std::uint64_t value, bool group0_only) {
  const bool all_others = (value >> 40 & 1) != 0;
  const bool here = (value >> 16 & 0xff) == 0 && (value >> 32 & 0xff) == 0 &&
                    (value >> 44 & 0xf) == 0 && (value >> 48 & 0xff) == 0;
  for (unsigned target = 0; target < vcpus_.size(); ++target) {
    if (all_others ? target == vcpu : !here || (value >> target & 1) == 0) continue;
    Interrupt& which = vcpus_[target].own[value >> 24 & 0xf];
    if (!group0_only || !which.group1) which.latched = true;
  }
}

std::optional<std::uint64_t> ReferenceGic::read_register(unsigned vcpu, GicRegister which) {
  const Vcpu& own = vcpus_[vcpu];
  const auto bits = [](const std::set<unsigned>& active) {
    std::uint64_t value = 0;
    for (const unsigned priority : active) value |= std::uint64_t{1} << priority / 8;
    return value;
  };
  switch (which) {
    case GicRegister::kPmr: return own.mask;
    case GicRegister::kIar0: return acknowledge(vcpu, 0);
    case GicRegister::kIar1: return acknowledge(vcpu, 1);
    case GicRegister::kHppir0: return highest_pending(vcpu, 0);
    case GicRegister::kHppir1: return highest_pending(vcpu, 1);
    case GicRegister::kBpr0: return own.binary_point[0];
    case GicRegister::kBpr1:
      return own.common_point ? std::min(own.binary_point[0] + 1, 7U) : own.binary_point[1];
    case GicRegister::kAp0r0: return bits(own.active[0]);
    case GicRegister::kAp1r0: return bits(own.active[1]);
    case GicRegister::kRpr: return running(own);
    case GicRegister::kCtlr:
      return 0x400 | (own.common_point ? 1 : 0) | (own.separate_deactivation ? 2 : 0);
    case GicRegister::kSre: return 7;
    case GicRegister::kIgrpen0: return own.group_enabled[0] ? 1 : 0;
    case GicRegister::kIgrpen1: return own.group_enabled[1] ? 1 : 0;
    default: return std::nullopt;
  }
}

bool ReferenceGic::write_register(unsigned vcpu, GicRegister which, std::uint64_t value) {
  Vcpu& own = vcpus_[vcpu];
  const auto priorities = [value] {
    std::set<unsigned> active;
    for (unsigned i = 0; i < 32; ++i) {
      if ((value >> i & 1) != 0) active.insert(8 * i);
    }
    return active;
  };
  switch (which) {
    case GicRegister::kPmr: own.mask = (value & 0xff) / 8 * 8; return true;
    case GicRegister::kEoir0: end(vcpu, 0, value); return true;
    case GicRegister::kEoir1: end(vcpu, 1, value); return true;
    case GicRegister::kBpr0:
      own.binary_point[0] = std::max(static_cast<unsigned>(value % 8), 2U);
      return true;
    case GicRegister::kBpr1:
      if (!own.common_point) own.binary_point[1] = std::max(static_cast<unsigned>(value % 8), 3U);
      return true;
    case GicRegister::kAp0r0: own.active[0] = priorities(); return true;
    case GicRegister::kAp1r0: own.active[1] = priorities(); return true;
    case GicRegister::kDir:
      if (Interrupt* it = interrupt(vcpu, value & 0xffffff); it != nullptr) {
        if (own.separate_deactivation) it->active = false;
      }
      return true;
    case GicRegister::kSgi1r: send(vcpu, value, false); return true;
    case GicRegister::kAsgi1r:
    case GicRegister::kSgi0r: send(vcpu, value, true); return true;
    case GicRegister::kCtlr:
      own.common_point = (value & 1) != 0;
      own.separate_deactivation = (value & 2) != 0;
      return true;
    case GicRegister::kSre: return true;
    case GicRegister::kIgrpen0: own.group_enabled[0] = (value & 1) != 0; return true;
    case GicRegister::kIgrpen1: own.group_enabled[1] = (value & 1) != 0; return true;
    default: return false;
  }
}

}  // namespace vpmu::property
