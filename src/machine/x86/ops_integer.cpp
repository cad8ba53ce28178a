// SPDX-License-Identifier: MIT
//
// Integer arithmetic and moves: the instructions that most code consists of.
#include <cstdint>

#include "machine/x86/conditions.hpp"
#include "machine/x86/flags.hpp"
#include "machine/x86/forms.hpp"

namespace vpmu::machine::x86 {

namespace {

// ---- Two-operand arithmetic ---------------------------------------------------------------------

struct Add {
  static constexpr bool kWrites = true;
  static constexpr FlagKind kLeaves = FlagKind::kKnown;
  template <class T, bool kFlags>
  static T apply(Core& core, T a, T b) {
    if constexpr (kFlags) note_add<T>(core, a, b);
    return static_cast<T>(a + b);
  }
};
struct Sub {
  static constexpr bool kWrites = true;
  static constexpr FlagKind kLeaves = FlagKind::kSub;
  template <class T, bool kFlags>
  static T apply(Core& core, T a, T b) {
    if constexpr (kFlags) note_sub<T>(core, a, b);
    return static_cast<T>(a - b);
  }
};
struct Cmp {
  static constexpr bool kWrites = false;
  static constexpr FlagKind kLeaves = FlagKind::kSub;
  template <class T, bool>
  static T apply(Core& core, T a, T b) {
    note_sub<T>(core, a, b);
    return 0;
  }
};
struct And {
  static constexpr bool kWrites = true;
  static constexpr FlagKind kLeaves = FlagKind::kLogic;
  template <class T, bool kFlags>
  static T apply(Core& core, T a, T b) {
    const T result = a & b;
    if constexpr (kFlags) note_logic<T>(core, result);
    return result;
  }
};
struct Test {
  static constexpr bool kWrites = false;
  static constexpr FlagKind kLeaves = FlagKind::kLogic;
  template <class T, bool>
  static T apply(Core& core, T a, T b) {
    note_logic<T>(core, a & b);
    return 0;
  }
};
struct Or {
  static constexpr bool kWrites = true;
  static constexpr FlagKind kLeaves = FlagKind::kLogic;
  template <class T, bool kFlags>
  static T apply(Core& core, T a, T b) {
    const T result = a | b;
    if constexpr (kFlags) note_logic<T>(core, result);
    return result;
  }
};
struct Xor {
  static constexpr bool kWrites = true;
  static constexpr FlagKind kLeaves = FlagKind::kLogic;
  template <class T, bool kFlags>
  static T apply(Core& core, T a, T b) {
    const T result = a ^ b;
    if constexpr (kFlags) note_logic<T>(core, result);
    return result;
  }
};
struct Adc {
  static constexpr bool kWrites = true;
  static constexpr FlagKind kLeaves = FlagKind::kKnown;
  template <class T, bool>
  static T apply(Core& core, T a, T b) {
    const T result = static_cast<T>(a + b + (carry(core) ? 1 : 0));
    note_with_carry<T>(core, FlagKind::kAdc, a, b, result);
    return result;
  }
};
struct Sbb {
  static constexpr bool kWrites = true;
  static constexpr FlagKind kLeaves = FlagKind::kKnown;
  template <class T, bool>
  static T apply(Core& core, T a, T b) {
    const T result = static_cast<T>(a - b - (carry(core) ? 1 : 0));
    note_with_carry<T>(core, FlagKind::kSbb, a, b, result);
    return result;
  }
};

template <class F, class T, bool kFlags>
const Op* binary_reg_reg(Core& core, const Op* op) {
  const T result = F::template apply<T, kFlags>(core, get<T>(core, op->reg), get<T>(core, op->rm));
  if constexpr (F::kWrites) set<T>(core, op->reg, result);
  VPMU_NEXT(core, op);
}
template <class F, class T, bool kFlags>
const Op* binary_reg_imm(Core& core, const Op* op) {
  const T result =
      F::template apply<T, kFlags>(core, get<T>(core, op->reg), static_cast<T>(op->immediate));
  if constexpr (F::kWrites) set<T>(core, op->reg, result);
  VPMU_NEXT(core, op);
}
template <class F, class T, bool kFlags, Form A>
const Op* binary_reg_mem(Core& core, const Op* op) {
  T value;
  if (!load(core, op, address<A>(core, op), value)) [[unlikely]]
    return nullptr;
  const T result = F::template apply<T, kFlags>(core, get<T>(core, op->reg), value);
  if constexpr (F::kWrites) set<T>(core, op->reg, result);
  VPMU_NEXT(core, op);
}
/// Memory destination; the source is a register or the immediate.
template <class F, class T, bool kImmediate, Form A>
const Op* binary_mem(Core& core, const Op* op) {
  const std::uint64_t at = address<A>(core, op);
  const T source = kImmediate ? static_cast<T>(op->immediate) : get<T>(core, op->rm);
  if constexpr (F::kWrites) {
    if (!modify<T>(core, op, at, [&](T value) {
          return F::template apply<T, true>(core, value, source);
        })) [[unlikely]]
      return nullptr;
  } else {
    T value;
    if (!load(core, op, at, value)) [[unlikely]]
      return nullptr;
    F::template apply<T, true>(core, value, source);
  }
  VPMU_NEXT(core, op);
}

// Explicit operands n0, n1: which of them is memory decides the shape.
template <class F>
void translate_binary(const Instruction& in, Translation& out) {
  Op& op = out.op;
  const unsigned bits = in.operands[0].size;
  const bool flags = in.flags_live || !F::kWrites;
  out.flags_left = F::kLeaves;
  if (in.is_immediate(1)) op.immediate = in.operands[1].imm.value.u;
  if (in.is_memory(0)) {
    set_memory(op, in, in.operands[0]);
    out.record.loads = 1;
    out.record.stores = F::kWrites ? 1 : 0;
    if (!in.is_immediate(1)) op.rm = gpr_offset(in.operands[1].reg.value);
    const bool immediate = in.is_immediate(1);
    op.run = pick_size(bits, [&]<class T>() {
      return pick_form(op, [&]<Form A>() -> Handler {
        return immediate ? &binary_mem<F, T, true, A> : &binary_mem<F, T, false, A>;
      });
    });
    return;
  }
  op.reg = gpr_offset(in.operands[0].reg.value);
  if (in.is_memory(1)) {
    set_memory(op, in, in.operands[1]);
    out.record.loads = 1;
    op.run = pick_size(bits, [&]<class T>() {
      return pick_form(op, [&]<Form A>() -> Handler { return &binary_reg_mem<F, T, true, A>; });
    });
    return;
  }
  const bool immediate = in.is_immediate(1);
  if (!immediate) op.rm = gpr_offset(in.operands[1].reg.value);
  op.run = pick_size(bits, [&]<class T>() -> Handler {
    if (immediate) return flags ? &binary_reg_imm<F, T, true> : &binary_reg_imm<F, T, false>;
    return flags ? &binary_reg_reg<F, T, true> : &binary_reg_reg<F, T, false>;
  });
}

// ---- One-operand arithmetic ---------------------------------------------------------------------

struct Inc {
  template <class T>
  static T apply(Core& core, T a) {
    const T result = static_cast<T>(a + 1);
    note_step<T>(core, FlagKind::kInc, result);
    return result;
  }
};
struct Dec {
  template <class T>
  static T apply(Core& core, T a) {
    const T result = static_cast<T>(a - 1);
    note_step<T>(core, FlagKind::kDec, result);
    return result;
  }
};
struct Not {
  template <class T>
  static T apply(Core&, T a) {
    return static_cast<T>(~a);
  }
};
struct Neg {
  template <class T>
  static T apply(Core& core, T a) {
    note_sub<T>(core, 0, a);
    return static_cast<T>(-a);
  }
};

template <class F, class T>
const Op* unary_reg(Core& core, const Op* op) {
  set<T>(core, op->reg, F::template apply<T>(core, get<T>(core, op->reg)));
  VPMU_NEXT(core, op);
}
template <class F, class T, Form A>
const Op* unary_mem(Core& core, const Op* op) {
  if (!modify<T>(core, op, address<A>(core, op),
                 [&](T value) { return F::template apply<T>(core, value); })) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

template <class F>
void translate_unary(const Instruction& in, Translation& out) {
  Op& op = out.op;
  const unsigned bits = in.operands[0].size;
  if (in.is_memory(0)) {
    set_memory(op, in, in.operands[0]);
    out.record.loads = out.record.stores = 1;
    op.run = pick_size(bits, [&]<class T>() {
      return pick_form(op, [&]<Form A>() -> Handler { return &unary_mem<F, T, A>; });
    });
  } else {
    op.reg = gpr_offset(in.operands[0].reg.value);
    op.run = pick_size(bits, [&]<class T>() -> Handler { return &unary_reg<F, T>; });
  }
}

// ---- Moves --------------------------------------------------------------------------------------

template <class T>
const Op* mov_reg_reg(Core& core, const Op* op) {
  set<T>(core, op->reg, get<T>(core, op->rm));
  VPMU_NEXT(core, op);
}
template <class T>
const Op* mov_reg_imm(Core& core, const Op* op) {
  set<T>(core, op->reg, static_cast<T>(op->immediate));
  VPMU_NEXT(core, op);
}
template <class T, Form A>
const Op* mov_reg_mem(Core& core, const Op* op) {
  T value;
  if (!load(core, op, address<A>(core, op), value)) [[unlikely]]
    return nullptr;
  set<T>(core, op->reg, value);
  VPMU_NEXT(core, op);
}
template <class T, Form A>
const Op* mov_mem_reg(Core& core, const Op* op) {
  if (!store(core, op, address<A>(core, op), get<T>(core, op->rm))) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}
template <class T, Form A>
const Op* mov_mem_imm(Core& core, const Op* op) {
  if (!store(core, op, address<A>(core, op), static_cast<T>(op->immediate))) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

void translate_mov(const Instruction& in, Translation& out) {
  Op& op = out.op;
  const unsigned bits = in.operands[0].size;
  if (in.is_memory(0)) {
    set_memory(op, in, in.operands[0]);
    out.record.stores = 1;
    if (in.is_immediate(1)) {
      op.immediate = in.operands[1].imm.value.u;
      op.run = pick_size(bits, [&]<class T>() {
        return pick_form(op, [&]<Form A>() -> Handler { return &mov_mem_imm<T, A>; });
      });
    } else {
      op.rm = gpr_offset(in.operands[1].reg.value);
      op.run = pick_size(bits, [&]<class T>() {
        return pick_form(op, [&]<Form A>() -> Handler { return &mov_mem_reg<T, A>; });
      });
    }
    return;
  }
  op.reg = gpr_offset(in.operands[0].reg.value);
  if (in.is_memory(1)) {
    set_memory(op, in, in.operands[1]);
    out.record.loads = 1;
    op.run = pick_size(bits, [&]<class T>() {
      return pick_form(op, [&]<Form A>() -> Handler { return &mov_reg_mem<T, A>; });
    });
  } else if (in.is_immediate(1)) {
    op.immediate = in.operands[1].imm.value.u;
    op.run = pick_size(bits, [&]<class T>() -> Handler { return &mov_reg_imm<T>; });
  } else {
    op.rm = gpr_offset(in.operands[1].reg.value);
    op.run = pick_size(bits, [&]<class T>() -> Handler { return &mov_reg_reg<T>; });
  }
}

template <class To, class From>
constexpr To extend(From value) {
  if constexpr (std::is_signed_v<From>) {
    return static_cast<To>(static_cast<std::make_signed_t<To>>(value));
  } else {
    return static_cast<To>(value);
  }
}
template <class To, class From>
const Op* extend_reg(Core& core, const Op* op) {
  set<To>(core, op->reg, extend<To>(get<From>(core, op->rm)));
  VPMU_NEXT(core, op);
}
template <class To, class From, Form A>
const Op* extend_mem(Core& core, const Op* op) {
  From value;
  if (!load(core, op, address<A>(core, op), value)) [[unlikely]]
    return nullptr;
  set<To>(core, op->reg, extend<To>(value));
  VPMU_NEXT(core, op);
}

/// MOVZX, MOVSX, MOVSXD.
template <class From8, class From16, class From32>
void translate_extend(const Instruction& in, Translation& out) {
  Op& op = out.op;
  op.reg = gpr_offset(in.operands[0].reg.value);
  const unsigned from = in.operands[1].size;
  const bool memory = in.is_memory(1);
  if (memory) {
    set_memory(op, in, in.operands[1]);
    out.record.loads = 1;
  } else {
    op.rm = gpr_offset(in.operands[1].reg.value);
  }
  op.run = pick_wide(in.operands[0].size, [&]<class To>() {
    const auto choose = [&]<class From>() -> Handler {
      if (!memory) return &extend_reg<To, From>;
      return pick_form(op, [&]<Form A>() -> Handler { return &extend_mem<To, From, A>; });
    };
    if (from == 8) return choose.template operator()<From8>();
    if (from == 16) return choose.template operator()<From16>();
    return choose.template operator()<From32>();
  });
}

template <class T, Form A>
const Op* lea(Core& core, const Op* op) {
  if constexpr (A == Form::kGeneral) {
    set<T>(core, op->reg, static_cast<T>(effective_address(core, op)));
  } else {
    set<T>(core, op->reg, static_cast<T>(address<A>(core, op)));
  }
  VPMU_NEXT(core, op);
}

template <class T>
const Op* xchg_reg(Core& core, const Op* op) {
  const T a = get<T>(core, op->reg);
  const T b = get<T>(core, op->rm);
  set<T>(core, op->reg, b);
  set<T>(core, op->rm, a);
  VPMU_NEXT(core, op);
}
template <class T>
const Op* xchg_mem(Core& core, const Op* op) {
  T old;
  if (!modify<T>(core, op, linear_address(core, op), [&](T value) {
        old = value;
        return get<T>(core, op->rm);
      }))
    return nullptr;
  set<T>(core, op->rm, old);
  VPMU_NEXT(core, op);
}
template <class T>
const Op* xadd_reg(Core& core, const Op* op) {
  const T a = get<T>(core, op->reg);
  const T b = get<T>(core, op->rm);
  note_add<T>(core, a, b);
  set<T>(core, op->rm, a);
  set<T>(core, op->reg, static_cast<T>(a + b));
  VPMU_NEXT(core, op);
}
template <class T>
const Op* xadd_mem(Core& core, const Op* op) {
  T old;
  if (!modify<T>(core, op, linear_address(core, op), [&](T value) {
        old = value;
        return static_cast<T>(value + get<T>(core, op->rm));
      }))
    return nullptr;
  note_add<T>(core, old, get<T>(core, op->rm));
  set<T>(core, op->rm, old);
  VPMU_NEXT(core, op);
}
template <class T>
const Op* cmpxchg_reg(Core& core, const Op* op) {
  const T expected = get<T>(core, 0);
  const T old = get<T>(core, op->reg);
  note_sub<T>(core, expected, old);
  // Unlike memory, a register is not written where it is kept: its upper half stays.
  if (expected == old) {
    set<T>(core, op->reg, get<T>(core, op->rm));
  } else {
    set<T>(core, 0, old);
  }
  VPMU_NEXT(core, op);
}
template <class T>
const Op* cmpxchg_mem(Core& core, const Op* op) {
  const T expected = get<T>(core, 0);
  T old;
  // The destination is written in either case, as the architecture says.
  if (!modify<T>(core, op, linear_address(core, op), [&](T value) {
        old = value;
        return value == expected ? get<T>(core, op->rm) : value;
      }))
    return nullptr;
  note_sub<T>(core, expected, old);
  if (old != expected) set<T>(core, 0, old);
  VPMU_NEXT(core, op);
}

/// XCHG, XADD, CMPXCHG: a register or memory destination and a register source.
template <class Choose>
void translate_exchange(const Instruction& in, Translation& out, Choose choose) {
  Op& op = out.op;
  unsigned memory = 2;
  if (in.is_memory(0)) memory = 0;
  if (in.is_memory(1)) memory = 1;
  const unsigned bits = in.operands[0].size;
  if (memory == 2) {
    op.reg = gpr_offset(in.operands[0].reg.value);
    op.rm = gpr_offset(in.operands[1].reg.value);
  } else {
    set_memory(op, in, in.operands[memory]);
    op.rm = gpr_offset(in.operands[1 - memory].reg.value);
    out.record.loads = out.record.stores = 1;
  }
  out.instruction_class = silicon::x86::InstructionClass::kExchange;
  op.run = pick_size(
      bits, [&]<class T>() -> Handler { return choose.template operator()<T>(memory != 2); });
}

struct Pair64 {
  std::uint32_t lo, hi;
  bool operator==(const Pair64&) const = default;
};
struct Pair128 {
  std::uint64_t lo, hi;
  bool operator==(const Pair128&) const = default;
};
/// CMPXCHG8B and CMPXCHG16B.
template <class Pair, class Half>
const Op* cmpxchg_pair(Core& core, const Op* op) {
  const std::uint64_t at = linear_address(core, op);
  if (sizeof(Pair) == 16 && at % 16 != 0) return raise(core, op, kGeneralProtection, 0);
  const Pair expected{get<Half>(core, 8 * kRax), get<Half>(core, 8 * kRdx)};
  const Pair wanted{get<Half>(core, 8 * kRbx), get<Half>(core, 8 * kRcx)};
  Pair old;
  if (!modify<Pair>(core, op, at, [&](Pair value) {
        old = value;
        return value == expected ? wanted : value;
      }))
    return nullptr;
  std::uint64_t flags = arithmetic_flags(core.lazy) & ~kZf;
  if (old == expected) {
    flags |= kZf;
  } else {
    set<Half>(core, 8 * kRax, old.lo);
    set<Half>(core, 8 * kRdx, old.hi);
  }
  set_arithmetic_flags(core, flags);
  VPMU_NEXT(core, op);
}

template <class T, unsigned kCode>
const Op* cmov_reg(Core& core, const Op* op) {
  // The destination is written (and a 32-bit one zero-extended) in either case.
  const T value = condition(core.lazy, kCode) ? get<T>(core, op->rm) : get<T>(core, op->reg);
  set<T>(core, op->reg, value);
  VPMU_NEXT(core, op);
}
template <class T, unsigned kCode, FlagKind kKind, class FlagT>
const Op* cmov_reg_known(Core& core, const Op* op) {
  const T value = condition_known<kCode, kKind, FlagT>(core.lazy) ? get<T>(core, op->rm)
                                                                  : get<T>(core, op->reg);
  set<T>(core, op->reg, value);
  VPMU_NEXT(core, op);
}
template <class T>
const Op* cmov_mem(Core& core, const Op* op) {
  T value;
  if (!load(core, op, linear_address(core, op), value)) return nullptr;
  set<T>(core, op->reg, condition(core.lazy, op->aux) ? value : get<T>(core, op->reg));
  VPMU_NEXT(core, op);
}
template <unsigned kCode>
const Op* setcc_reg(Core& core, const Op* op) {
  set<std::uint8_t>(core, op->reg, condition(core.lazy, kCode) ? 1 : 0);
  VPMU_NEXT(core, op);
}
template <unsigned kCode, FlagKind kKind, class FlagT>
const Op* setcc_reg_known(Core& core, const Op* op) {
  set<std::uint8_t>(core, op->reg, condition_known<kCode, kKind, FlagT>(core.lazy) ? 1 : 0);
  VPMU_NEXT(core, op);
}
const Op* setcc_mem(Core& core, const Op* op) {
  const std::uint8_t value = condition(core.lazy, op->aux) ? 1 : 0;
  if (!store(core, op, linear_address(core, op), value)) return nullptr;
  VPMU_NEXT(core, op);
}

void translate_cmov(const Instruction& in, Translation& out, unsigned code) {
  Op& op = out.op;
  op.reg = gpr_offset(in.operands[0].reg.value);
  op.aux = static_cast<std::uint8_t>(code);
  const unsigned bits = in.operands[0].size;
  if (in.is_memory(1)) {
    set_memory(op, in, in.operands[1]);
    out.record.loads = 1;
    op.run = pick_wide(bits, [&]<class T>() -> Handler { return &cmov_mem<T>; });
    return;
  }
  op.rm = gpr_offset(in.operands[1].reg.value);
  op.run = pick_wide(bits, [&]<class T>() {
    return pick_condition(in, code, [&]<unsigned kCode, FlagKind kKind, class FlagT>() -> Handler {
      if constexpr (kKind == FlagKind::kKnown)
        return &cmov_reg<T, kCode>;
      else
        return &cmov_reg_known<T, kCode, kKind, FlagT>;
    });
  });
}

void translate_setcc(const Instruction& in, Translation& out, unsigned code) {
  Op& op = out.op;
  op.aux = static_cast<std::uint8_t>(code);
  if (in.is_memory(0)) {
    set_memory(op, in, in.operands[0]);
    out.record.stores = 1;
    op.run = &setcc_mem;
    return;
  }
  op.reg = gpr_offset(in.operands[0].reg.value);
  op.run = pick_condition(in, code, [&]<unsigned kCode, FlagKind kKind, class FlagT>() -> Handler {
    if constexpr (kKind == FlagKind::kKnown)
      return &setcc_reg<kCode>;
    else
      return &setcc_reg_known<kCode, kKind, FlagT>;
  });
}

// ---- Multiplication and division ----------------------------------------------------------------

__extension__ using U128 = unsigned __int128;
__extension__ using S128 = __int128;

template <class T>
struct Twice;
template <>
struct Twice<std::uint8_t> {
  using U = std::uint16_t;
  using S = std::int16_t;
};
template <>
struct Twice<std::uint16_t> {
  using U = std::uint32_t;
  using S = std::int32_t;
};
template <>
struct Twice<std::uint32_t> {
  using U = std::uint64_t;
  using S = std::int64_t;
};
template <>
struct Twice<std::uint64_t> {
  using U = U128;
  using S = S128;
};

/// MUL and friends set CF and OF; the other flags are undefined and cleared here but for those that
/// the result gives.
template <class T>
void multiply_flags(Core& core, T low, bool overflow) {
  set_arithmetic_flags(core, result_flags<T>(low) | (overflow ? kCf | kOf : 0));
}

template <class T>
void write_product(Core& core, T low, T high) {
  if constexpr (sizeof(T) == 1) {
    set<std::uint8_t>(core, 0, low);
    set<std::uint8_t>(core, 1, high);
  } else {
    set<T>(core, 8 * kRax, low);
    set<T>(core, 8 * kRdx, high);
  }
}

template <class T>
void multiply_unsigned(Core& core, T b) {
  using Wide = typename Twice<T>::U;
  const auto product = static_cast<Wide>(static_cast<Wide>(get<T>(core, 0)) * b);
  const auto low = static_cast<T>(product);
  const auto high = static_cast<T>(product >> (8 * sizeof(T)));
  write_product<T>(core, low, high);
  multiply_flags<T>(core, low, high != 0);
}
template <class T>
void multiply_signed(Core& core, T b) {
  using Wide = typename Twice<T>::S;
  using Signed = std::make_signed_t<T>;
  const auto product = static_cast<Wide>(static_cast<Wide>(static_cast<Signed>(get<T>(core, 0))) *
                                         static_cast<Signed>(b));
  const auto low = static_cast<T>(product);
  const auto high = static_cast<T>(product >> (8 * sizeof(T)));
  write_product<T>(core, low, high);
  multiply_flags<T>(core, low, product != static_cast<Signed>(low));
}
template <class T>
T multiply_truncated(Core& core, T a, T b) {
  using Wide = typename Twice<T>::S;
  using Signed = std::make_signed_t<T>;
  const auto product =
      static_cast<Wide>(static_cast<Wide>(static_cast<Signed>(a)) * static_cast<Signed>(b));
  const auto low = static_cast<T>(product);
  multiply_flags<T>(core, low, product != static_cast<Signed>(low));
  return low;
}

/// False: #DE.
template <class T>
bool divide_unsigned(Core& core, T divisor) {
  using Wide = typename Twice<T>::U;
  if (divisor == 0) return false;
  Wide dividend;
  if constexpr (sizeof(T) == 1) {
    dividend = get<std::uint16_t>(core, 0);
  } else {
    dividend =
        static_cast<Wide>(get<T>(core, 8 * kRdx)) << (8 * sizeof(T)) | get<T>(core, 8 * kRax);
  }
  Wide quotient;
  Wide remainder;
  if (sizeof(T) == 8 && dividend >> (4 * sizeof(Wide)) == 0) {
    quotient = static_cast<std::uint64_t>(dividend) / static_cast<std::uint64_t>(divisor);
    remainder = static_cast<std::uint64_t>(dividend) % static_cast<std::uint64_t>(divisor);
  } else {
    quotient = dividend / divisor;
    remainder = dividend % divisor;
  }
  if (quotient >> (8 * sizeof(T)) != 0) return false;
  write_product<T>(core, static_cast<T>(quotient), static_cast<T>(remainder));
  return true;
}
template <class T>
bool divide_signed(Core& core, T divisor_bits) {
  using Wide = typename Twice<T>::S;
  using UWide = typename Twice<T>::U;
  using Signed = std::make_signed_t<T>;
  const auto divisor = static_cast<Signed>(divisor_bits);
  if (divisor == 0) return false;
  UWide bits;
  if constexpr (sizeof(T) == 1) {
    bits = get<std::uint16_t>(core, 0);
  } else {
    bits = static_cast<UWide>(static_cast<UWide>(get<T>(core, 8 * kRdx)) << (8 * sizeof(T)) |
                              get<T>(core, 8 * kRax));
  }
  const auto dividend = static_cast<Wide>(bits);
  constexpr UWide kSmallest = static_cast<UWide>(UWide{1} << (16 * sizeof(T) - 1));
  if (divisor == -1 && bits == kSmallest) return false;
  const auto quotient = static_cast<Wide>(dividend / divisor);
  const auto remainder = static_cast<Wide>(dividend % divisor);
  if (quotient != static_cast<Signed>(quotient)) return false;
  write_product<T>(core, static_cast<T>(quotient), static_cast<T>(remainder));
  return true;
}

enum class MulDiv { kMul, kImul, kDiv, kIdiv };

template <MulDiv K, class T>
const Op* mul_div(Core& core, const Op* op) {
  T value;
  if (op->flags & kMemoryOperand) {
    if (!load(core, op, linear_address(core, op), value)) return nullptr;
  } else {
    value = get<T>(core, op->rm);
  }
  bool ok = true;
  if constexpr (K == MulDiv::kMul) multiply_unsigned<T>(core, value);
  if constexpr (K == MulDiv::kImul) multiply_signed<T>(core, value);
  if constexpr (K == MulDiv::kDiv) ok = divide_unsigned<T>(core, value);
  if constexpr (K == MulDiv::kIdiv) ok = divide_signed<T>(core, value);
  if (!ok) [[unlikely]]
    return raise(core, op, kDivideError);
  VPMU_NEXT(core, op);
}

template <MulDiv K>
void translate_mul_div(const Instruction& in, Translation& out) {
  Op& op = out.op;
  if (in.is_memory(0)) {
    set_memory(op, in, in.operands[0]);
    out.record.loads = 1;
  } else {
    op.rm = gpr_offset(in.operands[0].reg.value);
  }
  out.instruction_class = K == MulDiv::kMul || K == MulDiv::kImul
                              ? silicon::x86::InstructionClass::kMultiply
                              : silicon::x86::InstructionClass::kDivide;
  op.run = pick_size(in.operands[0].size, [&]<class T>() -> Handler { return &mul_div<K, T>; });
}

template <class T>
const Op* imul_reg_reg(Core& core, const Op* op) {
  set<T>(core, op->reg, multiply_truncated<T>(core, get<T>(core, op->reg), get<T>(core, op->rm)));
  VPMU_NEXT(core, op);
}
template <class T>
const Op* imul_reg_reg_imm(Core& core, const Op* op) {
  set<T>(core, op->reg,
         multiply_truncated<T>(core, get<T>(core, op->rm), static_cast<T>(op->immediate)));
  VPMU_NEXT(core, op);
}
template <class T>
const Op* imul_reg_mem(Core& core, const Op* op) {
  T value;
  if (!load(core, op, linear_address(core, op), value)) return nullptr;
  set<T>(core, op->reg, multiply_truncated<T>(core, get<T>(core, op->reg), value));
  VPMU_NEXT(core, op);
}
template <class T>
const Op* imul_reg_mem_imm(Core& core, const Op* op) {
  T value;
  if (!load(core, op, linear_address(core, op), value)) return nullptr;
  set<T>(core, op->reg, multiply_truncated<T>(core, value, static_cast<T>(op->immediate)));
  VPMU_NEXT(core, op);
}

void translate_imul(const Instruction& in, Translation& out) {
  if (in.visible() == 1) return translate_mul_div<MulDiv::kImul>(in, out);
  Op& op = out.op;
  out.instruction_class = silicon::x86::InstructionClass::kMultiply;
  op.reg = gpr_offset(in.operands[0].reg.value);
  const bool memory = in.is_memory(1);
  const bool immediate = in.visible() == 3;
  if (memory) {
    set_memory(op, in, in.operands[1]);
    out.record.loads = 1;
  } else {
    op.rm = gpr_offset(in.operands[1].reg.value);
  }
  if (immediate) op.immediate = in.operands[2].imm.value.u;
  op.run = pick_wide(in.operands[0].size, [&]<class T>() -> Handler {
    if (memory) return immediate ? &imul_reg_mem_imm<T> : &imul_reg_mem<T>;
    return immediate ? &imul_reg_reg_imm<T> : &imul_reg_reg<T>;
  });
}

// ---- Conversions and flags ----------------------------------------------------------------------

/// CBW, CWDE, CDQE.
template <class T, class Half>
const Op* extend_accumulator(Core& core, const Op* op) {
  using Signed = std::make_signed_t<T>;
  using SignedHalf = std::make_signed_t<Half>;
  set<T>(core, 0, static_cast<T>(static_cast<Signed>(static_cast<SignedHalf>(get<Half>(core, 0)))));
  VPMU_NEXT(core, op);
}
/// CWD, CDQ, CQO.
template <class T>
const Op* sign_to_rdx(Core& core, const Op* op) {
  const bool negative = (get<T>(core, 0) >> (8 * sizeof(T) - 1)) != 0;
  set<T>(core, 8 * kRdx, negative ? static_cast<T>(~T{0}) : T{0});
  VPMU_NEXT(core, op);
}

const Op* lahf(Core& core, const Op* op) {
  const auto low = static_cast<std::uint8_t>(rflags(core));
  set<std::uint8_t>(core, 1, low);
  VPMU_NEXT(core, op);
}
const Op* sahf(Core& core, const Op* op) {
  const std::uint64_t flags = arithmetic_flags(core.lazy);
  constexpr std::uint64_t kTaken = kSf | kZf | kAf | kPf | kCf;
  set_arithmetic_flags(core, (flags & kOf) | (get<std::uint8_t>(core, 1) & kTaken));
  VPMU_NEXT(core, op);
}

enum class CarryChange { kClear, kSet, kFlip };
template <CarryChange C>
const Op* change_carry(Core& core, const Op* op) {
  std::uint64_t flags = arithmetic_flags(core.lazy);
  if constexpr (C == CarryChange::kClear) flags &= ~kCf;
  if constexpr (C == CarryChange::kSet) flags |= kCf;
  if constexpr (C == CarryChange::kFlip) flags ^= kCf;
  set_arithmetic_flags(core, flags);
  VPMU_NEXT(core, op);
}
template <bool kValue>
const Op* set_direction(Core& core, const Op* op) {
  core.rflags = kValue ? core.rflags | kDf : core.rflags & ~kDf;
  VPMU_NEXT(core, op);
}

const Op* nothing([[maybe_unused]] Core& core, const Op* op) {
  VPMU_NEXT(core, op);
}

/// XLAT: AL = [rBX + AL].
const Op* xlat(Core& core, const Op* op) {
  std::uint64_t at = core.gpr[kRbx] + get<std::uint8_t>(core, 0);
  if (op->flags & kAddress32) at = static_cast<std::uint32_t>(at);
  if (op->flags & kAddress16) at = static_cast<std::uint16_t>(at);
  if (op->flags & kSegmentBase) at += core.segment[op->segment].base;
  if (op->flags & kLinear32) at = static_cast<std::uint32_t>(at);
  std::uint8_t value;
  if (!load(core, op, at, value)) return nullptr;
  set<std::uint8_t>(core, 0, value);
  VPMU_NEXT(core, op);
}

// ---- Decimal adjustment (not in 64-bit mode) ----------------------------------------------------

template <bool kSubtract>
const Op* decimal_adjust(Core& core, const Op* op) {
  const auto al = get<std::uint8_t>(core, 0);
  const std::uint64_t flags = arithmetic_flags(core.lazy);
  std::uint8_t correction = 0;
  std::uint64_t result_bits = 0;
  if ((al & 0xf) > 9 || (flags & kAf)) {
    correction |= 6;
    result_bits |= kAf;
  }
  if (al > 0x99 || (flags & kCf)) {
    correction |= 0x60;
    result_bits |= kCf;
  }
  // DAS: the borrow of the low correction also sets CF.
  if (kSubtract && (correction & 6) && al < 6) result_bits |= kCf;
  const auto result = static_cast<std::uint8_t>(kSubtract ? al - correction : al + correction);
  set<std::uint8_t>(core, 0, result);
  set_arithmetic_flags(core, result_bits | result_flags<std::uint8_t>(result));
  VPMU_NEXT(core, op);
}
template <bool kSubtract>
const Op* ascii_adjust(Core& core, const Op* op) {
  auto ax = get<std::uint16_t>(core, 0);
  std::uint64_t flags = 0;
  if ((ax & 0xf) > 9 || (arithmetic_flags(core.lazy) & kAf)) {
    ax = static_cast<std::uint16_t>(kSubtract ? ax - 0x106 : ax + 0x106);
    flags = kAf | kCf;
  }
  ax &= 0xff0f;
  set<std::uint16_t>(core, 0, ax);
  set_arithmetic_flags(core, flags | result_flags<std::uint8_t>(static_cast<std::uint8_t>(ax)));
  VPMU_NEXT(core, op);
}
const Op* aam(Core& core, const Op* op) {
  const auto base = static_cast<std::uint8_t>(op->immediate);
  if (base == 0) return raise(core, op, kDivideError);
  const auto al = get<std::uint8_t>(core, 0);
  const auto low = static_cast<std::uint8_t>(al % base);
  set<std::uint16_t>(core, 0, static_cast<std::uint16_t>((al / base) << 8 | low));
  set_arithmetic_flags(core, result_flags<std::uint8_t>(low));
  VPMU_NEXT(core, op);
}
const Op* aad(Core& core, const Op* op) {
  const auto ax = get<std::uint16_t>(core, 0);
  const auto low = static_cast<std::uint8_t>((ax & 0xff) + (ax >> 8) * (op->immediate & 0xff));
  set<std::uint16_t>(core, 0, low);
  set_arithmetic_flags(core, result_flags<std::uint8_t>(low));
  VPMU_NEXT(core, op);
}

}  // namespace

bool translate_integer(const Instruction& in, Translation& out) {
  Op& op = out.op;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_ADD: translate_binary<Add>(in, out); return true;
    case ZYDIS_MNEMONIC_SUB: translate_binary<Sub>(in, out); return true;
    case ZYDIS_MNEMONIC_CMP: translate_binary<Cmp>(in, out); return true;
    case ZYDIS_MNEMONIC_AND: translate_binary<And>(in, out); return true;
    case ZYDIS_MNEMONIC_OR: translate_binary<Or>(in, out); return true;
    case ZYDIS_MNEMONIC_XOR: translate_binary<Xor>(in, out); return true;
    case ZYDIS_MNEMONIC_TEST: translate_binary<Test>(in, out); return true;
    case ZYDIS_MNEMONIC_ADC: translate_binary<Adc>(in, out); return true;
    case ZYDIS_MNEMONIC_SBB: translate_binary<Sbb>(in, out); return true;
    case ZYDIS_MNEMONIC_INC: translate_unary<Inc>(in, out); return true;
    case ZYDIS_MNEMONIC_DEC: translate_unary<Dec>(in, out); return true;
    case ZYDIS_MNEMONIC_NOT: translate_unary<Not>(in, out); return true;
    case ZYDIS_MNEMONIC_NEG: translate_unary<Neg>(in, out); return true;
    case ZYDIS_MNEMONIC_MUL: translate_mul_div<MulDiv::kMul>(in, out); return true;
    case ZYDIS_MNEMONIC_IMUL: translate_imul(in, out); return true;
    case ZYDIS_MNEMONIC_DIV: translate_mul_div<MulDiv::kDiv>(in, out); return true;
    case ZYDIS_MNEMONIC_IDIV: translate_mul_div<MulDiv::kIdiv>(in, out); return true;
    case ZYDIS_MNEMONIC_MOV:
      // Control, debug and segment registers are the system's.
      for (unsigned n = 0; n < 2; ++n) {
        if (!in.is_register(n)) continue;
        const ZydisRegisterClass kind = ZydisRegisterGetClass(in.operands[n].reg.value);
        if (kind == ZYDIS_REGCLASS_SEGMENT || kind == ZYDIS_REGCLASS_CONTROL ||
            kind == ZYDIS_REGCLASS_DEBUG)
          return false;
      }
      translate_mov(in, out);
      return true;
    case ZYDIS_MNEMONIC_MOVZX:
      translate_extend<std::uint8_t, std::uint16_t, std::uint32_t>(in, out);
      return true;
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
      translate_extend<std::int8_t, std::int16_t, std::int32_t>(in, out);
      return true;
    case ZYDIS_MNEMONIC_LEA:
      if (!in.is_memory(1) && in.operands[1].type != ZYDIS_OPERAND_TYPE_MEMORY) return false;
      op.reg = gpr_offset(in.operands[0].reg.value);
      set_memory(op, in, in.operands[1]);
      op.flags &= static_cast<std::uint8_t>(~(kSegmentBase | kLinear32));
      op.run = pick_wide(in.operands[0].size, [&]<class T>() {
        return pick_form(op, [&]<Form A>() -> Handler { return &lea<T, A>; });
      });
      return true;
    case ZYDIS_MNEMONIC_XCHG:
      translate_exchange(in, out, []<class T>(bool memory) -> Handler {
        return memory ? &xchg_mem<T> : &xchg_reg<T>;
      });
      return true;
    case ZYDIS_MNEMONIC_XADD:
      translate_exchange(in, out, []<class T>(bool memory) -> Handler {
        return memory ? &xadd_mem<T> : &xadd_reg<T>;
      });
      return true;
    case ZYDIS_MNEMONIC_CMPXCHG:
      translate_exchange(in, out, []<class T>(bool memory) -> Handler {
        return memory ? &cmpxchg_mem<T> : &cmpxchg_reg<T>;
      });
      return true;
    case ZYDIS_MNEMONIC_CMPXCHG8B:
    case ZYDIS_MNEMONIC_CMPXCHG16B:
      set_memory(op, in, in.operands[0]);
      out.record.loads = out.record.stores = 1;
      out.instruction_class = silicon::x86::InstructionClass::kExchange;
      op.run = in.mnemonic() == ZYDIS_MNEMONIC_CMPXCHG8B ? &cmpxchg_pair<Pair64, std::uint32_t>
                                                         : &cmpxchg_pair<Pair128, std::uint64_t>;
      return true;
    case ZYDIS_MNEMONIC_CBW: op.run = &extend_accumulator<std::uint16_t, std::uint8_t>; return true;
    case ZYDIS_MNEMONIC_CWDE:
      op.run = &extend_accumulator<std::uint32_t, std::uint16_t>;
      return true;
    case ZYDIS_MNEMONIC_CDQE:
      op.run = &extend_accumulator<std::uint64_t, std::uint32_t>;
      return true;
    case ZYDIS_MNEMONIC_CWD: op.run = &sign_to_rdx<std::uint16_t>; return true;
    case ZYDIS_MNEMONIC_CDQ: op.run = &sign_to_rdx<std::uint32_t>; return true;
    case ZYDIS_MNEMONIC_CQO: op.run = &sign_to_rdx<std::uint64_t>; return true;
    case ZYDIS_MNEMONIC_LAHF: op.run = &lahf; return true;
    case ZYDIS_MNEMONIC_SAHF: op.run = &sahf; return true;
    case ZYDIS_MNEMONIC_CLC: op.run = &change_carry<CarryChange::kClear>; return true;
    case ZYDIS_MNEMONIC_STC: op.run = &change_carry<CarryChange::kSet>; return true;
    case ZYDIS_MNEMONIC_CMC: op.run = &change_carry<CarryChange::kFlip>; return true;
    case ZYDIS_MNEMONIC_CLD: op.run = &set_direction<false>; return true;
    case ZYDIS_MNEMONIC_STD: op.run = &set_direction<true>; return true;
    case ZYDIS_MNEMONIC_XLAT:
      for (unsigned n = 0; n < in.zydis.operand_count; ++n) {
        if (in.is_memory(n)) set_memory(op, in, in.operands[n]);
      }
      out.record.loads = 1;
      op.run = &xlat;
      return true;
    case ZYDIS_MNEMONIC_DAA: op.run = &decimal_adjust<false>; return true;
    case ZYDIS_MNEMONIC_DAS: op.run = &decimal_adjust<true>; return true;
    case ZYDIS_MNEMONIC_AAA: op.run = &ascii_adjust<false>; return true;
    case ZYDIS_MNEMONIC_AAS: op.run = &ascii_adjust<true>; return true;
    case ZYDIS_MNEMONIC_AAM:
    case ZYDIS_MNEMONIC_AAD:
      op.immediate = in.operands[0].imm.value.u;
      op.run = in.mnemonic() == ZYDIS_MNEMONIC_AAM ? &aam : &aad;
      return true;
    case ZYDIS_MNEMONIC_PAUSE:
      out.instruction_class = silicon::x86::InstructionClass::kPause;
      op.run = &nothing;
      return true;
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_SFENCE:
    case ZYDIS_MNEMONIC_MFENCE:
      out.instruction_class = silicon::x86::InstructionClass::kFence;
      op.run = &nothing;
      return true;
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_ENDBR32:
    case ZYDIS_MNEMONIC_ENDBR64:
    case ZYDIS_MNEMONIC_PREFETCH:
    case ZYDIS_MNEMONIC_PREFETCHW:
    case ZYDIS_MNEMONIC_PREFETCHWT1:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2: op.run = &nothing; return true;
    default: break;
  }
  if (const int code = condition_of(kCmovByCode, in.mnemonic()); code >= 0) {
    translate_cmov(in, out, static_cast<unsigned>(code));
    return true;
  }
  if (const int code = condition_of(kSetccByCode, in.mnemonic()); code >= 0) {
    translate_setcc(in, out, static_cast<unsigned>(code));
    return true;
  }
  return false;
}

}  // namespace vpmu::machine::x86
