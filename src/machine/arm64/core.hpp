// SPDX-License-Identifier: MIT
//
// The architectural state of one AArch64 CPU (EL1 and EL0, no EL2, no EL3, no AArch32) that the
// engine which runs the instructions does not hold: PSTATE without the condition flags, the stack
// pointers that are not in use, and the system registers. Plain values: it is saved and compared as
// it is.
//
// Registers hold what a read gives, reserved bits included: system_registers.hpp masks writes.
#pragma once

#include <array>
#include <cstdint>

#include "machine/arm64/identity.hpp"
#include "vpmu/base/register.hpp"

namespace vpmu::machine::arm64 {

/// Exception levels. There are no others.
enum class ExceptionLevel : std::uint8_t { kEl0, kEl1 };

/// PSTATE.{D,A,I,F} as Core::daif holds them, and as MSR DAIFSet and DAIFClr name them.
inline constexpr std::uint8_t kMaskDebug = 8, kMaskSError = 4, kMaskIrq = 2, kMaskFiq = 1,
                              kMaskAll = 15;

/// SPSR_EL1, and PSTATE wherever it is one integer (C5.2.18).
struct Spsr : Register<std::uint64_t> {
  static constexpr Field<31, 28> kNzcv{};
  static constexpr Field<22> kPan{};
  static constexpr Field<21> kSs{};
  static constexpr Field<20> kIl{};
  static constexpr Field<9, 6> kDaif{};
  static constexpr Field<4> kAArch32{};
  static constexpr Field<3, 2> kEl{};
  static constexpr Field<1> kReserved1{};
  static constexpr Field<0> kSp{};
  /// M[4:0]
  static constexpr Field<4, 0> kMode{};
};

/// SCTLR_EL1 (D13.2.118): the fields that this CPU has.
struct Sctlr : Register<std::uint64_t> {
  static constexpr Field<0> kM{};      ///< stage 1 translation
  static constexpr Field<1> kA{};      ///< alignment checks
  static constexpr Field<2> kC{};      ///< data cacheable
  static constexpr Field<3> kSa{};     ///< stack alignment checks at EL1
  static constexpr Field<4> kSa0{};    ///< and at EL0
  static constexpr Field<9> kUma{};    ///< EL0 may access DAIF
  static constexpr Field<12> kI{};     ///< instructions cacheable
  static constexpr Field<14> kDze{};   ///< EL0 may DC ZVA
  static constexpr Field<15> kUct{};   ///< EL0 may read CTR_EL0
  static constexpr Field<16> kNtwi{};  ///< EL0 may WFI
  static constexpr Field<18> kNtwe{};  ///< EL0 may WFE
  static constexpr Field<19> kWxn{};   ///< what is writable is not executable
  static constexpr Field<23> kSpan{};  ///< exceptions leave PSTATE.PAN alone
  static constexpr Field<26> kUci{};   ///< EL0 may maintain caches
  /// ITD, SED, EOS, TSCXT, EIS, nTLSMD, LSMAOE: one, as what they control is not there.
  static constexpr std::uint64_t kRes1 =
      1U << 7 | 1U << 8 | 1U << 11 | 1U << 20 | 1U << 22 | 1U << 28 | 1U << 29;
  static constexpr std::uint64_t kWritable =
      mask_of(kM, kA, kC, kSa, kSa0, kUma, kI, kDze, kUct, kNtwi, kNtwe, kWxn, kSpan, kUci);
  static_assert((kRes1 & kWritable) == 0);
};

/// TCR_EL1 (D13.2.131).
struct Tcr : Register<std::uint64_t> {
  static constexpr Field<5, 0> kT0sz{};
  static constexpr Field<7> kEpd0{};
  static constexpr Field<9, 8> kIrgn0{};
  static constexpr Field<11, 10> kOrgn0{};
  static constexpr Field<13, 12> kSh0{};
  static constexpr Field<15, 14> kTg0{};
  static constexpr Field<21, 16> kT1sz{};
  static constexpr Field<22> kA1{};
  static constexpr Field<23> kEpd1{};
  static constexpr Field<25, 24> kIrgn1{};
  static constexpr Field<27, 26> kOrgn1{};
  static constexpr Field<29, 28> kSh1{};
  static constexpr Field<31, 30> kTg1{};
  static constexpr Field<34, 32> kIps{};
  static constexpr Field<36> kAs{};
  static constexpr Field<37> kTbi0{};
  static constexpr Field<38> kTbi1{};
  static constexpr Field<39> kHa{};
  static constexpr Field<40> kHd{};
  static constexpr Field<41> kHpd0{};
  static constexpr Field<42> kHpd1{};
  static constexpr Field<55> kE0pd0{};
  static constexpr Field<56> kE0pd1{};
  static constexpr std::uint64_t kWritable =
      mask_of(kT0sz, kEpd0, kIrgn0, kOrgn0, kSh0, kTg0, kT1sz, kA1, kEpd1, kIrgn1, kOrgn1, kSh1,
              kTg1, kIps, kAs, kTbi0, kTbi1, kHa, kHd, kHpd0, kHpd1, kE0pd0, kE0pd1);
};

/// CPACR_EL1 (D13.2.30).
struct Cpacr : Register<std::uint64_t> {
  static constexpr Field<21, 20> kFpen{};  ///< 1: EL0 traps; 3: nothing traps; else both levels
};

/// MDSCR_EL1 (D13.3.20): the fields that have an effect, and those that are kept for debuggers.
struct Mdscr : Register<std::uint64_t> {
  static constexpr Field<0> kSs{};     ///< software step
  static constexpr Field<12> kTdcc{};  ///< EL0 accesses to the debug channel trap
  static constexpr Field<13> kKde{};   ///< debug exceptions from EL1, too
  static constexpr Field<15> kMde{};   ///< breakpoints and watchpoints
};

/// A breakpoint or watchpoint: value (address) and control register.
struct DebugPair {
  std::uint64_t value = 0;
  std::uint64_t control = 0;
  friend bool operator==(const DebugPair&, const DebugPair&) = default;
};

struct Core {
  // PSTATE
  ExceptionLevel el = ExceptionLevel::kEl1;
  bool sp_select = true;  ///< PSTATE.SP: EL1 uses SP_EL1
  std::uint8_t daif = kMaskAll;
  bool pan = false;
  bool ss = false;  ///< software step: 0 is active-pending
  bool il = false;  ///< the next instruction raises an illegal execution state exception

