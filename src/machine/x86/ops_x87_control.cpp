// SPDX-License-Identifier: MIT
//
// x87 control instructions: FNINIT, FNCLEX, FLDCW, FNSTCW, FNSTSW, FLDENV, FNSTENV, FRSTOR, FNSAVE,
// FWAIT. Those with N do not wait: a pending exception stays pending.
//
// The pointers to the last instruction and operand, and its opcode, are always zero; that is what
// current CPUs give for the selectors, and nobody but debuggers of x87 code reads the rest.
#include <cstring>

#include "machine/x86/memory_access.hpp"
#include "machine/x86/ops_sse_operands.hpp"
#include "machine/x86/ops_x87_host.hpp"
#include "machine/x86/ops_x87_state.hpp"

namespace vpmu::machine::x86 {

bool x87_available(Core& core, const Op* op) {
  if ((core.cr0 & (kCr0Em | kCr0Ts)) == 0) return true;
  raise(core, op, kDeviceNotAvailable);
  return false;
}

bool x87_available_waiting(Core& core, const Op* op) {
  if (!x87_available(core, op)) return false;
  if ((core.x87.status & kX87Es) == 0) return true;
  raise(core, op, kX87Error);
  return false;
}

void update_x87_summary(X87& x87) {
  const bool pending = (x87.status & ~x87.control & kX87Exceptions) != 0;
  x87.status &= static_cast<std::uint16_t>(~(kX87Es | kX87Busy));
  if (pending) x87.status |= kX87Es | kX87Busy;
}

std::uint16_t valid_x87_control(std::uint16_t value) {
  return static_cast<std::uint16_t>((value & 0x1f3f) | 0x40);
}

std::uint16_t x87_tag_word(const X87& x87) {
  unsigned tags = 0;
  for (unsigned i = 0; i < 8; ++i) {
    std::uint64_t significand;
    std::uint16_t sign_exponent;
    std::memcpy(&significand, &x87.r[i], 8);
    std::memcpy(&sign_exponent, reinterpret_cast<const std::uint8_t*>(&x87.r[i]) + 8, 2);
    const unsigned exponent = sign_exponent & 0x7fffu;
    unsigned tag = 0;
    if (!(x87.valid >> i & 1)) {
      tag = 3;
    } else if (exponent == 0 && significand == 0) {
      tag = 1;
    } else if (exponent == 0 || exponent == 0x7fff || significand >> 63 == 0) {
      tag = 2;
    }
    tags |= tag << (2 * i);
  }
  return static_cast<std::uint16_t>(tags);
}

std::uint8_t x87_valid_of(std::uint16_t tag_word) {
  unsigned valid = 0;
  for (unsigned i = 0; i < 8; ++i) valid |= ((tag_word >> (2 * i) & 3) != 3 ? 1u : 0u) << i;
  return static_cast<std::uint8_t>(valid);
}

void initialise_x87(X87& x87) {
  x87.control = 0x37f;
  x87.status = 0;
  x87.valid = 0;
  x87.last_opcode = 0;
  x87.last_instruction = 0;
  x87.last_data = 0;
}

namespace {

const Op* fninit(Core& core, const Op* op) {
  if (!x87_available(core, op)) return nullptr;
  initialise_x87(core.x87);
  VPMU_NEXT(core, op);
}

const Op* fnclex(Core& core, const Op* op) {
  if (!x87_available(core, op)) return nullptr;
  core.x87.status &=
      static_cast<std::uint16_t>(~(kX87Exceptions | kX87StackFault | kX87Es | kX87Busy));
  VPMU_NEXT(core, op);
}

/// FENI, FDISI and FSETPM of older coprocessors.
const Op* do_nothing(Core& core, const Op* op) {
  if (!x87_available(core, op)) return nullptr;
  VPMU_NEXT(core, op);
}

/// #NM only if CR0.MP says that WAIT is to be watched too.
const Op* fwait(Core& core, const Op* op) {
  if ((core.cr0 & (kCr0Mp | kCr0Ts)) == (kCr0Mp | kCr0Ts)) [[unlikely]]
    return raise(core, op, kDeviceNotAvailable);
  if (core.x87.status & kX87Es) [[unlikely]]
    return raise(core, op, kX87Error);
  VPMU_NEXT(core, op);
}

const Op* fldcw(Core& core, const Op* op) {
  if (!x87_available_waiting(core, op)) return nullptr;
  {
    std::uint16_t value;
    if (!load(core, op, linear_address(core, op), value)) return nullptr;
    core.x87.control = valid_x87_control(value);
    update_x87_summary(core.x87);
  }
  VPMU_NEXT(core, op);
}

const Op* fnstcw(Core& core, const Op* op) {
  if (!x87_available(core, op)) return nullptr;
  if (!store(core, op, linear_address(core, op), core.x87.control)) return nullptr;
  VPMU_NEXT(core, op);
}

const Op* fnstsw_memory(Core& core, const Op* op) {
  if (!x87_available(core, op)) return nullptr;
  if (!store(core, op, linear_address(core, op), core.x87.status)) return nullptr;
  VPMU_NEXT(core, op);
}

const Op* fnstsw_ax(Core& core, const Op* op) {
  if (!x87_available(core, op)) return nullptr;
  set<std::uint16_t>(core, 8 * kRax, core.x87.status);
  VPMU_NEXT(core, op);
}

/// Environments are seven words of T: 16 or 32 bits by the operand size.
template <class T>
using Environment87 = std::array<T, 7>;
template <class T>
Environment87<T> environment_of(const X87& x87) {
  constexpr T kUpper = static_cast<T>(sizeof(T) == 4 ? 0xffff'0000u : 0u);
  return {static_cast<T>(kUpper | x87.control),
          static_cast<T>(kUpper | x87.status),
          static_cast<T>(kUpper | x87_tag_word(x87)),
          0,
          0,
          0,
          kUpper};
}

template <class T>
void set_environment(X87& x87, const Environment87<T>& environment) {
  x87.control = valid_x87_control(static_cast<std::uint16_t>(environment[0]));
  x87.status = static_cast<std::uint16_t>(environment[1]);
  x87.valid = x87_valid_of(static_cast<std::uint16_t>(environment[2]));
  update_x87_summary(x87);
}

/// A register as FNSAVE stores it, in the order of the stack, behind the environment.
using Register87 = std::array<std::uint8_t, 10>;

template <class T>
bool load_state(Core& core, const Op* op) {
  std::uint64_t linear = linear_address(core, op);
  Environment87<T> environment;
  std::array<Register87, 8> st;
  if (!load(core, op, linear, environment)) return false;
  linear += sizeof environment;
  for (Register87& value : st) {
    if (!load(core, op, linear, value)) return false;
    linear += sizeof value;
  }
  X87& x87 = core.x87;
  set_environment(x87, environment);
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(&x87.r[((x87.status >> 11) + i) % 8], st[i].data(), sizeof(Register87));
  return true;
}

template <class T>
bool store_state(Core& core, const Op* op) {
  std::uint64_t linear = linear_address(core, op);
  const X87& x87 = core.x87;
  const Environment87<T> environment = environment_of<T>(x87);
  constexpr unsigned kBytes = sizeof environment + 8 * sizeof(Register87);
  if (!probe_write(core, op, linear, kBytes) || !store(core, op, linear, environment)) return false;
  linear += sizeof environment;
  for (unsigned i = 0; i < 8; ++i) {
    Register87 value;
    std::memcpy(value.data(), &x87.r[((x87.status >> 11) + i) % 8], sizeof value);
    if (!store(core, op, linear, value)) return false;
    linear += sizeof value;
  }
  return true;
}

template <class T>
const Op* fldenv(Core& core, const Op* op) {
  if (!x87_available_waiting(core, op)) return nullptr;
  {
    Environment87<T> environment;
    if (!load(core, op, linear_address(core, op), environment)) return nullptr;
    set_environment(core.x87, environment);
  }
  VPMU_NEXT(core, op);
}

template <class T>
const Op* fnstenv(Core& core, const Op* op) {
  if (!x87_available(core, op)) return nullptr;
  {
    const Environment87<T> environment = environment_of<T>(core.x87);
    if (!store(core, op, linear_address(core, op), environment)) return nullptr;
    core.x87.control |= kX87Exceptions;
    update_x87_summary(core.x87);
  }
  VPMU_NEXT(core, op);
}

template <class T>
const Op* frstor(Core& core, const Op* op) {
  if (!x87_available_waiting(core, op) || !load_state<T>(core, op)) return nullptr;
  VPMU_NEXT(core, op);
}

template <class T>
const Op* fnsave(Core& core, const Op* op) {
  if (!x87_available(core, op) || !store_state<T>(core, op)) return nullptr;
  initialise_x87(core.x87);
  VPMU_NEXT(core, op);
}

}  // namespace

bool translate_x87_control(const Instruction& in, Translation& out) {
  const bool short_form =
      in.visible() > 0 && (in.operands[0].size == 14 * 8 || in.operands[0].size == 94 * 8);
  const auto sized = [&](Handler wide, Handler narrow) {
    return set_simd(in, out, short_form ? narrow : wide, Cost::kStateSave);
  };
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_FNINIT: return set_simd(in, out, fninit, Cost::kX87);
    case ZYDIS_MNEMONIC_FNCLEX: return set_simd(in, out, fnclex, Cost::kX87);
    case ZYDIS_MNEMONIC_FWAIT: return set_simd(in, out, fwait, Cost::kX87);
    case ZYDIS_MNEMONIC_FENI8087_NOP:
    case ZYDIS_MNEMONIC_FDISI8087_NOP:
    case ZYDIS_MNEMONIC_FSETPM287_NOP: return set_simd(in, out, do_nothing, Cost::kX87);
    case ZYDIS_MNEMONIC_FLDCW: return set_simd(in, out, fldcw, Cost::kX87);
    case ZYDIS_MNEMONIC_FNSTCW: return set_simd(in, out, fnstcw, Cost::kX87);
    case ZYDIS_MNEMONIC_FNSTSW:
      return set_simd(in, out, in.is_memory(0) ? fnstsw_memory : fnstsw_ax, Cost::kX87);
    case ZYDIS_MNEMONIC_FLDENV: return sized(fldenv<std::uint32_t>, fldenv<std::uint16_t>);
    case ZYDIS_MNEMONIC_FNSTENV: return sized(fnstenv<std::uint32_t>, fnstenv<std::uint16_t>);
    case ZYDIS_MNEMONIC_FRSTOR: return sized(frstor<std::uint32_t>, frstor<std::uint16_t>);
    case ZYDIS_MNEMONIC_FNSAVE: return sized(fnsave<std::uint32_t>, fnsave<std::uint16_t>);
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
