// SPDX-License-Identifier: MIT
//
// Branches: the terminators of blocks.
//
// Each exists twice: plain, and observed (Mode::kObserved), which tells the observer (branch
// predictor and, with it, whoever else wants to see branches) before it goes on. While nobody
// observes, the observed ones are not even decoded.
#include <cstdint>

#include "machine/x86/chain.hpp"
#include "machine/x86/conditions.hpp"
#include "machine/x86/forms.hpp"
#include "machine/x86/mmu.hpp"
#include "machine/x86/observer.hpp"
#include "machine/x86/stack.hpp"
#include "machine/x86/translate.hpp"

namespace vpmu::machine::x86 {

namespace {

template <bool kObserve>
[[gnu::always_inline]] inline void observe(Core& core, bool taken, std::uint64_t to) {
  if constexpr (kObserve) observe_branch(core, taken, to);
}

/// Fixed target: `immediate`.
template <bool kObserve>
const Op* jump(Core& core, [[maybe_unused]] const Op* op) {
  observe<kObserve>(core, true, op->immediate);
  return leave(core, 1);
}

/// `immediate`: target if taken; the block's end otherwise.
[[gnu::always_inline]] inline std::uint64_t behind(const Core& core) {
  return core.block->rip + core.block->byte_length;
}

template <bool kObserve>
[[gnu::always_inline]] inline const Op* branch(Core& core, [[maybe_unused]] const Op* op,
                                               bool taken) {
  observe<kObserve>(core, taken, taken ? op->immediate : behind(core));
  // Two calls, so that each direction has a jump of its own for the host to predict.
  if (taken) return leave(core, 1);
  return leave(core, 0);
}

template <bool kObserve, unsigned kCode>
const Op* jcc(Core& core, const Op* op) {
  return branch<kObserve>(core, op, condition(core.lazy, kCode));
}
template <bool kObserve, unsigned kCode, FlagKind kKind, class T>
const Op* jcc_known(Core& core, const Op* op) {
  return branch<kObserve>(core, op, condition_known<kCode, kKind, T>(core.lazy));
}

/// CMP or TEST of registers (or with a constant) and the Jcc behind it in one Op. `reg`, `rm` and
/// `displacement` are the comparison's operands, `immediate` is the target.
template <bool kObserve, unsigned kCode, FlagKind kKind, class T, bool kConstant>
const Op* compare_and_jcc(Core& core, const Op* op) {
  const T a = get<T>(core, op->reg);
  const T b = kConstant ? static_cast<T>(static_cast<std::make_signed_t<T>>(op->displacement))
                        : get<T>(core, op->rm);
  if constexpr (kKind == FlagKind::kSub)
    note_sub<T>(core, a, b);
  else
    note_logic<T>(core, a & b);
  return branch<kObserve>(core, op, condition_known<kCode, kKind, T>(core.lazy));
}
/// The same for CMP of a register with memory.
template <bool kObserve, unsigned kCode, FlagKind kKind, class T, Form A>
const Op* compare_memory_and_jcc(Core& core, const Op* op) {
  T b;
  if (!load(core, op, address<A>(core, op), b)) [[unlikely]]
    return nullptr;
  note_sub<T>(core, get<T>(core, op->reg), b);
  return branch<kObserve>(core, op, condition_known<kCode, kKind, T>(core.lazy));
}

/// JCXZ and friends, LOOP, LOOPE, LOOPNE by the address size's count register.
enum class CountBranch { kIfZero, kLoop, kLoopEqual, kLoopNotEqual };
template <bool kObserve, class T, CountBranch K>
const Op* count_branch(Core& core, const Op* op) {
  const T count = get<T>(core, 8 * kRcx);
  if constexpr (K == CountBranch::kIfZero) return branch<kObserve>(core, op, count == 0);
  const T left = static_cast<T>(count - 1);
  set<T>(core, 8 * kRcx, left);
  bool taken = left != 0;
  if constexpr (K == CountBranch::kLoopEqual) taken = taken && condition(core.lazy, 4);
  if constexpr (K == CountBranch::kLoopNotEqual) taken = taken && condition(core.lazy, 5);
  return branch<kObserve>(core, op, taken);
}

/// `immediate`: target. Pushes the address behind the block.
template <bool kObserve, class T, bool kFlat>
const Op* call(Core& core, const Op* op) {
  if (!push_value<T, kFlat>(core, op, static_cast<T>(behind(core)))) [[unlikely]]
    return nullptr;
  observe<kObserve>(core, true, op->immediate);
  return leave(core, 1);
}

template <class T>
[[gnu::always_inline]] inline bool load_target(Core& core, const Op* op, std::uint64_t& target) {
  T value;
  if (op->flags & kMemoryOperand) {
    if (!load(core, op, linear_address(core, op), value)) return false;
  } else {
    value = get<T>(core, op->rm);
  }
  target = value;
  return true;
}

/// A target that is not canonical faults at the branch, which then has not happened.
[[gnu::always_inline]] inline bool bad_target(const Core& core, std::uint64_t target) {
  return core.code64() && !canonical(target);
}

template <bool kObserve, class T>
const Op* jump_indirect(Core& core, const Op* op) {
  std::uint64_t target;
  if (!load_target<T>(core, op, target)) [[unlikely]]
    return nullptr;
  if (bad_target(core, target)) [[unlikely]]
    return raise(core, op, kGeneralProtection, 0);
  observe<kObserve>(core, true, target);
  return leave_indirect(core, target);
}
template <bool kObserve, class T, bool kFlat>
const Op* call_indirect(Core& core, const Op* op) {
  std::uint64_t target;
  if (!load_target<T>(core, op, target)) [[unlikely]]
    return nullptr;
  if (bad_target(core, target)) [[unlikely]]
    return raise(core, op, kGeneralProtection, 0);
  if (!push_value<T, kFlat>(core, op, static_cast<T>(behind(core)))) [[unlikely]]
    return nullptr;
  observe<kObserve>(core, true, target);
  return leave_indirect(core, target);
}
/// `immediate`: bytes to release.
template <bool kObserve, class T, bool kFlat>
const Op* ret(Core& core, const Op* op) {
  T target;
  if (!load(core, op, stack_linear<kFlat>(core, 0), target)) [[unlikely]]
    return nullptr;
  if (bad_target(core, target)) [[unlikely]]
    return raise(core, op, kGeneralProtection, 0);
  move_stack<kFlat>(core, static_cast<std::int64_t>(sizeof(T) + op->immediate));
  observe<kObserve>(core, true, target);
  return leave_indirect(core, target);
}

/// The end of a block that just goes on behind it.
const Op* go_on(Core& core, const Op*) {
  return leave(core, 0);
}

/// Instruction pointer width of near branches: 64 bits in 64-bit code whatever the prefixes (as on
/// Intel processors), else the operand size.
unsigned branch_bits(const Instruction& in) {
  return in.code64() ? 64 : in.zydis.operand_width == 16 ? 16 : 32;
}

}  // namespace

std::uint64_t branch_target(const Instruction& in) {
  std::uint64_t target = in.next_rip + static_cast<std::uint64_t>(in.operands[0].imm.value.s);
  switch (branch_bits(in)) {
    case 16: return target & 0xffff;
    case 32: return target & 0xffffffff;
    default: return target;
  }
}

namespace {

template <bool kObserve>
Handler pick_jcc(const Instruction& in, unsigned code) {
  return pick_condition(in, code, []<unsigned kCode, FlagKind kKind, class T>() -> Handler {
    if constexpr (kKind == FlagKind::kKnown)
      return &jcc<kObserve, kCode>;
    else
      return &jcc_known<kObserve, kCode, kKind, T>;
  });
}

template <bool kObserve>
Handler pick_count_branch(const Instruction& in) {
  const auto pick = [&]<CountBranch K>() {
    return pick_wide(in.zydis.address_width,
                     [&]<class T>() -> Handler { return &count_branch<kObserve, T, K>; });
  };
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_LOOP: return pick.template operator()<CountBranch::kLoop>();
    case ZYDIS_MNEMONIC_LOOPE: return pick.template operator()<CountBranch::kLoopEqual>();
    case ZYDIS_MNEMONIC_LOOPNE: return pick.template operator()<CountBranch::kLoopNotEqual>();
    default: return pick.template operator()<CountBranch::kIfZero>();
  }
}

template <bool kObserve>
Handler pick_compare_and_jcc(const Instruction& jcc_in, const Instruction& compare, const Op& op,
                             unsigned code) {
  const bool constant = compare.is_immediate(1);
  const bool memory = compare.is_memory(1);
  return pick_condition(jcc_in, code, [&]<unsigned kCode, FlagKind kKind, class T>() -> Handler {
    if constexpr (kKind == FlagKind::kKnown || sizeof(T) < 4) {
      return nullptr;
    } else {
      if (memory) {
        if constexpr (kKind == FlagKind::kSub) {
          return pick_form(op, [&]<Form A>() -> Handler {
            return &compare_memory_and_jcc<kObserve, kCode, kKind, T, A>;
          });
        }
        return nullptr;
      }
      return constant ? &compare_and_jcc<kObserve, kCode, kKind, T, true>
                      : &compare_and_jcc<kObserve, kCode, kKind, T, false>;
    }
  });
}

void set_target(const Instruction& in, Translation& out) {
  if (in.is_memory(0)) {
    set_memory(out.op, in, in.operands[0]);
    out.record.loads = 1;
  } else {
    out.op.rm = gpr_offset(in.operands[0].reg.value);
  }
}

template <bool kObserve>
bool translate(const Instruction& in, Translation& out) {
  Op& op = out.op;
  const bool flat = in.code64();
  const bool far = in.zydis.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
  if (far) return false;
  const auto direct = [&](BranchKind kind) {
    out.branch = kind;
    out.terminator = true;
    out.instruction_class = silicon::x86::InstructionClass::kBranch;
    op.immediate = branch_target(in);
  };
  const auto indirect = [&](BranchKind kind) {
    out.branch = kind;
    out.terminator = true;
    out.instruction_class = silicon::x86::InstructionClass::kBranch;
  };
  if (const int code = condition_of(kJccByCode, in.mnemonic()); code >= 0) {
    direct(BranchKind::kConditional);
    op.run = pick_jcc<kObserve>(in, static_cast<unsigned>(code));
    return true;
  }
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_JMP:
      if (in.is_immediate(0)) {
        direct(BranchKind::kDirect);
        op.run = &jump<kObserve>;
      } else {
        indirect(BranchKind::kIndirect);
        set_target(in, out);
        op.run = pick_wide(branch_bits(in),
                           []<class T>() -> Handler { return &jump_indirect<kObserve, T>; });
      }
      return true;
    case ZYDIS_MNEMONIC_CALL:
      out.record.stores = 1;
      op.segment = kSs;
      if (in.is_immediate(0)) {
        direct(BranchKind::kCall);
        op.run = pick_wide(branch_bits(in), [&]<class T>() -> Handler {
          return flat ? &call<kObserve, T, true> : &call<kObserve, T, false>;
        });
      } else {
        indirect(BranchKind::kIndirectCall);
        set_target(in, out);
        op.run = pick_wide(branch_bits(in), [&]<class T>() -> Handler {
          return flat ? &call_indirect<kObserve, T, true> : &call_indirect<kObserve, T, false>;
        });
      }
      return true;
    case ZYDIS_MNEMONIC_RET:
      indirect(BranchKind::kReturn);
      out.record.loads = 1;
      op.segment = kSs;
      op.immediate = in.is_immediate(0) ? in.operands[0].imm.value.u : 0;
      op.run = pick_wide(branch_bits(in), [&]<class T>() -> Handler {
        return flat ? &ret<kObserve, T, true> : &ret<kObserve, T, false>;
      });
      return true;
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
      direct(BranchKind::kConditional);
      op.run = pick_count_branch<kObserve>(in);
      return true;
    default: return false;
  }
}

}  // namespace