  /// SP_EL0 and SP_EL1. The one that is in use (stack_in_use()) is in the Registers; its element
  /// here is out of date.
  std::array<std::uint64_t, 2> sp_el{};

  std::uint64_t sctlr = Sctlr::kRes1 | Sctlr::kSpan.kMask;
  std::uint64_t cpacr = 0;
  std::uint64_t ttbr0 = 0;
  std::uint64_t ttbr1 = 0;
  std::uint64_t tcr = 0;
  std::uint64_t mair = 0;
  std::uint64_t contextidr = 0;
  std::uint64_t vbar = 0;
  std::uint64_t elr = 0;
  std::uint64_t spsr = 0;
  std::uint64_t esr = 0;
  std::uint64_t far = 0;
  std::uint64_t par = 0;
  std::uint64_t tpidr_el0 = 0;
  std::uint64_t tpidrro_el0 = 0;
  std::uint64_t tpidr_el1 = 0;
  std::uint64_t csselr = 0;

  // Debug (D13.3)
  std::uint64_t mdscr = 0;
  std::uint64_t mdccint = 0;
  std::uint64_t osdtrrx = 0;
  std::uint64_t osdtrtx = 0;
  std::uint64_t oseccr = 0;
  std::uint64_t dbgclaim = 0;
  bool os_lock = true;
  std::array<DebugPair, kBreakpoints> breakpoints{};
  std::array<DebugPair, kWatchpoints> watchpoints{};

  /// What the syndrome of the next software step exception says: an instruction was stepped, and it
  /// was a load exclusive.
  bool stepped = false;
  bool stepped_exclusive = false;

  /// What the CPU is. Not part of what it does: the same after a reset.
  Identity identity{};

  /// The index in sp_el of the stack pointer in use.
  [[nodiscard]] unsigned stack_in_use() const {
    return el == ExceptionLevel::kEl1 && sp_select ? 1 : 0;
  }
  [[nodiscard]] Sctlr control() const { return {{sctlr}}; }
  [[nodiscard]] Tcr translation_control() const { return {{tcr}}; }

  friend bool operator==(const Core&, const Core&) = default;
};

/// Cold reset: EL1h, everything masked, MMU and caches off. `core.identity` stays.
void reset(Core& core);

/// PSTATE as one integer, as an exception puts it into SPSR_EL1. `nzcv` in bits 31:28.
[[nodiscard]] std::uint64_t pstate(const Core& core, std::uint32_t nzcv);

/// An FP or SIMD instruction at the current exception level is trapped (EC 0x07).
[[nodiscard]] bool fp_trapped(const Core& core);

/// Bits 63:56 of addresses.
inline constexpr std::uint64_t kTagBits = std::uint64_t{0xff} << 56;
/// Those of this address are a tag that does not count: TCR_EL1.TBIx of its half says so.
[[nodiscard]] bool tag_ignored(const Core& core, std::uint64_t address);

}  // namespace vpmu::machine::arm64
