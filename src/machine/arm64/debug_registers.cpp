// SPDX-License-Identifier: MIT
#include "machine/arm64/debug_registers.hpp"

namespace vpmu::machine::arm64 {

using silicon::arm64::system_register;
using silicon::arm64::SystemRegister;

namespace {

constexpr SystemRegister kOsdtrrx = system_register(2, 0, 0, 0, 2),
                         kMdccint = system_register(2, 0, 0, 2, 0),
                         kMdscr = system_register(2, 0, 0, 2, 2),
                         kOsdtrtx = system_register(2, 0, 0, 3, 2),
                         kOseccr = system_register(2, 0, 0, 6, 2),
                         kMdrar = system_register(2, 0, 1, 0, 0),
                         kOslar = system_register(2, 0, 1, 0, 4),
                         kOslsr = system_register(2, 0, 1, 1, 4),
                         kOsdlr = system_register(2, 0, 1, 3, 4),
                         kDbgprcr = system_register(2, 0, 1, 4, 4),
                         kClaimSet = system_register(2, 0, 7, 8, 6),
                         kClaimClear = system_register(2, 0, 7, 9, 6),
                         kAuthStatus = system_register(2, 0, 7, 14, 6),
                         kMdccsr = system_register(2, 3, 0, 1, 0),
                         kDtr = system_register(2, 3, 0, 4, 0),
                         kDtrHalf = system_register(2, 3, 0, 5, 0);

/// Of MDSCR_EL1 while the OS lock is unlocked; what a debugger's state has besides while it is.
constexpr std::uint64_t kMdscrWritable =
    mask_of(Mdscr::kSs, Mdscr::kTdcc, Mdscr::kKde, Mdscr::kMde);
constexpr std::uint64_t kMdscrLocked =
    kMdscrWritable | mask_of(Field<6>{}, Field<14>{}, Field<21>{}, Field<23, 22>{}, Field<27, 26>{},
                             Field<30, 29>{});

/// E, PMC, BAS, HMC, SSC, LBN, BT; E, PAC, LSC, BAS, HMC, SSC, LBN, WT, MASK.
constexpr std::uint64_t kBreakpointControl =
    mask_of(Field<2, 0>{}, Field<8, 5>{}, Field<13>{}, Field<15, 14>{}, Field<23, 16>{});
constexpr std::uint64_t kWatchpointControl =
    mask_of(Field<12, 0>{}, Field<13>{}, Field<15, 14>{}, Field<20, 16>{}, Field<28, 24>{});
constexpr std::uint64_t kWord = 0xffff'ffff;
constexpr std::uint64_t kClaimBits = 0xff;

/// The breakpoint or watchpoint whose register it is; null if there is no such one. `AnyCore` is
/// Core, const or not.
template <class AnyCore>
auto* find_pair(AnyCore& core, SystemRegister reg) {
  const bool is_pair = op1(reg) == 0 && crn(reg) == 0 && op2(reg) >= 4;
  const bool is_breakpoint = op2(reg) < 6;
  const unsigned n = crm(reg);
  const bool exists = n < (is_breakpoint ? kBreakpoints : kWatchpoints);
  if (!is_pair || !exists) return static_cast<decltype(core.breakpoints.data())>(nullptr);
  return is_breakpoint ? &core.breakpoints[n] : &core.watchpoints[n];
}

/// Which half of the pair it is, and the bits that this has.
struct PairPart {
  std::uint64_t DebugPair::*part;
  std::uint64_t writable;
};

PairPart pair_part(SystemRegister reg) {
  constexpr std::uint64_t kAddress = ~std::uint64_t{3};
  switch (op2(reg)) {
    // A breakpoint's value may be a context identifier.
    case 4: return {&DebugPair::value, ~std::uint64_t{0}};
    case 5: return {&DebugPair::control, kBreakpointControl};
    case 6: return {&DebugPair::value, kAddress};
    default: return {&DebugPair::control, kWatchpointControl};
  }
}

/// The registers of the debug communications channel that EL0 has, if EL1 lets it.
bool is_channel(SystemRegister reg) {
  return reg == kMdccsr || reg == kDtr || reg == kDtrHalf;
}

/// Fault or trap; done() if the access is allowed.
Access allowed(const Core& core, SystemRegister reg) {
  if (core.el == ExceptionLevel::kEl1) return Access::done();
  if (!is_channel(reg)) return Access::fault();
  return Mdscr{{core.mdscr}}.get(Mdscr::kTdcc) != 0 ? Access::trap() : Access::done();
}

}  // namespace

Access read_debug_register(const Core& core, SystemRegister reg) {
  if (const Access access = allowed(core, reg); !access.is_done()) return access;
  constexpr std::uint64_t kOslkImplemented = 1 << 3;
  constexpr std::uint64_t kNonSecureDisabled = 0xa;  // NSID and NSNID: implemented, disabled
  switch (reg) {
    case kOsdtrrx: return Access::done(core.osdtrrx);
    case kMdccint: return Access::done(core.mdccint);
    case kMdscr: return Access::done(core.mdscr);
    case kOsdtrtx: return Access::done(core.osdtrtx);
    case kOseccr: return Access::done(core.oseccr);
    case kOslsr: return Access::done(kOslkImplemented | (core.os_lock ? 2 : 0));
    case kClaimSet: return Access::done(kClaimBits);
    case kClaimClear: return Access::done(core.dbgclaim);
    case kAuthStatus: return Access::done(kNonSecureDisabled);
    case kMdrar:
    case kOsdlr:
    case kDbgprcr:
    case kMdccsr:
    case kDtr:
    case kDtrHalf: return Access::done(0);
    default: break;
  }
  const DebugPair* pair = find_pair(core, reg);
  return pair == nullptr ? Access::fault() : Access::done(pair->*pair_part(reg).part);
}

Access write_debug_register(Core& core, SystemRegister reg, std::uint64_t value) {
  if (const Access access = allowed(core, reg); !access.is_done()) return access;
  switch (reg) {
    case kOsdtrrx: core.osdtrrx = value & kWord; return Access::done();
    case kMdccint: core.mdccint = value & mask_of(Field<30, 29>{}); return Access::done();
    case kMdscr: {
      const std::uint64_t writable = core.os_lock ? kMdscrLocked : kMdscrWritable;
      core.mdscr = (core.mdscr & ~writable) | (value & writable);
      return Access::done();
    }
    case kOsdtrtx: core.osdtrtx = value & kWord; return Access::done();
    case kOseccr: core.oseccr = value & kWord; return Access::done();
    case kOslar: core.os_lock = (value & 1) != 0; return Access::done();
    case kClaimSet: core.dbgclaim |= value & kClaimBits; return Access::done();
    case kClaimClear: core.dbgclaim &= ~value; return Access::done();
    case kOsdlr:
    case kDbgprcr:
    case kDtr:
    case kDtrHalf: return Access::done();
    default: break;
  }
  DebugPair* pair = find_pair(core, reg);
  if (pair == nullptr) return Access::fault();
  const PairPart part = pair_part(reg);
  pair->*part.part = value & part.writable;
  return Access::done();
}

}  // namespace vpmu::machine::arm64
