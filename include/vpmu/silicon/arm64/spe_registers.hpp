// SPDX-License-Identifier: MIT
//
// The registers of the Statistical Profiling Extension, Arm ARM D24.7, spelled as there.
#pragma once

#include <cstdint>

#include "vpmu/base/register.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::silicon::arm64 {

namespace reg {

inline constexpr SystemRegister PMSCR_EL1 = system_register(3, 0, 9, 9, 0);
inline constexpr SystemRegister PMSNEVFR_EL1 = system_register(3, 0, 9, 9, 1);
inline constexpr SystemRegister PMSICR_EL1 = system_register(3, 0, 9, 9, 2);
inline constexpr SystemRegister PMSIRR_EL1 = system_register(3, 0, 9, 9, 3);
inline constexpr SystemRegister PMSFCR_EL1 = system_register(3, 0, 9, 9, 4);
inline constexpr SystemRegister PMSEVFR_EL1 = system_register(3, 0, 9, 9, 5);
inline constexpr SystemRegister PMSLATFR_EL1 = system_register(3, 0, 9, 9, 6);
inline constexpr SystemRegister PMSIDR_EL1 = system_register(3, 0, 9, 9, 7);
inline constexpr SystemRegister PMBLIMITR_EL1 = system_register(3, 0, 9, 10, 0);
inline constexpr SystemRegister PMBPTR_EL1 = system_register(3, 0, 9, 10, 1);
inline constexpr SystemRegister PMBSR_EL1 = system_register(3, 0, 9, 10, 3);
inline constexpr SystemRegister PMBIDR_EL1 = system_register(3, 0, 9, 10, 7);
inline constexpr SystemRegister PMSCR_EL2 = system_register(3, 4, 9, 9, 0);

}  // namespace reg

/// PMSCR_EL1.
struct Pmscr : Register<std::uint64_t> {
  static constexpr Field<0> kE0spe{};   ///< samples at EL0
  static constexpr Field<1> kE1spe{};   ///< samples at EL1
  static constexpr Field<3> kCx{};      ///< context packets
  static constexpr Field<4> kPa{};      ///< physical addresses
  static constexpr Field<5> kTs{};      ///< timestamps
  static constexpr Field<7, 6> kPct{};  ///< SpePct; bit 7 with FEAT_ECV only: from SPEv1p2 on

  static constexpr std::uint64_t kWritable = mask_of(kE0spe, kE1spe, kCx, kPa, kTs, kPct);
  static_assert(kWritable == 0xfb);
};

/// PMSCR_EL1.PCT and PMSCR_EL2.PCT: whose time records have.
enum SpePct : std::uint64_t {
  kSpePctVirtual = 0,
  kSpePctPhysical = 1,
  kSpePctOffset = 3,  ///< the physical counter's less CNTPOFF_EL2
};

/// PMSCR_EL2, as far as its owner is EL1.
struct PmscrEl2 : Register<std::uint64_t> {
  static constexpr Field<0> kE0hspe{};
  static constexpr Field<1> kE2spe{};
  static constexpr Field<3> kCx{};
  static constexpr Field<4> kPa{};  ///< lets EL1 have physical addresses
  static constexpr Field<5> kTs{};
  /// kSpePctVirtual: EL1 gets the virtual counter; kSpePctPhysical: PMSCR_EL1.PCT decides;
  /// kSpePctOffset: as kSpePctPhysical, but any physical counter is less CNTPOFF_EL2.
  static constexpr Field<7, 6> kPct{};
};

/// PMSICR_EL1.
struct Pmsicr : Register<std::uint64_t> {
  static constexpr Field<31, 0> kCount{};
  static constexpr Field<63, 56> kEcount{};  ///< only with ERnd
};

/// PMSIRR_EL1.
struct Pmsirr : Register<std::uint64_t> {
  static constexpr Field<0> kRnd{};
  static constexpr Field<31, 8> kInterval{};  ///< in 256 operations

  static constexpr std::uint64_t kWritable = mask_of(kRnd, kInterval);
};

