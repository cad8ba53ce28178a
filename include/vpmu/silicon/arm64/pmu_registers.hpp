// SPDX-License-Identifier: MIT
//
// The registers of PMUv3, Arm ARM D19.5, spelled as there. A register that exists once per counter
// is a function of the counter's number. Which bits a guest may set depends on what it is offered:
// virt/arm64 works that out from these fields.
#pragma once

#include <cstdint>

#include "vpmu/base/register.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::silicon::arm64 {

namespace reg {

inline constexpr SystemRegister PMINTENSET_EL1 = system_register(3, 0, 9, 14, 1);
inline constexpr SystemRegister PMINTENCLR_EL1 = system_register(3, 0, 9, 14, 2);
inline constexpr SystemRegister PMMIR_EL1 = system_register(3, 0, 9, 14, 6);
inline constexpr SystemRegister PMCR_EL0 = system_register(3, 3, 9, 12, 0);
inline constexpr SystemRegister PMCNTENSET_EL0 = system_register(3, 3, 9, 12, 1);
inline constexpr SystemRegister PMCNTENCLR_EL0 = system_register(3, 3, 9, 12, 2);
inline constexpr SystemRegister PMOVSCLR_EL0 = system_register(3, 3, 9, 12, 3);
inline constexpr SystemRegister PMSWINC_EL0 = system_register(3, 3, 9, 12, 4);
inline constexpr SystemRegister PMSELR_EL0 = system_register(3, 3, 9, 12, 5);
inline constexpr SystemRegister PMCEID0_EL0 = system_register(3, 3, 9, 12, 6);
inline constexpr SystemRegister PMCEID1_EL0 = system_register(3, 3, 9, 12, 7);
inline constexpr SystemRegister PMCCNTR_EL0 = system_register(3, 3, 9, 13, 0);
inline constexpr SystemRegister PMXEVTYPER_EL0 = system_register(3, 3, 9, 13, 1);
inline constexpr SystemRegister PMXEVCNTR_EL0 = system_register(3, 3, 9, 13, 2);
inline constexpr SystemRegister PMUSERENR_EL0 = system_register(3, 3, 9, 14, 0);
inline constexpr SystemRegister PMOVSSET_EL0 = system_register(3, 3, 9, 14, 3);
inline constexpr SystemRegister PMCCFILTR_EL0 = system_register(3, 3, 14, 15, 7);

/// `n` < 31.
constexpr SystemRegister PMEVCNTR_EL0(unsigned n) {
  return system_register(3, 3, 14, 8 | n >> 3, n & 7);
}
constexpr SystemRegister PMEVTYPER_EL0(unsigned n) {
  return system_register(3, 3, 14, 12 | n >> 3, n & 7);
}

}  // namespace reg

/// PMCR_EL0.
struct Pmcr : Register<std::uint64_t> {
  static constexpr Field<0> kE{};       ///< counters are enabled
  static constexpr Field<1> kP{};       ///< write-only: event counters to 0
  static constexpr Field<2> kC{};       ///< write-only: the cycle counter to 0
  static constexpr Field<3> kD{};       ///< with AArch32 and LC = 0: every 64th cycle counts
  static constexpr Field<4> kX{};       ///< export of events: there is no such bus
  static constexpr Field<5> kDp{};      ///< no cycles where counting is prohibited: nowhere
  static constexpr Field<6> kLc{};      ///< the cycle counter overflows at 64 bits
  static constexpr Field<7> kLp{};      ///< PMUv3p5: event counters overflow at 64 bits
  static constexpr Field<15, 11> kN{};  ///< number of event counters

  static_assert(disjoint(kE, kP, kC, kD, kX, kDp, kLc, kLp, kN));
};

/// PMEVTYPER<n>_EL0 and PMCCFILTR_EL0, where there are neither EL2 nor EL3.
struct PmEvTyper : Register<std::uint64_t> {
  static constexpr Field<9, 0> kEvent8_0{};  ///< Armv8.0
  static constexpr Field<15, 0> kEvent{};    ///< since Armv8.1
  static constexpr Field<30> kU{};           ///< does not count at EL0
  static constexpr Field<31> kP{};           ///< does not count at EL1

  static_assert(disjoint(kEvent, kU, kP));
};

/// PMUSERENR_EL0: what EL0 may do.
struct PmUserEnr : Register<std::uint64_t> {
  static constexpr Field<0> kEn{};  ///< everything
  static constexpr Field<1> kSw{};  ///< write PMSWINC_EL0
  static constexpr Field<2> kCr{};  ///< read the cycle counter
  static constexpr Field<3> kEr{};  ///< read event counters, and select them

  static constexpr std::uint64_t kWritable = mask_of(kEn, kSw, kCr, kEr);
  static_assert(kWritable == 0xf);
};

/// PMSELR_EL0.
struct PmSelr : Register<std::uint64_t> {
  static constexpr Field<4, 0> kSel{};
};

/// ID_AA64DFR0_EL1.PMUVer.
inline constexpr std::uint8_t kPmuV3 = 1;    ///< Armv8.0
inline constexpr std::uint8_t kPmuV3p1 = 4;  ///< events of 16 bits
inline constexpr std::uint8_t kPmuV3p4 = 5;  ///< PMMIR_EL1
inline constexpr std::uint8_t kPmuV3p5 = 6;  ///< event counters of 64 bits, no CHAIN

/// How many event numbers there are.
constexpr std::uint32_t event_numbers(std::uint8_t pmu_version) {
  return pmu_version < kPmuV3p1 ? 0x400 : 0x1'0000;
}

}  // namespace vpmu::silicon::arm64
