// SPDX-License-Identifier: MIT
//
// FXSAVE, FXRSTOR; XSAVE, XSAVEOPT, XRSTOR in standard format for the components that exist, x87
// and SSE; XGETBV, XSETBV. Of the two, XSAVEOPT saves as much as XSAVE does, and both hold every
// component for in use: the architecture leaves that to the implementation.
#include <array>
#include <cstring>

#include "machine/x86/fp_environment.hpp"
#include "machine/x86/ops_sse_operands.hpp"
#include "machine/x86/ops_x87_state.hpp"

namespace vpmu::machine::x86 {
namespace {

/// State components, as bits of XCR0 and of XSAVE's masks.
enum Component : std::uint64_t { kX87State = 1, kSseState = 2, kAllStates = 3 };

/// The legacy region, Intel SDM vol. 1 table 10-2, and the first part of the XSAVE header (13.4.2).
struct SaveArea {
  std::uint16_t control;
  std::uint16_t status;
  std::uint8_t valid;
  std::uint8_t reserved1;
  std::uint16_t opcode;
  std::uint64_t instruction;
  std::uint64_t data;
  std::uint32_t mxcsr;
  std::uint32_t mxcsr_mask;
  std::array<std::array<std::uint8_t, 16>, 8> st;
  std::array<Xmm, 16> xmm;
  std::array<std::uint8_t, 96> unused;
  std::uint64_t xstate_bv;
  std::uint64_t xcomp_bv;
  std::uint64_t must_be_zero;
  std::uint64_t reserved2;
};
constexpr unsigned kUnit = 16;  // what is accessed at a time: never crosses a page
static_assert(sizeof(SaveArea) == 544);
constexpr unsigned kStOffset = offsetof(SaveArea, st), kXmmOffset = offsetof(SaveArea, xmm),
                   kMxcsrOffset = offsetof(SaveArea, mxcsr),
                   kHeaderOffset = offsetof(SaveArea, xstate_bv);

/// XMM8 to XMM15 exist in 64-bit mode only.
unsigned xmm_count(const Core& core) {
  return core.code64() ? 16 : 8;
}

bool aligned(Core& core, const Op* op, std::uint64_t linear, unsigned to) {
  if (linear % to == 0) return true;
  raise(core, op, kGeneralProtection, 0);
  return false;
}

bool read_area(Core& core, const Op* op, std::uint64_t linear, unsigned bytes, SaveArea& area) {
  for (unsigned at = 0; at < bytes; at += kUnit) {
    std::array<std::uint8_t, kUnit> unit;
    if (!load(core, op, linear + at, unit)) return false;
    std::memcpy(reinterpret_cast<std::uint8_t*>(&area) + at, unit.data(), kUnit);
  }
  return true;
}

/// Writes bytes [first, last) of the area, in units.
bool write_area(Core& core, const Op* op, std::uint64_t linear, unsigned first, unsigned last,
                const SaveArea& area) {
  for (unsigned at = first; at < last; at += kUnit) {
    std::array<std::uint8_t, kUnit> unit;
    std::memcpy(unit.data(), reinterpret_cast<const std::uint8_t*>(&area) + at, kUnit);
    if (!store(core, op, linear + at, unit)) return false;
  }
  return true;
}

/// So that no fault comes when part of it is written.
bool probe_area(Core& core, const Op* op, std::uint64_t linear, unsigned bytes) {
  for (unsigned at = 0; at < bytes; at += kUnit) {
    if (writable(core, linear + at, kUnit) != nullptr) continue;
    if (!probe_write(core, op, linear + at, kUnit)) return false;
  }
  return true;
}

SaveArea area_of(const Core& core) {
  SaveArea area{};
  const X87& x87 = core.x87;
  area.control = x87.control;
  area.status = x87.status;
  area.mxcsr = core.mxcsr;
  area.mxcsr_mask = kMxcsrValid;
  area.valid = x87.valid;
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(area.st[i].data(), &x87.r[((x87.status >> 11) + i) % 8], 10);
  area.xmm = core.xmm;
  return area;
}

void restore_x87(X87& x87, const SaveArea& area) {
  x87.control = valid_x87_control(area.control);
  x87.status = area.status;
  x87.valid = area.valid;
  update_x87_summary(x87);
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(&x87.r[((x87.status >> 11) + i) % 8], area.st[i].data(), 10);
}

void restore_xmm(Core& core, const SaveArea& area) {
  for (unsigned i = 0; i < xmm_count(core); ++i) core.xmm[i] = area.xmm[i];
}

// ---- FXSAVE, FXRSTOR ----------------------------------------------------------------------------

bool fxsave_available(Core& core, const Op* op) {
  if ((core.cr0 & (kCr0Em | kCr0Ts)) == 0) return true;
  raise(core, op, core.cr0 & kCr0Em ? kInvalidOpcode : kDeviceNotAvailable);
  return false;
}

bool run_fxsave(Core& core, const Op* op) {
  if (!fxsave_available(core, op)) return false;
  const std::uint64_t linear = linear_address(core, op);
  const unsigned bytes = kXmmOffset + kUnit * xmm_count(core);
  return aligned(core, op, linear, 16) && probe_area(core, op, linear, 512) &&
         write_area(core, op, linear, 0, bytes, area_of(core));
}

bool run_fxrstor(Core& core, const Op* op) {
  if (!fxsave_available(core, op)) return false;
  const std::uint64_t linear = linear_address(core, op);
  SaveArea area{};
  if (!aligned(core, op, linear, 16) || !read_area(core, op, linear, 512, area)) return false;
  if (area.mxcsr & ~kMxcsrValid) {
    raise(core, op, kGeneralProtection, 0);
    return false;
  }
  restore_x87(core.x87, area);
  core.mxcsr = area.mxcsr;
  restore_xmm(core, area);
  return true;
}

// ---- XSAVE, XRSTOR ------------------------------------------------------------------------------

bool xsave_enabled(Core& core, const Op* op) {
  if (core.cr4 & kCr4Osxsave) return true;
  raise(core, op, kInvalidOpcode);
  return false;
}

bool xsave_available(Core& core, const Op* op) {
  if (!xsave_enabled(core, op)) return false;
  if ((core.cr0 & kCr0Ts) == 0) return true;
  raise(core, op, kDeviceNotAvailable);
  return false;
}

/// EDX:EAX and what XCR0 enables.
std::uint64_t requested(const Core& core) {
  const std::uint64_t mask = static_cast<std::uint32_t>(core.gpr[kRax]) | core.gpr[kRdx] << 32;
  return mask & core.xcr0 & kAllStates;
}

bool run_xsave(Core& core, const Op* op) {
  if (!xsave_available(core, op)) return false;
  const std::uint64_t linear = linear_address(core, op), states = requested(core);
  if (!aligned(core, op, linear, 64) || !probe_area(core, op, linear, sizeof(SaveArea)))
    return false;
  std::uint64_t xstate_bv;
  if (!load(core, op, linear + kHeaderOffset, xstate_bv)) return false;
  xstate_bv |= states;

  const SaveArea area = area_of(core);
  if (states & kX87State) {
    // MXCSR shares a unit with the last of the pointers and is not x87 state.
    const std::uint64_t data = area.data;
    if (!write_area(core, op, linear, 0, kUnit, area) ||
        !store(core, op, linear + offsetof(SaveArea, data), data) ||
        !write_area(core, op, linear, kStOffset, kXmmOffset, area))
      return false;
  }
  if (states & kSseState) {
    const std::uint64_t mxcsr = area.mxcsr | std::uint64_t{area.mxcsr_mask} << 32;
    if (!store(core, op, linear + kMxcsrOffset, mxcsr) ||
        !write_area(core, op, linear, kXmmOffset, kXmmOffset + kUnit * xmm_count(core), area))
      return false;
  }
  return store(core, op, linear + kHeaderOffset, xstate_bv);
}

bool run_xrstor(Core& core, const Op* op) {
  if (!xsave_available(core, op)) return false;
  const std::uint64_t linear = linear_address(core, op), states = requested(core);
  SaveArea area{};
  if (!aligned(core, op, linear, 64) || !read_area(core, op, linear, sizeof area, area))
    return false;
  const bool bad_header =
      (area.xstate_bv & ~core.xcr0) != 0 || area.xcomp_bv != 0 || area.must_be_zero != 0;
  const bool bad_mxcsr = (states & kSseState) != 0 && (area.mxcsr & ~kMxcsrValid) != 0;
  if (bad_header || bad_mxcsr) {
    raise(core, op, kGeneralProtection, 0);
    return false;
  }
  if (states & kX87State) {
    if (area.xstate_bv & kX87State) {
      restore_x87(core.x87, area);
    } else {
      core.x87 = X87{};
    }
  }
  if (states & kSseState) {
    core.mxcsr = area.mxcsr;
    if (!(area.xstate_bv & kSseState)) area.xmm = {};
    restore_xmm(core, area);
  }
  return true;
}

// ---- XCR0 ---------------------------------------------------------------------------------------

bool run_xgetbv(Core& core, const Op* op) {
  if (!xsave_enabled(core, op)) return false;
  if (static_cast<std::uint32_t>(core.gpr[kRcx]) != 0) {
    raise(core, op, kGeneralProtection, 0);
    return false;
  }
  core.gpr[kRax] = static_cast<std::uint32_t>(core.xcr0);
  core.gpr[kRdx] = core.xcr0 >> 32;
  return true;
}

bool run_xsetbv(Core& core, const Op* op) {
  if (!xsave_enabled(core, op)) return false;
  const std::uint64_t value = static_cast<std::uint32_t>(core.gpr[kRax]) | core.gpr[kRdx] << 32;
  const bool bad_value = (value & ~std::uint64_t{kAllStates}) != 0 || !(value & kX87State);
  if (core.cpl != 0 || static_cast<std::uint32_t>(core.gpr[kRcx]) != 0 || bad_value) {
    raise(core, op, kGeneralProtection, 0);
    return false;
  }
  core.xcr0 = value;
  return true;
}

template <bool (*kRun)(Core&, const Op*)>
const Op* handler(Core& core, const Op* op) {
  if (!kRun(core, op)) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

}  // namespace

bool translate_fxsave(const Instruction& in, Translation& out) {
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64: return set_simd(in, out, handler<run_fxsave>, Cost::kStateSave);
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64: return set_simd(in, out, handler<run_fxrstor>, Cost::kStateSave);
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64: return set_simd(in, out, handler<run_xsave>, Cost::kStateSave);
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64: return set_simd(in, out, handler<run_xrstor>, Cost::kStateSave);
    case ZYDIS_MNEMONIC_XGETBV: return set_simd(in, out, handler<run_xgetbv>);
    case ZYDIS_MNEMONIC_XSETBV:
      return set_simd(in, out, handler<run_xsetbv>, Cost::kControlRegister);
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
