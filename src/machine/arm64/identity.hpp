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

struct Identity {
  std::uint64_t midr = 0x413fd0c1;  ///< MIDR_EL1
  std::uint64_t revidr = 0;         ///< REVIDR_EL1
  std::uint8_t index = 0;           ///< MPIDR_EL1.Aff0
  std::uint8_t pmu_version = 0;     ///< ID_AA64DFR0_EL1.PMUVer; 0: there is no PMU
  std::uint8_t spe_version = 0;     ///< ID_AA64DFR0_EL1.PMSVer; 0: there is no SPE

  friend bool operator==(const Identity&, const Identity&) = default;
};

/// The value of an identification register; none if there is no such one. All of op0 = 3, op1 = 0,
/// CRn = 0, CRm = 1 to 7 exists: what is not defined reads as zero.
[[nodiscard]] std::optional<std::uint64_t> identification(const Identity& identity,
                                                          silicon::arm64::SystemRegister reg);

/// CTR_EL0, DCZID_EL0 without DZP.
[[nodiscard]] std::uint64_t cache_type();
[[nodiscard]] std::uint64_t zero_block_size();
/// MPIDR_EL1.
[[nodiscard]] std::uint64_t affinity(const Identity& identity);
/// CCSIDR_EL1 of the cache that a value of CSSELR_EL1 selects; zero if there is no such one.
[[nodiscard]] std::uint64_t cache_geometry(const Identity& identity, std::uint64_t selection);

}  // namespace vpmu::machine::arm64
