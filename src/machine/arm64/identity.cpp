// SPDX-License-Identifier: MIT
#include "machine/arm64/identity.hpp"

#include <bit>

namespace vpmu::machine::arm64 {

using silicon::arm64::SystemRegister;

namespace {

/// A field of an identification register: 4 bits from `low` on.
constexpr std::uint64_t field(unsigned low, std::uint64_t value) {
  return value << low;
}

// What follows leaves out what is zero: fields that say that something is not there.

constexpr std::uint64_t kPfr0 = field(0, 1)       // EL0: AArch64 only
                                | field(4, 1)     // EL1: AArch64 only
                                | field(24, 1)    // GIC: CPU interface registers of GICv3
                                | field(56, 1)    // CSV2: branch targets of other contexts: no use
                                | field(60, 1);   // CSV3: nor data that faulting loads would get
constexpr std::uint64_t kIsar0 = field(4, 2)      // AES with PMULL
                                 | field(8, 1)    // SHA1
                                 | field(12, 1)   // SHA2: SHA256
                                 | field(16, 1)   // CRC32
                                 | field(44, 1)   // DP: dot product
                                 | field(52, 1)   // TS: FlagM
                                 | field(56, 1);  // TLB: outer shareable TLBI
constexpr std::uint64_t kIsar1 = field(0, 1)      // DPB: DC CVAP
                                 | field(36, 1);  // SB
constexpr std::uint64_t kMmfr0 = field(0, 5)      // PARange: 48 bits
                                 | field(4, 2)    // ASIDBits: 16
                                 | field(20, 1);  // TGran16; TGran64 and TGran4 say so by zero
constexpr std::uint64_t kMmfr1 = field(0, 2)      // HAFDBS: access flag and dirty state
                                 | field(12, 1)   // HPDS
                                 | field(20, 2);  // PAN with AT S1E1RP, AT S1E1WP
constexpr std::uint64_t kMmfr2 = field(0, 1)      // CnP
                                 | field(60, 1);  // E0PD
static_assert(kPhysicalBits == 48);

std::uint64_t debug_features(const Identity& identity) {
  return field(0, 6)                        // DebugVer: Armv8
         | field(8, identity.pmu_version)   // PMUVer
         | field(12, kBreakpoints - 1)      // BRPs
         | field(20, kWatchpoints - 1)      // WRPs
         | field(32, identity.spe_version)  // PMSVer
         | field(36, 15);                   // DoubleLock: OSDLR_EL1 does nothing
}

}  // namespace

std::optional<std::uint64_t> identification(const Identity& identity, SystemRegister reg) {
  using silicon::arm64::system_register;
  switch (reg) {
    case system_register(3, 0, 0, 0, 0): return identity.midr;
    case system_register(3, 0, 0, 0, 5): return affinity(identity);
    case system_register(3, 0, 0, 0, 6): return identity.revidr;
    case system_register(3, 0, 0, 4, 0): return kPfr0;
    case system_register(3, 0, 0, 5, 0): return debug_features(identity);
    case system_register(3, 0, 0, 6, 0): return kIsar0;
    case system_register(3, 0, 0, 6, 1): return kIsar1;
    case system_register(3, 0, 0, 7, 0): return kMmfr0;
    case system_register(3, 0, 0, 7, 1): return kMmfr1;
    case system_register(3, 0, 0, 7, 2): return kMmfr2;
    default: break;
  }
  const bool in_space = op0(reg) == 3 && op1(reg) == 0 && crn(reg) == 0;
  if (!in_space || crm(reg) == 0 || crm(reg) > 7) return std::nullopt;
  return 0;
}

std::uint64_t cache_type() {
  constexpr std::uint64_t kWords = std::countr_zero(kCacheLineBytes / 4);
  return kWords          // IminLine
         | 3 << 14       // L1Ip: physical index, physical tag
         | kWords << 16  // DminLine
         | kWords << 20  // ERG
         | kWords << 24  // CWG
         | 1 << 28       // IDC
         | std::uint64_t{1} << 31;
}

std::uint64_t zero_block_size() {
  return std::countr_zero(kZvaBytes / 4);
}

std::uint64_t cache_levels() {
  return 3           // L1: instructions and data
         | 4 << 3    // L2: unified
         | 2 << 24;  // LoC; LoUU and LoUIS are zero, as CTR_EL0.IDC says
}

std::uint64_t affinity(const Identity& identity) {
  return std::uint64_t{1} << 31 | identity.index;
}

std::uint64_t cache_geometry(const Identity& identity, std::uint64_t selection) {
  const std::uint64_t level = selection >> 1 & 7;
  const bool instructions = (selection & 1) != 0;
  const bool exists = level == 0 || (level == 1 && !instructions);
  if (!exists) return 0;
  const CacheSize& cache = level == 0 ? identity.l1 : identity.l2;
  return std::countr_zero(kCacheLineBytes / 16)  // LineSize
         | std::uint64_t{cache.ways - 1} << 3 | std::uint64_t{cache.sets - 1} << 13;
}

}  // namespace vpmu::machine::arm64