/// PMSFCR_EL1.
struct Pmsfcr : Register<std::uint64_t> {
  static constexpr Field<0> kFe{};   ///< by events: all of PMSEVFR_EL1
  static constexpr Field<1> kFt{};   ///< by type
  static constexpr Field<2> kFl{};   ///< by latency
  static constexpr Field<3> kFne{};  ///< by events: none of PMSNEVFR_EL1; SPEv1p2
  static constexpr Field<16> kB{};
  static constexpr Field<17> kLd{};
  static constexpr Field<18> kSt{};
};

/// PMSLATFR_EL1.
struct Pmslatfr : Register<std::uint64_t> {
  static constexpr Field<15, 0> kMinlat{};  ///< 15:12 only with counters of 16 bits
};

/// PMSIDR_EL1.
struct Pmsidr : Register<std::uint64_t> {
  static constexpr Field<0> kFe{};
  static constexpr Field<1> kFt{};
  static constexpr Field<2> kFl{};
  static constexpr Field<3> kArchInst{};  ///< samples instructions, not micro-operations
  static constexpr Field<4> kLds{};       ///< data source packets for loads
  static constexpr Field<5> kErnd{};      ///< the random part comes behind the interval
  static constexpr Field<6> kFne{};
  static constexpr Field<11, 8> kInterval{};    ///< recommended minimum
  static constexpr Field<15, 12> kMaxSize{};    ///< log2 of the longest record
  static constexpr Field<19, 16> kCountSize{};  ///< 2: counters of 12 bits, 3: of 16
  static constexpr Field<23, 20> kFormat{};
};

/// PMBLIMITR_EL1.
struct Pmblimitr : Register<std::uint64_t> {
  static constexpr Field<0> kE{};
  static constexpr Field<2, 1> kFm{};  ///< 0: fill, 2: discard (SPEv1p2)
  static constexpr Field<5> kPmfz{};   ///< SPEv1p2
  static constexpr Field<63, 12> kLimit{};

  enum : std::uint64_t { kFill = 0, kDiscard = 2 };
};

/// PMBSR_EL1.
struct Pmbsr : Register<std::uint64_t> {
  static constexpr Field<5, 0> kBsc{};   ///< with EC 0; otherwise a fault status code
  static constexpr Field<15, 0> kMss{};  ///< what its meaning is, EC says
  static constexpr Field<16> kColl{};
  static constexpr Field<17> kS{};  ///< the interrupt
  static constexpr Field<18> kEa{};
  static constexpr Field<19> kDl{};
  static constexpr Field<31, 26> kEc{};
  static constexpr Field<55, 32> kMss2{};

  static constexpr std::uint64_t kWritable = mask_of(kMss, kColl, kS, kEa, kDl, kEc, kMss2);
  static_assert(kWritable == 0x00ff'ffff'fc0f'ffff);
  enum : std::uint64_t { kEcOther = 0x00, kEcStage1 = 0x24, kEcStage2 = 0x25 };
  enum : std::uint64_t { kBscNotStopped = 0, kBscFull = 1, kBscTooLarge = 4 };
};

/// PMBIDR_EL1.
struct Pmbidr : Register<std::uint64_t> {
  static constexpr Field<3, 0> kAlign{};  ///< log2 of what records are aligned to
  static constexpr Field<4> kP{};         ///< programming is not allowed
  static constexpr Field<5> kF{};         ///< the access flag is managed as for any access
  static constexpr Field<11, 8> kEa{};
  static constexpr Field<47, 32> kMaxBuffSize{};

  /// The largest buffer, in bytes; 0: of any size.
  [[nodiscard]] constexpr std::uint64_t max_buffer_bytes() const {
    constexpr Field<40, 32> kMantissa;
    constexpr Field<45, 41> kExponent;
    const std::uint64_t mantissa = get(kMantissa), exponent = get(kExponent);
    return exponent == 0 ? mantissa << 12 : (512 + mantissa) << (exponent + 11);
  }
};

/// ID_AA64DFR0_EL1.PMSVer.
inline constexpr std::uint8_t kSpeV1 = 1, kSpeV1p1 = 2, kSpeV1p2 = 3;

}  // namespace vpmu::silicon::arm64
