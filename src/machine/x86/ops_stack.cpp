// SPDX-License-Identifier: MIT
//
// PUSH, POP and their relatives, ENTER and LEAVE. In 64-bit code the stack is flat and RSP is used
// whole: those forms are specialised; the general ones serve all other modes.
#include <algorithm>
#include <cstdint>

#include "machine/x86/chain.hpp"
#include "machine/x86/flags.hpp"
#include "machine/x86/forms.hpp"
#include "machine/x86/segments.hpp"
#include "machine/x86/stack.hpp"

namespace vpmu::machine::x86 {

namespace {

enum class Source { kRegister, kImmediate, kMemory, kSegment };

template <class T, bool kFlat, Source S>
const Op* push(Core& core, const Op* op) {
  T value;
  if constexpr (S == Source::kRegister) value = get<T>(core, op->rm);
  if constexpr (S == Source::kImmediate) value = static_cast<T>(op->immediate);
  if constexpr (S == Source::kSegment) value = core.segment[op->rm].selector;
  if constexpr (S == Source::kMemory) {
    if (!load(core, op, linear_address(core, op), value)) return nullptr;
  }
  if (!push_value<T, kFlat>(core, op, value)) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

template <class T, bool kFlat>
const Op* pop_reg(Core& core, const Op* op) {
  T value;
  if (!load(core, op, stack_linear<kFlat>(core, 0), value)) [[unlikely]]
    return nullptr;
  // POP SP: the popped value wins over the increment.
  move_stack<kFlat>(core, sizeof(T));
  set<T>(core, op->reg, value);
  VPMU_NEXT(core, op);
}
template <class T, bool kFlat>
const Op* pop_mem(Core& core, const Op* op) {
  T value;
  if (!load(core, op, stack_linear<kFlat>(core, 0), value)) {
    stack_access_failed(core);
    return nullptr;
  }
  // The address is worked out with the stack pointer already incremented.
  const std::uint64_t old = core.gpr[kRsp];
  move_stack<kFlat>(core, sizeof(T));
  if (!store(core, op, linear_address(core, op), value)) {
    core.gpr[kRsp] = old;
    return nullptr;
  }
  VPMU_NEXT(core, op);
}

template <class T>
const Op* pushf(Core& core, const Op* op) {
  const auto value = static_cast<T>(rflags(core) & ~(kRf | kVm));
  if (!push_value<T, false>(core, op, value)) return nullptr;
  VPMU_NEXT(core, op);
}

template <class T>
const Op* leave_frame(Core& core, const Op* op) {
  T value;
  const std::uint64_t mask = stack_mask(core);
  const std::uint64_t base = core.code64() ? 0 : core.segment[kSs].base;
  std::uint64_t at = (core.gpr[kRbp] & mask) + base;
  if (!core.code64()) at = static_cast<std::uint32_t>(at);
  if (!load(core, op, at, value)) [[unlikely]]
    return nullptr;
  core.gpr[kRsp] = (core.gpr[kRsp] & ~mask) | ((core.gpr[kRbp] + sizeof(T)) & mask);
  if (mask == 0xffffffff) core.gpr[kRsp] = static_cast<std::uint32_t>(core.gpr[kRsp]);
  set<T>(core, 8 * kRbp, value);
  VPMU_NEXT(core, op);
}

/// ENTER size, level.
template <class T>
const Op* enter_frame(Core& core, const Op* op) {
  const auto size = static_cast<std::uint16_t>(op->immediate);
  const unsigned level = op->aux & 31U;
  const std::uint64_t mask = stack_mask(core);
  const std::uint64_t base = core.code64() ? 0 : core.segment[kSs].base;
  const std::uint64_t old_rsp = core.gpr[kRsp];
  const auto linear = [&](std::uint64_t pointer) {
    const std::uint64_t at = (pointer & mask) + base;
    return core.code64() ? at : static_cast<std::uint32_t>(at);
  };
  const auto push_at = [&](T value) {
    if (!store(core, op, linear(core.gpr[kRsp] - sizeof(T)), value)) {
      core.gpr[kRsp] = old_rsp;
      return false;
    }
    core.gpr[kRsp] = (core.gpr[kRsp] & ~mask) | ((core.gpr[kRsp] - sizeof(T)) & mask);
    return true;
  };
  if (!push_at(get<T>(core, 8 * kRbp))) return nullptr;
  const std::uint64_t frame = core.gpr[kRsp];
  for (unsigned n = 1; n < level; ++n) {
    T link;
    if (!load(core, op, linear(core.gpr[kRbp] - n * sizeof(T)), link)) {
      core.gpr[kRsp] = old_rsp;
      return nullptr;
    }
    if (!push_at(link)) return nullptr;
  }
  if (level > 0 && !push_at(static_cast<T>(frame))) return nullptr;
  const std::uint64_t end = (core.gpr[kRsp] & ~mask) | ((core.gpr[kRsp] - size) & mask);
  // The last byte of the new frame must be writable, though nothing is written there.
  if (!probe_write(core, op, linear(end), 1)) {
    core.gpr[kRsp] = old_rsp;
    return nullptr;
  }
  core.gpr[kRsp] = end;
  set<T>(core, 8 * kRbp, static_cast<T>(frame));
  VPMU_NEXT(core, op);
}

/// PUSHA and POPA: all eight at once, so that a fault leaves nothing half done.
template <class T>
const Op* push_all(Core& core, const Op* op) {
  T values[8];
  for (unsigned n = 0; n < 8; ++n) values[7 - n] = get<T>(core, 8 * n);
  const std::uint64_t at = stack_linear<false>(core, -static_cast<std::int64_t>(sizeof values));
  if (!probe_write(core, op, at, sizeof values)) return nullptr;
  for (unsigned n = 0; n < 8; ++n) {
    if (!store(core, op, at + n * sizeof(T), values[n])) return nullptr;
  }
  move_stack<false>(core, -static_cast<std::int64_t>(sizeof values));
  VPMU_NEXT(core, op);
}
template <class T>
const Op* pop_all(Core& core, const Op* op) {
  T values[8];
  const std::uint64_t at = stack_linear<false>(core, 0);
  for (unsigned n = 0; n < 8; ++n) {
    if (!load(core, op, at + n * sizeof(T), values[n])) return nullptr;
  }
  move_stack<false>(core, sizeof values);
  for (unsigned n = 0; n < 8; ++n) {
    if (n != kRsp) set<T>(core, 8 * n, values[7 - n]);
  }
  VPMU_NEXT(core, op);
}

template <class T>
const Op* bound(Core& core, const Op* op) {
  using Signed = std::make_signed_t<T>;
  const std::uint64_t at = linear_address(core, op);
  T low;
  T high;
  if (!load(core, op, at, low) || !load(core, op, at + sizeof(T), high)) return nullptr;
  const auto value = static_cast<Signed>(get<T>(core, op->reg));
  if (value < static_cast<Signed>(low) || value > static_cast<Signed>(high))
    return raise(core, op, kBoundRange);
  VPMU_NEXT(core, op);
}

/// Loads of DS, ES, FS, GS by POP; SS and all of MOV Sreg are in ops_system.cpp.
template <class T>
const Op* pop_segment(Core& core, const Op* op) {
  T value;
  if (!load(core, op, stack_linear<false>(core, 0), value)) return nullptr;
  if (!load_segment(core, static_cast<SegmentIndex>(op->reg), static_cast<std::uint16_t>(value))) {
    core.stop = Stop::kException;
    core.stopped_at = op;
    return nullptr;
  }
  move_stack<false>(core, sizeof(T));
  if (op->reg == kSs) core.interrupt_shadow = core.stack_switch_shadow = true;
  return finish_in_order(core, op);
}

template <Source S>
void pick_push(const Instruction& in, Op& op) {
  const bool flat = in.code64();
  op.run = pick_wide(in.zydis.operand_width, [&]<class T>() -> Handler {
    return flat ? &push<T, true, S> : &push<T, false, S>;
  });
}

}  // namespace

bool translate_stack(const Instruction& in, Translation& out) {
  Op& op = out.op;
  const bool flat = in.code64();
  const unsigned width = in.zydis.operand_width;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_PUSH:
      out.record.stores = 1;
      if (in.is_immediate(0)) {
        op.immediate = in.operands[0].imm.value.u;
        if (in.operands[0].imm.is_signed)
          op.immediate = static_cast<std::uint64_t>(in.operands[0].imm.value.s);
        op.segment = kSs;
        pick_push<Source::kImmediate>(in, op);
      } else if (in.is_memory(0)) {
        set_memory(op, in, in.operands[0]);
        out.record.loads = 1;
        pick_push<Source::kMemory>(in, op);
      } else if (ZydisRegisterGetClass(in.operands[0].reg.value) == ZYDIS_REGCLASS_SEGMENT) {
        op.rm = segment_number(in.operands[0].reg.value);
        op.segment = kSs;
        pick_push<Source::kSegment>(in, op);
      } else {
        op.rm = gpr_offset(in.operands[0].reg.value);
        op.segment = kSs;
        pick_push<Source::kRegister>(in, op);
      }
      return true;
    case ZYDIS_MNEMONIC_POP:
      out.record.loads = 1;
      if (in.is_memory(0)) {
        set_memory(op, in, in.operands[0]);
        out.record.stores = 1;
        op.run = pick_wide(width, [&]<class T>() -> Handler {
          return flat ? &pop_mem<T, true> : &pop_mem<T, false>;
        });
      } else if (ZydisRegisterGetClass(in.operands[0].reg.value) == ZYDIS_REGCLASS_SEGMENT) {
        op.reg = segment_number(in.operands[0].reg.value);
        op.segment = kSs;
        out.terminator = true;
        out.instruction_class = silicon::x86::InstructionClass::kSegmentLoad;
        op.immediate = in.next_rip;
        op.run = pick_wide(width, [&]<class T>() -> Handler { return &pop_segment<T>; });
      } else {
        op.reg = gpr_offset(in.operands[0].reg.value);
        op.segment = kSs;
        op.run = pick_wide(width, [&]<class T>() -> Handler {
          return flat ? &pop_reg<T, true> : &pop_reg<T, false>;
        });
      }
      return true;
    case ZYDIS_MNEMONIC_PUSHF:
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_PUSHFQ:
      out.record.stores = 1;
      op.segment = kSs;
      op.run = pick_wide(width, [&]<class T>() -> Handler { return &pushf<T>; });
      return true;
    case ZYDIS_MNEMONIC_LEAVE:
      out.record.loads = 1;
      op.segment = kSs;
      op.run = pick_wide(width, [&]<class T>() -> Handler { return &leave_frame<T>; });
      return true;
    case ZYDIS_MNEMONIC_ENTER:
      op.segment = kSs;
      op.immediate = in.operands[0].imm.value.u;
      op.aux = static_cast<std::uint8_t>(in.operands[1].imm.value.u);
      // The frame pointer; the pointers of the frames around it, copied; its own.
      out.record.loads = std::max(op.aux & 31, 1) - 1;
      out.record.stores = 1 + (op.aux & 31);
      op.run = pick_wide(width, [&]<class T>() -> Handler { return &enter_frame<T>; });
      return true;
    case ZYDIS_MNEMONIC_PUSHA:
    case ZYDIS_MNEMONIC_PUSHAD:
      out.record.stores = 8;
      op.segment = kSs;
      op.run = width == 16 ? &push_all<std::uint16_t> : &push_all<std::uint32_t>;
      return true;
    case ZYDIS_MNEMONIC_POPA:
    case ZYDIS_MNEMONIC_POPAD:
      out.record.loads = 8;
      op.segment = kSs;
      op.run = width == 16 ? &pop_all<std::uint16_t> : &pop_all<std::uint32_t>;
      return true;
    case ZYDIS_MNEMONIC_BOUND:
      out.record.loads = 2;
      op.reg = gpr_offset(in.operands[0].reg.value);
      set_memory(op, in, in.operands[1]);
      op.run = width == 16 ? &bound<std::uint16_t> : &bound<std::uint32_t>;
      return true;
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
