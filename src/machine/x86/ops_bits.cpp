// SPDX-License-Identifier: MIT
//
// Shifts, rotates, bit tests and scans, byte swaps, BMI1, BMI2 and ADX.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "machine/x86/flags.hpp"
#include "machine/x86/forms.hpp"

namespace vpmu::machine::x86 {

namespace {

template <class T>
constexpr unsigned kBits = 8 * sizeof(T);
template <class T>
constexpr bool top(T value) {
  return (value >> (kBits<T> - 1) & 1) != 0;
}

// ---- Shifts and rotates -------------------------------------------------------------------------
// A count of zero changes neither destination nor flags. Where OF is undefined (counts above 1) it
// is what the formula for 1 gives on the last step.

template <class T>
void shift_flags(Core& core, T result, bool cf, bool of) {
  set_arithmetic_flags(core, result_flags<T>(result) | (cf ? kCf : 0) | (of ? kOf : 0));
}

struct Shl {
  template <class T>
  static T apply(Core& core, T a, unsigned count) {
    const bool cf = count <= kBits<T> && (static_cast<std::uint64_t>(a) >> (kBits<T> - count) & 1);
    const T result = count < kBits<T> ? static_cast<T>(a << count) : T{0};
    shift_flags<T>(core, result, cf, top(result) != cf);
    return result;
  }
};
struct Shr {
  template <class T>
  static T apply(Core& core, T a, unsigned count) {
    const bool cf = count <= kBits<T> && (static_cast<std::uint64_t>(a) >> (count - 1) & 1);
    const T result = count < kBits<T> ? static_cast<T>(a >> count) : T{0};
    shift_flags<T>(core, result, cf, top(a));
    return result;
  }
};
struct Sar {
  template <class T>
  static T apply(Core& core, T a, unsigned count) {
    const auto value = static_cast<std::int64_t>(static_cast<std::make_signed_t<T>>(a));
    const bool cf = (value >> std::min(count - 1, 63U) & 1) != 0;
    const auto result = static_cast<T>(value >> std::min(count, 63U));
    shift_flags<T>(core, result, cf, false);
    return result;
  }
};
/// Rotates change CF and OF only.
template <class T>
void rotate_flags(Core& core, bool cf, bool of) {
  const std::uint64_t kept = arithmetic_flags(core.lazy) & ~(kCf | kOf);
  set_arithmetic_flags(core, kept | (cf ? kCf : 0) | (of ? kOf : 0));
}
struct Rol {
  template <class T>
  static T apply(Core& core, T a, unsigned count) {
    const T result = std::rotl(a, static_cast<int>(count % kBits<T>));
    const bool cf = (result & 1) != 0;
    rotate_flags<T>(core, cf, top(result) != cf);
    return result;
  }
};
struct Ror {
  template <class T>
  static T apply(Core& core, T a, unsigned count) {
    const T result = std::rotr(a, static_cast<int>(count % kBits<T>));
    rotate_flags<T>(core, top(result), top(result) != top(static_cast<T>(result << 1)));
    return result;
  }
};
struct Rcl {
  template <class T>
  static T apply(Core& core, T a, unsigned count) {
    bool cf = carry(core);
    for (unsigned n = count % (kBits<T> + 1); n != 0; --n) {
      const bool out = top(a);
      a = static_cast<T>(a << 1 | (cf ? 1 : 0));
      cf = out;
    }
    rotate_flags<T>(core, cf, top(a) != cf);
    return a;
  }
};
struct Rcr {
  template <class T>
  static T apply(Core& core, T a, unsigned count) {
    bool cf = carry(core);
    bool of = top(a) != cf;
    for (unsigned n = count % (kBits<T> + 1); n != 0; --n) {
      of = top(a) != cf;
      const bool out = (a & 1) != 0;
      a = static_cast<T>(a >> 1 | static_cast<T>(static_cast<T>(cf ? 1 : 0) << (kBits<T> - 1)));
      cf = out;
    }
    rotate_flags<T>(core, cf, of);
    return a;
  }
};

template <class T>
constexpr unsigned kCountMask = sizeof(T) == 8 ? 63 : 31;

template <class F, class T, bool kByCl>
const Op* shift_reg(Core& core, const Op* op) {
  const unsigned count =
      (kByCl ? get<std::uint8_t>(core, 8 * kRcx) : static_cast<unsigned>(op->immediate)) &
      kCountMask<T>;
  const T value = get<T>(core, op->reg);
  // A 32-bit destination is zero-extended even if nothing is shifted.
  set<T>(core, op->reg, count == 0 ? value : F::template apply<T>(core, value, count));
  VPMU_NEXT(core, op);
}
template <class F, class T, bool kByCl>
const Op* shift_mem(Core& core, const Op* op) {
  const unsigned count =
      (kByCl ? get<std::uint8_t>(core, 8 * kRcx) : static_cast<unsigned>(op->immediate)) &
      kCountMask<T>;
  if (!modify<T>(core, op, linear_address(core, op), [&](T value) {
        return count == 0 ? value : F::template apply<T>(core, value, count);
      }))
    return nullptr;
  VPMU_NEXT(core, op);
}
/// Immediate shifts by 1 .. size-1 of a register whose flags nobody reads.
template <class F, class T>
const Op* shift_reg_no_flags(Core& core, const Op* op) {
  const auto count = static_cast<unsigned>(op->immediate);
  const T value = get<T>(core, op->reg);
  T result;
  if constexpr (std::is_same_v<F, Shl>) result = static_cast<T>(value << count);
  if constexpr (std::is_same_v<F, Shr>) result = static_cast<T>(value >> count);
  if constexpr (std::is_same_v<F, Sar>)
    result = static_cast<T>(static_cast<std::make_signed_t<T>>(value) >> count);
  if constexpr (std::is_same_v<F, Rol>) result = std::rotl(value, static_cast<int>(count));
  if constexpr (std::is_same_v<F, Ror>) result = std::rotr(value, static_cast<int>(count));
  set<T>(core, op->reg, result);
  VPMU_NEXT(core, op);
}

template <class F>
void translate_shift(const Instruction& in, Translation& out) {
  constexpr bool kThroughCarry = std::is_same_v<F, Rcl> || std::is_same_v<F, Rcr>;
  Op& op = out.op;
  const bool by_cl = in.is_register(1);
  if (!by_cl) op.immediate = in.operands[1].imm.value.u;
  const unsigned bits = in.operands[0].size;
  if (in.is_memory(0)) {
    set_memory(op, in, in.operands[0]);
    out.record.loads = out.record.stores = 1;
    op.run = pick_size(bits, [&]<class T>() -> Handler {
      return by_cl ? &shift_mem<F, T, true> : &shift_mem<F, T, false>;
    });
    return;
  }
  op.reg = gpr_offset(in.operands[0].reg.value);
  const std::uint64_t count = op.immediate & (bits == 64 ? 63 : 31);
  if constexpr (!kThroughCarry) {
    if (!by_cl && !in.flags_live && count != 0 && count < bits) {
      op.immediate = count;
      op.run = pick_size(bits, [&]<class T>() -> Handler { return &shift_reg_no_flags<F, T>; });
      return;
    }
  }
  op.run = pick_size(bits, [&]<class T>() -> Handler {
    return by_cl ? &shift_reg<F, T, true> : &shift_reg<F, T, false>;
  });
}

/// SHLD and SHRD. Counts above the size (16 bits only) are undefined: the operands taken as a ring.
template <bool kLeft, class T>
T double_shift(Core& core, T a, T b, unsigned count) {
  __extension__ using U128 = unsigned __int128;
  T result;
  bool cf;
  if constexpr (sizeof(T) == 2) {
    // As hardware does it: destination, source, destination again.
    const std::uint64_t ring = kLeft ? std::uint64_t{a} << 32 | std::uint64_t{b} << 16 | a
                                     : std::uint64_t{a} << 32 | std::uint64_t{b} << 16 | a;
    if constexpr (kLeft) {
      result = static_cast<T>(ring << count >> 32);
      cf = (ring >> (48 - count) & 1) != 0;
    } else {
      result = static_cast<T>(ring >> count);
      cf = (ring >> (count - 1) & 1) != 0;
    }
  } else if constexpr (kLeft) {
    const U128 pair = static_cast<U128>(a) << kBits<T> | b;
    result = static_cast<T>(pair << count >> kBits<T>);
    cf = (a >> (kBits<T> - count) & 1) != 0;
  } else {
    const U128 pair = static_cast<U128>(b) << kBits<T> | a;
    result = static_cast<T>(pair >> count);
    cf = (a >> (count - 1) & 1) != 0;
  }
  shift_flags<T>(core, result, cf, top(result) != top(a));
  return result;
}

template <bool kLeft, class T>
const Op* shift_double(Core& core, const Op* op) {
  const unsigned count =
      (op->aux ? get<std::uint8_t>(core, 8 * kRcx) : static_cast<unsigned>(op->immediate)) &
      kCountMask<T>;
  const T source = get<T>(core, op->rm);
  const auto change = [&](T value) {
    return count == 0 ? value : double_shift<kLeft, T>(core, value, source, count);
  };
  if (op->flags & kMemoryOperand) {
    if (!modify<T>(core, op, linear_address(core, op), change)) return nullptr;
  } else {
    set<T>(core, op->reg, change(get<T>(core, op->reg)));
  }
  VPMU_NEXT(core, op);
}

// ---- Bit tests ----------------------------------------------------------------------------------

enum class BitChange { kNone, kSet, kReset, kComplement };

template <BitChange C, class T>
constexpr T change_bit(T value, unsigned bit) {
  const T mask = static_cast<T>(T{1} << bit);
  if constexpr (C == BitChange::kSet) return value | mask;
  if constexpr (C == BitChange::kReset) return static_cast<T>(value & ~mask);
  if constexpr (C == BitChange::kComplement) return value ^ mask;
  return value;
}

template <BitChange C, class T>
const Op* bit_test(Core& core, const Op* op) {
  const bool by_register = op->aux != 0;
  const T index = by_register ? get<T>(core, op->rm) : static_cast<T>(op->immediate);
  const unsigned bit = static_cast<unsigned>(index) % kBits<T>;
  T old;
  if (op->flags & kMemoryOperand) {
    // A register index addresses a bit string: it may reach beyond the operand, in both directions.
    std::uint64_t at = effective_address(core, op);
    if (by_register) {
      const auto distance = static_cast<std::int64_t>(static_cast<std::make_signed_t<T>>(index));
      at += static_cast<std::uint64_t>((distance >> std::countr_zero(kBits<T>)) *
                                       static_cast<std::int64_t>(sizeof(T)));
      if (op->flags & kAddress32) at = static_cast<std::uint32_t>(at);
      if (op->flags & kAddress16) at = static_cast<std::uint16_t>(at);
    }
    if (op->flags & kSegmentBase) at += core.segment[op->segment].base;
    if (op->flags & kLinear32) at = static_cast<std::uint32_t>(at);
    if constexpr (C == BitChange::kNone) {
      if (!load(core, op, at, old)) return nullptr;
    } else {
      if (!modify<T>(core, op, at, [&](T value) {
            old = value;
            return change_bit<C, T>(value, bit);
          }))
        return nullptr;
    }
  } else {
    old = get<T>(core, op->reg);
    if constexpr (C != BitChange::kNone) set<T>(core, op->reg, change_bit<C, T>(old, bit));
  }
  const std::uint64_t kept = arithmetic_flags(core.lazy) & ~kCf;
  set_arithmetic_flags(core, kept | (old >> bit & 1));
  VPMU_NEXT(core, op);
}

template <BitChange C>
void translate_bit_test(const Instruction& in, Translation& out) {
  Op& op = out.op;
  if (in.is_register(1)) {
    op.rm = gpr_offset(in.operands[1].reg.value);
    op.aux = 1;
  } else {
    op.immediate = in.operands[1].imm.value.u;
  }
  if (in.is_memory(0)) {
    set_memory(op, in, in.operands[0]);
    out.record.loads = 1;
    out.record.stores = C == BitChange::kNone ? 0 : 1;
  } else {
    op.reg = gpr_offset(in.operands[0].reg.value);
  }
  op.run = pick_wide(in.operands[0].size, [&]<class T>() -> Handler { return &bit_test<C, T>; });
}

// ---- One source, one destination ----------------------------------------------------------------

struct Bsf {
  template <class T>
  static T apply(Core& core, T, T source) {
    const auto result = static_cast<T>(std::countr_zero(source));
    set_arithmetic_flags(core, result_flags<T>(result) & ~kZf);
    return result;
  }
};
struct Bsr {
  template <class T>
  static T apply(Core& core, T, T source) {
    const auto result =
        static_cast<T>(kBits<T> - 1 - static_cast<unsigned>(std::countl_zero(source)));
    set_arithmetic_flags(core, result_flags<T>(result) & ~kZf);
    return result;
  }
};
struct Tzcnt {
  template <class T>
  static T apply(Core& core, T, T source) {
    const auto result = static_cast<T>(std::countr_zero(source));
    set_arithmetic_flags(core, (source == 0 ? kCf : 0) | (result == 0 ? kZf : 0));
    return result;
  }
};
struct Lzcnt {
  template <class T>
  static T apply(Core& core, T, T source) {
    const auto result = static_cast<T>(std::countl_zero(source));
    set_arithmetic_flags(core, (source == 0 ? kCf : 0) | (result == 0 ? kZf : 0));
    return result;
  }
};
struct Popcnt {
  template <class T>
  static T apply(Core& core, T, T source) {
    set_arithmetic_flags(core, source == 0 ? kZf : 0);
    return static_cast<T>(std::popcount(source));
  }
};

/// BMI: flags of a result, with CF given; AF and PF are undefined and cleared.
template <class T>
void bmi_flags(Core& core, T result, bool cf) {
  set_arithmetic_flags(core, (result_flags<T>(result) & (kZf | kSf)) | (cf ? kCf : 0));
}
struct Blsr {
  template <class T>
  static T apply(Core& core, T, T source) {
    const T result = static_cast<T>(source & (source - 1));
    bmi_flags<T>(core, result, source == 0);
    return result;
  }
};
struct Blsmsk {
  template <class T>
  static T apply(Core& core, T, T source) {
    const T result = static_cast<T>(source ^ (source - 1));
    bmi_flags<T>(core, result, source == 0);
    return result;
  }
};
struct Blsi {
  template <class T>
  static T apply(Core& core, T, T source) {
    const T result = static_cast<T>(source & (~source + 1));
    bmi_flags<T>(core, result, source != 0);
    return result;
  }
};
struct Adcx {
  template <class T>
  static T apply(Core& core, T a, T b) {
    return add_with<T>(core, a, b, kCf);
  }
  template <class T>
  static T add_with(Core& core, T a, T b, std::uint64_t flag) {
    __extension__ using U128 = unsigned __int128;
    const std::uint64_t flags = arithmetic_flags(core.lazy);
    const U128 sum = static_cast<U128>(a) + b + ((flags & flag) != 0 ? 1 : 0);
    const bool out = (sum >> kBits<T>) != 0;
    set_arithmetic_flags(core, (flags & ~flag) | (out ? flag : 0));
    return static_cast<T>(sum);
  }
};
struct Adox {
  template <class T>
  static T apply(Core& core, T a, T b) {
    return Adcx::add_with<T>(core, a, b, kOf);
  }
};

/// destination = F(destination, source); BSF and BSR keep the destination if the source is zero.
template <class F, class T>
const Op* from_source(Core& core, const Op* op) {
  constexpr bool kScan = std::is_same_v<F, Bsf> || std::is_same_v<F, Bsr>;
  T source;
  if (op->flags & kMemoryOperand) {
    if (!load(core, op, linear_address(core, op), source)) return nullptr;
  } else {
    source = get<T>(core, op->rm);
  }
  if (kScan && source == 0) {
    set_arithmetic_flags(core, kZf | kPf);
    // The destination keeps its value, all 64 bits of it.
    VPMU_NEXT(core, op);
  }
  set<T>(core, op->reg, F::template apply<T>(core, get<T>(core, op->reg), source));
  VPMU_NEXT(core, op);
}

/// Fills in destination register and register-or-memory source, operands d and s of the
/// instruction.
void set_source(const Instruction& in, Translation& out, unsigned d, unsigned s) {
  out.op.reg = gpr_offset(in.operands[d].reg.value);
  if (in.is_memory(s)) {
    set_memory(out.op, in, in.operands[s]);
    out.record.loads = 1;
  } else {
    out.op.rm = gpr_offset(in.operands[s].reg.value);
  }
}

template <class F>
void translate_source(const Instruction& in, Translation& out) {
  set_source(in, out, 0, 1);
  constexpr bool kScans = std::is_same_v<F, Bsf> || std::is_same_v<F, Bsr> ||
                          std::is_same_v<F, Tzcnt> || std::is_same_v<F, Lzcnt> ||
                          std::is_same_v<F, Popcnt>;
  if (kScans) out.instruction_class = silicon::x86::InstructionClass::kBitScan;
  out.op.run =
      pick_wide(in.operands[0].size, [&]<class T>() -> Handler { return &from_source<F, T>; });
}

// ---- Three operands: destination, source, selector ----------------------------------------------

struct Andn {  // the memory operand is the second source
  template <class T>
  static T apply(Core& core, T memory, T other) {
    const T result = static_cast<T>(~other & memory);
    bmi_flags<T>(core, result, false);
    return result;
  }
};
struct Bextr {
  template <class T>
  static T apply(Core& core, T source, T selector) {
    const unsigned start = selector & 0xff;
    const unsigned length = selector >> 8 & 0xff;
    T result = start < kBits<T> ? static_cast<T>(source >> start) : T{0};
    if (length < kBits<T>) result &= static_cast<T>((T{1} << length) - 1);
    set_arithmetic_flags(core, result == 0 ? kZf : 0);
    return result;
  }
};
struct Bzhi {
  template <class T>
  static T apply(Core& core, T source, T selector) {
    const unsigned index = selector & 0xff;
    const bool beyond = index >= kBits<T>;
    const T result = beyond ? source : static_cast<T>(source & ((T{1} << index) - 1));
    bmi_flags<T>(core, result, beyond);
    return result;
  }
};
struct Sarx {
  template <class T>
  static T apply(Core&, T source, T count) {
    return static_cast<T>(static_cast<std::make_signed_t<T>>(source) >> (count & kCountMask<T>));
  }
};
struct Shlx {
  template <class T>
  static T apply(Core&, T source, T count) {
    return static_cast<T>(source << (count & kCountMask<T>));
  }
};
struct Shrx {
  template <class T>
  static T apply(Core&, T source, T count) {
    return static_cast<T>(source >> (count & kCountMask<T>));
  }
};
struct Rorx {
  template <class T>
  static T apply(Core&, T source, T count) {
    return std::rotr(source, static_cast<int>(count & kCountMask<T>));
  }
};
struct Pdep {  // memory operand: the mask
  template <class T>
  static T apply(Core&, T mask, T source) {
    T result = 0;
    for (; mask != 0; mask &= static_cast<T>(mask - 1), source >>= 1) {
      if (source & 1) result |= static_cast<T>(mask & (~mask + 1));
    }
    return result;
  }
};
struct Pext {
  template <class T>
  static T apply(Core&, T mask, T source) {
    T result = 0;
    for (unsigned n = 0; mask != 0; mask &= static_cast<T>(mask - 1), ++n) {
      if (source & (mask & (~mask + 1))) result |= static_cast<T>(T{1} << n);
    }
    return result;
  }
};

/// `rm` or memory is the first argument; register `aux` (byte offset) or the immediate the other.
template <class F, class T>
const Op* three_operands(Core& core, const Op* op) {
  T first;
  if (op->flags & kMemoryOperand) {
    if (!load(core, op, linear_address(core, op), first)) return nullptr;
  } else {
    first = get<T>(core, op->rm);
  }
  const T other = op->aux == 0xff ? static_cast<T>(op->immediate) : get<T>(core, op->aux);
  set<T>(core, op->reg, F::template apply<T>(core, first, other));
  VPMU_NEXT(core, op);
}

/// `s`: the operand that may be memory; `o`: the other source.
template <class F>
void translate_three(const Instruction& in, Translation& out, unsigned s, unsigned o) {
  set_source(in, out, 0, s);
  if (in.is_immediate(o)) {
    out.op.aux = 0xff;
    out.op.immediate = in.operands[o].imm.value.u;
  } else {
    out.op.aux = gpr_offset(in.operands[o].reg.value);
  }
  out.op.run =
      pick_wide(in.operands[0].size, [&]<class T>() -> Handler { return &three_operands<F, T>; });
}

/// MULX: high half to `reg`, low half to `aux`; if they are the same, the high half stays.
template <class T>
const Op* mulx(Core& core, const Op* op) {
  __extension__ using U128 = unsigned __int128;
  T source;
  if (op->flags & kMemoryOperand) {
    if (!load(core, op, linear_address(core, op), source)) return nullptr;
  } else {
    source = get<T>(core, op->rm);
  }
  const U128 product = static_cast<U128>(get<T>(core, 8 * kRdx)) * source;
  set<T>(core, op->aux, static_cast<T>(product));
  set<T>(core, op->reg, static_cast<T>(product >> kBits<T>));
  VPMU_NEXT(core, op);
}

// ---- Byte order ---------------------------------------------------------------------------------

template <class T>
constexpr T swap_bytes(T value) {
  if constexpr (sizeof(T) == 2)
    return __builtin_bswap16(value);
  else if constexpr (sizeof(T) == 4)
    return __builtin_bswap32(value);
  else
    return __builtin_bswap64(value);
}
template <class T>
const Op* bswap(Core& core, const Op* op) {
  // BSWAP of a 16-bit register is undefined; processors give zero.
  set<T>(core, op->reg, sizeof(T) == 2 ? T{0} : swap_bytes(get<T>(core, op->reg)));
  VPMU_NEXT(core, op);
}
template <class T>
const Op* movbe_load(Core& core, const Op* op) {
  T value;
  if (!load(core, op, linear_address(core, op), value)) return nullptr;
  set<T>(core, op->reg, swap_bytes(value));
  VPMU_NEXT(core, op);
}
template <class T>
const Op* movbe_store(Core& core, const Op* op) {
  if (!store(core, op, linear_address(core, op), swap_bytes(get<T>(core, op->reg)))) return nullptr;
  VPMU_NEXT(core, op);
}

}  // namespace

bool translate_bits(const Instruction& in, Translation& out) {
  Op& op = out.op;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_SHL: translate_shift<Shl>(in, out); return true;
    case ZYDIS_MNEMONIC_SHR: translate_shift<Shr>(in, out); return true;
    case ZYDIS_MNEMONIC_SAR: translate_shift<Sar>(in, out); return true;
    case ZYDIS_MNEMONIC_ROL: translate_shift<Rol>(in, out); return true;
    case ZYDIS_MNEMONIC_ROR: translate_shift<Ror>(in, out); return true;
    case ZYDIS_MNEMONIC_RCL: translate_shift<Rcl>(in, out); return true;
    case ZYDIS_MNEMONIC_RCR: translate_shift<Rcr>(in, out); return true;
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: {
      const bool left = in.mnemonic() == ZYDIS_MNEMONIC_SHLD;
      if (in.is_memory(0)) {
        set_memory(op, in, in.operands[0]);
        out.record.loads = out.record.stores = 1;
      } else {
        op.reg = gpr_offset(in.operands[0].reg.value);
      }
      op.rm = gpr_offset(in.operands[1].reg.value);
      op.aux = in.is_register(2) ? 1 : 0;
      if (op.aux == 0) op.immediate = in.operands[2].imm.value.u;
      op.run = pick_wide(in.operands[0].size, [&]<class T>() -> Handler {
        return left ? &shift_double<true, T> : &shift_double<false, T>;
      });
      return true;
    }
    case ZYDIS_MNEMONIC_BT: translate_bit_test<BitChange::kNone>(in, out); return true;
    case ZYDIS_MNEMONIC_BTS: translate_bit_test<BitChange::kSet>(in, out); return true;
    case ZYDIS_MNEMONIC_BTR: translate_bit_test<BitChange::kReset>(in, out); return true;
    case ZYDIS_MNEMONIC_BTC: translate_bit_test<BitChange::kComplement>(in, out); return true;
    case ZYDIS_MNEMONIC_BSF: translate_source<Bsf>(in, out); return true;
    case ZYDIS_MNEMONIC_BSR: translate_source<Bsr>(in, out); return true;
    case ZYDIS_MNEMONIC_TZCNT: translate_source<Tzcnt>(in, out); return true;
    case ZYDIS_MNEMONIC_LZCNT: translate_source<Lzcnt>(in, out); return true;
    case ZYDIS_MNEMONIC_POPCNT: translate_source<Popcnt>(in, out); return true;
    case ZYDIS_MNEMONIC_BLSR: translate_source<Blsr>(in, out); return true;
    case ZYDIS_MNEMONIC_BLSMSK: translate_source<Blsmsk>(in, out); return true;
    case ZYDIS_MNEMONIC_BLSI: translate_source<Blsi>(in, out); return true;
    case ZYDIS_MNEMONIC_ADCX: translate_source<Adcx>(in, out); return true;
    case ZYDIS_MNEMONIC_ADOX: translate_source<Adox>(in, out); return true;
    case ZYDIS_MNEMONIC_ANDN: translate_three<Andn>(in, out, 2, 1); return true;
    case ZYDIS_MNEMONIC_BEXTR: translate_three<Bextr>(in, out, 1, 2); return true;
    case ZYDIS_MNEMONIC_BZHI: translate_three<Bzhi>(in, out, 1, 2); return true;
    case ZYDIS_MNEMONIC_SARX: translate_three<Sarx>(in, out, 1, 2); return true;
    case ZYDIS_MNEMONIC_SHLX: translate_three<Shlx>(in, out, 1, 2); return true;
    case ZYDIS_MNEMONIC_SHRX: translate_three<Shrx>(in, out, 1, 2); return true;
    case ZYDIS_MNEMONIC_RORX: translate_three<Rorx>(in, out, 1, 2); return true;
    case ZYDIS_MNEMONIC_PDEP:
      out.instruction_class = silicon::x86::InstructionClass::kBitScan;
      translate_three<Pdep>(in, out, 2, 1);
      return true;
    case ZYDIS_MNEMONIC_PEXT:
      out.instruction_class = silicon::x86::InstructionClass::kBitScan;
      translate_three<Pext>(in, out, 2, 1);
      return true;
    case ZYDIS_MNEMONIC_MULX:
      set_source(in, out, 0, 2);
      op.aux = gpr_offset(in.operands[1].reg.value);
      out.instruction_class = silicon::x86::InstructionClass::kMultiply;
      op.run = pick_wide(in.operands[0].size, [&]<class T>() -> Handler { return &mulx<T>; });
      return true;
    case ZYDIS_MNEMONIC_BSWAP:
      op.reg = gpr_offset(in.operands[0].reg.value);
      op.run = pick_wide(in.operands[0].size, [&]<class T>() -> Handler { return &bswap<T>; });
      return true;
    case ZYDIS_MNEMONIC_MOVBE: {
      const bool to_memory = in.is_memory(0);
      set_memory(op, in, in.operands[to_memory ? 0 : 1]);
      op.reg = gpr_offset(in.operands[to_memory ? 1 : 0].reg.value);
      (to_memory ? out.record.stores : out.record.loads) = 1;
      op.run = pick_wide(in.operands[0].size, [&]<class T>() -> Handler {
        return to_memory ? &movbe_store<T> : &movbe_load<T>;
      });
      return true;
    }
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