Handler go_on_handler() {
  return &go_on;
}

bool fuse_compare_and_branch(const Instruction& compare, const Op& compare_op,
                             const Instruction& branch_in, Translation& out) {
  const int code = condition_of(kJccByCode, branch_in.mnemonic());
  const bool is_compare = compare.mnemonic() == ZYDIS_MNEMONIC_CMP;
  if (code < 0 || (!is_compare && compare.mnemonic() != ZYDIS_MNEMONIC_TEST)) return false;
  if (!compare.is_register(0)) return false;
  Op fused = compare_op;
  if (compare.is_immediate(1)) {
    const auto value = static_cast<std::int64_t>(compare.operands[1].imm.value.s);
    if (value != static_cast<std::int32_t>(value)) return false;
    fused.displacement = static_cast<std::int32_t>(value);
  }
  const auto number = static_cast<unsigned>(code);
  fused.run = branch_in.mode.bits & Mode::kObserved
                  ? pick_compare_and_jcc<true>(branch_in, compare, fused, number)
                  : pick_compare_and_jcc<false>(branch_in, compare, fused, number);
  if (fused.run == nullptr) return false;
  fused.immediate = out.op.immediate;
  out.op = fused;
  return true;
}

bool translate_control(const Instruction& in, Translation& out) {
  return in.mode.bits & Mode::kObserved ? translate<true>(in, out) : translate<false>(in, out);
}

}  // namespace vpmu::machine::x86
