// SPDX-License-Identifier: MIT
//
// What a CPU says it is: the identification registers. They describe exactly what the machine
// executes; the CPU model adds its name (MIDR_EL1), the configuration its PMU.
#pragma once

#include <cstdint>
#include <optional>

#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::machine::arm64 {

/// Breakpoints and watchpoints: ID_AA64DFR0_EL1.{BRPs,WRPs} are one less.
inline constexpr unsigned kBreakpoints = 6, kWatchpoints = 4;

/// Width of physical addresses: ID_AA64MMFR0_EL1.PARange.
inline constexpr unsigned kPhysicalBits = 48;

/// Bytes that DC ZVA zeroes, and of a cache line as CTR_EL0 says.
inline constexpr std::uint64_t kZvaBytes = 64, kCacheLineBytes = 64;

/// A cache of lines of kCacheLineBytes.
struct CacheSize {
  std::uint32_t sets = 0;
  std::uint32_t ways = 0;
  friend bool operator==(const CacheSize&, const CacheSize&) = default;
};

struct Identity {
  std::uint64_t midr = 0x413fd0c1;  ///< MIDR_EL1
  std::uint64_t revidr = 0;         ///< REVIDR_EL1
  std::uint8_t index = 0;           ///< MPIDR_EL1.Aff0
  std::uint8_t pmu_version = 0;     ///< ID_AA64DFR0_EL1.PMUVer; 0: there is no PMU
  std::uint8_t spe_version = 0;     ///< ID_AA64DFR0_EL1.PMSVer; 0: there is no SPE
  CacheSize l1{256, 4};             ///< data and instructions alike
  CacheSize l2{2048, 8};

  friend bool operator==(const Identity&, const Identity&) = default;
};

/// The value of an identification register (op0 = 3, op1 = 0, CRn = 0); none if there is no such
/// one. Those with a CRm of 1 to 7 all exist: what is not defined reads as zero.
[[nodiscard]] std::optional<std::uint64_t> identification(const Identity& identity,
                                                          silicon::arm64::SystemRegister reg);

/// CTR_EL0: caches of data and instructions see the same memory when lines of the latter are
/// invalidated (IDC, not DIC).
[[nodiscard]] std::uint64_t cache_type();
/// DCZID_EL0 where DC ZVA is allowed; otherwise kDzp is set, too.
[[nodiscard]] std::uint64_t zero_block_size();
inline constexpr std::uint64_t kDzp = 1 << 4;
/// CLIDR_EL1.
[[nodiscard]] std::uint64_t cache_levels();
/// MPIDR_EL1.
[[nodiscard]] std::uint64_t affinity(const Identity& identity);
/// CCSIDR_EL1 of the cache that a value of CSSELR_EL1 selects; zero if there is no such one.
[[nodiscard]] std::uint64_t cache_geometry(const Identity& identity, std::uint64_t selection);

}  // namespace vpmu::machine::arm64
