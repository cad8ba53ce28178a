// SPDX-License-Identifier: MIT
#include "machine/x86/msr.hpp"

#include "machine/x86/mmu.hpp"

namespace vpmu::machine::x86 {

namespace {

constexpr std::uint64_t kCr0Known = kCr0Pe | kCr0Mp | kCr0Em | kCr0Ts | kCr0Et | kCr0Ne | kCr0Wp |
                                    kCr0Am | kCr0Nw | kCr0Cd | kCr0Pg;
/// CR4 bits of the features that this CPU has.
constexpr std::uint64_t kCr4Known = kCr4Tsd | kCr4De | kCr4Pse | kCr4Pae | kCr4Mce | kCr4Pge |
                                    kCr4Pce | kCr4Osfxsr | kCr4Osxmmexcpt | kCr4Fsgsbase |
                                    kCr4Osxsave | kCr4Smep | kCr4Smap;

/// PAE paging reads its four top entries when CR3 is loaded; reserved bits in them refuse the load.
bool pae_entries_ok(const Core& core, std::uint64_t cr3) {
  constexpr std::uint64_t kReserved = 0x1e6 | ~((std::uint64_t{1} << kPhysicalBits) - 1);
  for (unsigned n = 0; n < 4; ++n) {
    std::uint64_t entry = 0;
    if (const auto* host = core.memory->host((cr3 & 0xffffffe0) + 8ULL * n, 8)) {
      std::memcpy(&entry, host, 8);
    }
    if ((entry & 1) && (entry & kReserved)) return false;
  }
  return true;
}

/// MSRs of the CPU's own that are plain 64-bit values; canonical ones are refused otherwise.
struct PlainMsr {
  std::uint32_t index;
  std::uint64_t Core::*value;
  bool is_address;
};
constexpr PlainMsr kPlain[] = {
    {0x174, &Core::sysenter_cs, false},        {0x175, &Core::sysenter_esp, true},
    {0x176, &Core::sysenter_eip, true},        {0xc0000081, &Core::star, false},
    {0xc0000082, &Core::lstar, true},          {0xc0000083, &Core::cstar, true},
    {0xc0000102, &Core::kernel_gs_base, true},
};

constexpr std::uint32_t kTsc = 0x10, kTscAdjust = 0x3b, kEfer = 0xc0000080, kSfmask = 0xc0000084,
                        kFsBase = 0xc0000100, kGsBase = 0xc0000101, kTscAux = 0xc0000103;

constexpr std::uint64_t kEferKnown = kEferSce | kEferLme | kEferLma | kEferNxe;

Access write_efer(Core& core, std::uint64_t value) {
  if (value & ~kEferKnown) return Access::fault();
  const bool changes_lme = ((value ^ core.efer) & kEferLme) != 0;
  if (changes_lme && (core.cr0 & kCr0Pg)) return Access::fault();
  core.efer = (value & ~kEferLma) | (core.efer & kEferLma);
  flush_tlb(core);
  return Access::done();
}

}  // namespace

bool fit_together(std::uint64_t cr0, std::uint64_t cr4, std::uint64_t efer) {
  if ((cr0 & ~kCr0Known) != 0 || (cr4 & ~kCr4Known) != 0 || (efer & ~kEferKnown) != 0) return false;
  const bool paging = (cr0 & kCr0Pg) != 0;
  if (paging && (cr0 & kCr0Pe) == 0) return false;
  if ((cr0 & kCr0Nw) != 0 && (cr0 & kCr0Cd) == 0) return false;
  const bool long_mode = paging && (efer & kEferLme) != 0;
  if (long_mode != ((efer & kEferLma) != 0)) return false;
  return !long_mode || (cr4 & kCr4Pae) != 0;
}

bool write_cr0(Core& core, std::uint64_t value) {
  if (value >> 32) return false;
  if ((value & kCr0Pg) && !(value & kCr0Pe)) return false;
  if ((value & kCr0Nw) && !(value & kCr0Cd)) return false;
  value = (value & kCr0Known) | kCr0Et;
  const bool paging_starts = (value & kCr0Pg) && !(core.cr0 & kCr0Pg);
  const bool paging_ends = !(value & kCr0Pg) && (core.cr0 & kCr0Pg);
  if (paging_starts) {
    if (core.efer & kEferLme) {
      if (!(core.cr4 & kCr4Pae) || core.segment[kCs].long_code) return false;
    } else if ((core.cr4 & kCr4Pae) && !pae_entries_ok(core, core.cr3)) {
      return false;
    }
  }
  if (paging_ends && core.code64()) return false;
  if (paging_starts && (core.efer & kEferLme)) core.efer |= kEferLma;
  if (paging_ends) core.efer &= ~kEferLma;
  const std::uint64_t changed = core.cr0 ^ value;
  if ((changed & kCr0Pe) && !(value & kCr0Pe)) core.cpl = 0;
  core.cr0 = value;
  if (changed & (kCr0Pg | kCr0Wp | kCr0Pe)) flush_tlb(core);
  update_mode(core);
  return true;
}

bool write_cr3(Core& core, std::uint64_t value) {
  if (core.long_mode() && value >> kPhysicalBits) return false;
  const bool pae = (core.cr0 & kCr0Pg) && (core.cr4 & kCr4Pae) && !core.long_mode();
  if (pae && !pae_entries_ok(core, value)) return false;
  core.cr3 = value;
  flush_tlb(core);
  return true;
}

bool write_cr4(Core& core, std::uint64_t value) {
  if (value & ~kCr4Known) return false;
  if (core.long_mode() && !(value & kCr4Pae)) return false;
  const bool pae_starts = (value & kCr4Pae) && !(core.cr4 & kCr4Pae) && (core.cr0 & kCr0Pg);
  if (pae_starts && !core.long_mode() && !pae_entries_ok(core, core.cr3)) return false;
  core.cr4 = value;
  flush_tlb(core);
  update_mode(core);
  return true;
}

std::uint64_t read_tsc(Core& core) {
  return core.environment->now() + core.tsc_offset;
}

Access read_msr(Core& core, MsrIndex msr) {
  const std::uint32_t index = raw(msr);
  for (const PlainMsr& plain : kPlain) {
    if (plain.index == index) return Access::done(core.*plain.value);
  }
  switch (index) {
    case kTsc: return Access::done(read_tsc(core));
    case kTscAdjust: return Access::done(core.tsc_adjust);
    case kEfer: return Access::done(core.efer);
    case kSfmask: return Access::done(core.sfmask);
    case kFsBase: return Access::done(core.segment[kFs].base);
    case kGsBase: return Access::done(core.segment[kGs].base);
    case kTscAux: return Access::done(core.tsc_aux);
    default: return core.environment->read_msr(msr);
  }
}

Access write_msr(Core& core, MsrIndex msr, std::uint64_t value) {
  const std::uint32_t index = raw(msr);
  for (const PlainMsr& plain : kPlain) {
    if (plain.index != index) continue;
    if (plain.is_address && !canonical(value)) return Access::fault();
    core.*plain.value = value;
    return Access::done();
  }
  switch (index) {
    case kTsc: {
      const std::uint64_t offset = value - core.environment->now();
      core.tsc_adjust += offset - core.tsc_offset;
      core.tsc_offset = offset;
      core.environment->tsc_moved(core.tsc_offset);
      return Access::done();
    }
    case kTscAdjust:
      core.tsc_offset += value - core.tsc_adjust;
      core.tsc_adjust = value;
      core.environment->tsc_moved(core.tsc_offset);
      return Access::done();
    case kEfer: return write_efer(core, value);
    case kSfmask:
      if (value >> 32) return Access::fault();
      core.sfmask = value;
      return Access::done();
    case kFsBase:
    case kGsBase:
      if (!canonical(value)) return Access::fault();
      core.segment[index == kFsBase ? kFs : kGs].base = value;
      return Access::done();
    case kTscAux:
      if (value >> 32) return Access::fault();
      core.tsc_aux = static_cast<std::uint32_t>(value);
      return Access::done();
    default: return core.environment->write_msr(msr, value);
  }
}

CpuidResult guest_cpuid(Core& core, std::uint32_t leaf, std::uint32_t subleaf) {
  CpuidResult result = core.environment->cpuid(leaf, subleaf);
  constexpr std::uint32_t kOsxsave = 1U << 27;
  if (leaf == 1) {
    result.ecx = core.cr4 & kCr4Osxsave ? result.ecx | kOsxsave : result.ecx & ~kOsxsave;
  }
  return result;
}

}  // namespace vpmu::machine::x86
