// SPDX-License-Identifier: MIT
//
// Instructions that look beyond the registers: control and debug registers, descriptor tables,
// MSRs, ports, time and counters, changes of privilege.
//
// Those that may change what runs next end their block (finish()); those that read time or
// counters, or reach devices, run in a block of their own (Translation::alone), so that what has
// retired is exact.
#include <cstdint>
#include <cstring>

#include "machine/x86/chain.hpp"
#include "machine/x86/flags.hpp"
#include "machine/x86/forms.hpp"
#include "machine/x86/io.hpp"
#include "machine/x86/mmu.hpp"
#include "machine/x86/msr.hpp"
#include "machine/x86/segments.hpp"

namespace vpmu::machine::x86 {

using silicon::x86::InstructionClass;

bool check_io(Core& core, const Op* op, std::uint16_t port, unsigned bytes) {
  if ((core.cr0 & kCr0Pe) == 0 || core.cpl <= (core.rflags & kIopl) >> 12) return true;
  // The bitmap's offset is in the TSS; two bytes are read, so that a port range may cross.
  const auto refuse = [&] {
    raise(core, op, kGeneralProtection, 0);
    return false;
  };
  if (core.tr.limit < 103) return refuse();
  std::uint16_t bitmap = 0;
  std::uint16_t bits = 0;
  if (!read_system(core, core.tr.base + 102, &bitmap, 2)) {
    core.stop = Stop::kException;
    core.stopped_at = op;
    return false;
  }
  const std::uint32_t offset = bitmap + port / 8U;
  if (offset + 1 > core.tr.limit) return refuse();
  if (!read_system(core, core.tr.base + offset, &bits, 2)) {
    core.stop = Stop::kException;
    core.stopped_at = op;
    return false;
  }
  if (bits >> port % 8U & ((1U << bytes) - 1)) return refuse();
  return true;
}

namespace {

/// Raises what a function that returned false has put into Core::exception.
const Op* raise_prepared(Core& core, const Op* op) {
  core.stop = Stop::kException;
  core.stopped_at = op;
  return nullptr;
}

const Op* undefined(Core& core, const Op* op) {
  return raise(core, op, kInvalidOpcode);
}

/// For a terminator that is no branch: `immediate` is the next address.
const Op* ended(Core& core, const Op* op) {
  return finish_in_order(core, op);
}

bool privileged(const Core& core) {
  return core.cpl == 0;
}
bool real_mode(const Core& core) {
  return (core.cr0 & kCr0Pe) == 0;
}

// ---- Segment registers --------------------------------------------------------------------------

template <class T>
const Op* store_segment_reg(Core& core, const Op* op) {
  set<T>(core, op->reg, core.segment[op->rm].selector);
  VPMU_NEXT(core, op);
}
const Op* store_segment_mem(Core& core, const Op* op) {
  if (!store(core, op, linear_address(core, op), core.segment[op->rm].selector)) return nullptr;
  VPMU_NEXT(core, op);
}
/// MOV Sreg, r/m16.
const Op* move_to_segment(Core& core, const Op* op) {
  std::uint16_t selector;
  if (op->flags & kMemoryOperand) {
    if (!load(core, op, linear_address(core, op), selector)) return nullptr;
  } else {
    selector = get<std::uint16_t>(core, op->rm);
  }
  if (op->reg == kCs) return raise(core, op, kInvalidOpcode);
  if (!load_segment(core, static_cast<SegmentIndex>(op->reg), selector))
    return raise_prepared(core, op);
  if (op->reg == kSs) {
    core.interrupt_shadow = core.stack_switch_shadow = true;
    update_mode(core);
  }
  return ended(core, op);
}
/// LES, LDS, LSS, LFS, LGS: offset, then selector.
template <class T>
const Op* load_far_pointer(Core& core, const Op* op) {
  const std::uint64_t at = linear_address(core, op);
  T offset;
  std::uint16_t selector;
  if (!load(core, op, at, offset) || !load(core, op, at + sizeof(T), selector)) return nullptr;
  if (!load_segment(core, static_cast<SegmentIndex>(op->aux), selector))
    return raise_prepared(core, op);
  set<T>(core, op->reg, offset);
  if (op->aux == kSs) update_mode(core);
  return ended(core, op);
}

enum class SegmentBase { kReadFs, kReadGs, kWriteFs, kWriteGs };
template <SegmentBase B, class T>
const Op* segment_base(Core& core, const Op* op) {
  if ((core.cr4 & kCr4Fsgsbase) == 0) return raise(core, op, kInvalidOpcode);
  constexpr bool kFsOne = B == SegmentBase::kReadFs || B == SegmentBase::kWriteFs;
  std::uint64_t& base = core.segment[kFsOne ? kFs : kGs].base;
  if constexpr (B == SegmentBase::kReadFs || B == SegmentBase::kReadGs) {
    set<T>(core, op->reg, static_cast<T>(base));
  } else {
    const std::uint64_t value = get<T>(core, op->reg);
    if (!canonical(value)) return raise(core, op, kGeneralProtection, 0);
    base = value;
  }
  VPMU_NEXT(core, op);
}

const Op* swapgs(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  std::swap(core.segment[kGs].base, core.kernel_gs_base);
  VPMU_NEXT(core, op);
}

// ---- Descriptor tables --------------------------------------------------------------------------

template <bool kIdt>
const Op* load_table(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  const std::uint64_t at = linear_address(core, op);
  std::uint16_t limit;
  std::uint64_t base = 0;
  if (!load(core, op, at, limit)) return nullptr;
  if (core.code64()) {
    if (!load(core, op, at + 2, base)) return nullptr;
    if (!canonical(base)) return raise(core, op, kGeneralProtection, 0);
  } else {
    std::uint32_t narrow;
    if (!load(core, op, at + 2, narrow)) return nullptr;
    // With a 16-bit operand size only 24 bits of the base count.
    base = op->aux == 16 ? narrow & 0xffffff : narrow;
  }
  (kIdt ? core.idtr : core.gdtr) = {base, limit};
  VPMU_NEXT(core, op);
}
template <bool kIdt>
const Op* store_table(Core& core, const Op* op) {
  if ((core.cr4 & kCr4Umip) && core.cpl != 0) return raise(core, op, kGeneralProtection, 0);
  const DescriptorTable& table = kIdt ? core.idtr : core.gdtr;
  const std::uint64_t at = linear_address(core, op);
  const unsigned bytes = core.code64() ? 10 : 6;
  if (!probe_write(core, op, at, bytes)) return nullptr;
  if (!store(core, op, at, table.limit)) return nullptr;
  if (core.code64()) {
    if (!store(core, op, at + 2, table.base)) return nullptr;
  } else {
    if (!store(core, op, at + 2, static_cast<std::uint32_t>(table.base))) return nullptr;
  }
  VPMU_NEXT(core, op);
}

/// The 16-bit source of LLDT, LTR, LMSW, VERR, ...
bool load_word(Core& core, const Op* op, std::uint16_t& value) {
  if (op->flags & kMemoryOperand) return load(core, op, linear_address(core, op), value);
  value = get<std::uint16_t>(core, op->rm);
  return true;
}
template <bool kTask>
const Op* load_system_segment(Core& core, const Op* op) {
  if (real_mode(core)) return raise(core, op, kInvalidOpcode);
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  std::uint16_t selector;
  if (!load_word(core, op, selector)) return nullptr;
  if (!(kTask ? load_task_register(core, selector) : load_ldt(core, selector)))
    return raise_prepared(core, op);
  VPMU_NEXT(core, op);
}

enum class Word { kLdt, kTask, kMachineStatus };
template <Word W>
const Op* store_word(Core& core, const Op* op) {
  if (W != Word::kMachineStatus && real_mode(core)) return raise(core, op, kInvalidOpcode);
  if ((core.cr4 & kCr4Umip) && core.cpl != 0) return raise(core, op, kGeneralProtection, 0);
  std::uint64_t value = core.cr0;
  if constexpr (W == Word::kLdt) value = core.ldtr.selector;
  if constexpr (W == Word::kTask) value = core.tr.selector;
  if (op->flags & kMemoryOperand) {
    if (!store(core, op, linear_address(core, op), static_cast<std::uint16_t>(value)))
      return nullptr;
  } else if (op->aux == 16) {
    set<std::uint16_t>(core, op->rm, static_cast<std::uint16_t>(value));
  } else if (op->aux == 32) {
    set<std::uint32_t>(core, op->rm, static_cast<std::uint32_t>(value));
  } else {
    set<std::uint64_t>(core, op->rm, value);
  }
  VPMU_NEXT(core, op);
}

/// VERR, VERW, LAR, LSL look at a descriptor without loading it.
enum class Inspect { kReadable, kWritable, kRights, kLimit };

bool inspectable(const Core& core, Inspect what, const Segment& s, unsigned rpl) {
  const bool code = !s.system && (s.type & 8);
  const bool conforming = code && (s.type & 4);
  const bool privileged_enough = conforming || (s.dpl >= core.cpl && s.dpl >= rpl);
  switch (what) {
    case Inspect::kReadable: return !s.system && privileged_enough && (!code || (s.type & 2));
    case Inspect::kWritable: return !s.system && !code && privileged_enough && (s.type & 2);
    case Inspect::kRights:
    case Inspect::kLimit: break;
  }
  if (!s.system) return privileged_enough;
  if (s.dpl < core.cpl || s.dpl < rpl) return false;
  const auto bit = 1U << s.type;
  if (core.long_mode()) {
    constexpr unsigned kValid = 1U << 2 | 1U << 9 | 1U << 11;
    return (bit & (what == Inspect::kRights ? kValid | 1U << 12 : kValid)) != 0;
  }
  constexpr unsigned kValid = 1U << 1 | 1U << 2 | 1U << 3 | 1U << 9 | 1U << 11;
  return (bit & (what == Inspect::kRights ? kValid | 1U << 4 | 1U << 5 | 1U << 12 : kValid)) != 0;
}

template <Inspect I>
const Op* inspect(Core& core, const Op* op) {
  if (real_mode(core)) return raise(core, op, kInvalidOpcode);
  std::uint16_t selector;
  if (!load_word(core, op, selector)) return nullptr;
  const bool local = (selector & 4) != 0;
  const std::uint32_t offset = selector & ~7U;
  const std::uint32_t limit = local ? core.ldtr.limit : core.gdtr.limit;
  bool ok = (selector & ~3U) != 0 && (!local || core.ldtr.present) && offset + 7 <= limit;
  std::uint64_t raw = 0;
  if (ok) {
    const std::uint64_t base = local ? core.ldtr.base : core.gdtr.base;
    if (!read_system(core, base + offset, core.transfer.data(), 8)) return raise_prepared(core, op);
    std::memcpy(&raw, core.transfer.data(), 8);
    ok = inspectable(core, I, unpack(selector, raw), selector & 3U);
  }
  const std::uint64_t flags = arithmetic_flags(core.lazy) & ~kZf;
  set_arithmetic_flags(core, flags | (ok ? kZf : 0));
  if (ok && (I == Inspect::kRights || I == Inspect::kLimit)) {
    const std::uint32_t value = I == Inspect::kLimit
                                    ? unpack(selector, raw).limit
                                    : static_cast<std::uint32_t>(raw >> 32) & 0x00ffff00;
    if (op->aux == 16)
      set<std::uint16_t>(core, op->reg, static_cast<std::uint16_t>(value));
    else
      set<std::uint32_t>(core, op->reg, value);
  }
  VPMU_NEXT(core, op);
}

const Op* arpl(Core& core, const Op* op) {
  if (real_mode(core)) return raise(core, op, kInvalidOpcode);
  const unsigned wanted = get<std::uint16_t>(core, op->reg) & 3U;
  bool changed = false;
  const auto change = [&](std::uint16_t value) {
    changed = (value & 3U) < wanted;
    return changed ? static_cast<std::uint16_t>((value & ~3U) | wanted) : value;
  };
  if (op->flags & kMemoryOperand) {
    if (!modify<std::uint16_t>(core, op, linear_address(core, op), change)) return nullptr;
  } else {
    set<std::uint16_t>(core, op->rm, change(get<std::uint16_t>(core, op->rm)));
  }
  set_arithmetic_flags(core, (arithmetic_flags(core.lazy) & ~kZf) | (changed ? kZf : 0));
  VPMU_NEXT(core, op);
}

// ---- Control and debug registers ----------------------------------------------------------------

const Op* read_control(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  std::uint64_t value = 0;
  switch (op->rm) {
    case 0: value = core.cr0; break;
    case 2: value = core.cr2; break;
    case 3: value = core.cr3; break;
    case 4: value = core.cr4; break;
    case 8: value = core.environment->task_priority(); break;
    default: return raise(core, op, kInvalidOpcode);
  }
  if (core.code64())
    set<std::uint64_t>(core, op->reg, value);
  else
    set<std::uint32_t>(core, op->reg, static_cast<std::uint32_t>(value));
  return ended(core, op);
}

const Op* write_control(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  const std::uint64_t value =
      core.code64() ? get<std::uint64_t>(core, op->rm) : get<std::uint32_t>(core, op->rm);
  bool ok = true;
  if (op->reg == 0 || op->reg == 4) core.environment->control_register_write();
  switch (op->reg) {
    case 0: ok = write_cr0(core, value); break;
    case 2: core.cr2 = value; break;
    case 3: ok = write_cr3(core, value); break;
    case 4: ok = write_cr4(core, value); break;
    case 8:
      ok = value < 16;
      if (ok) core.environment->set_task_priority(static_cast<std::uint8_t>(value));
      break;
    default: return raise(core, op, kInvalidOpcode);
  }
  if (!ok) return raise(core, op, kGeneralProtection, 0);
  return ended(core, op);
}

const Op* clts(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  core.environment->control_register_write();
  core.cr0 &= ~kCr0Ts;
  return ended(core, op);
}
const Op* lmsw(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  std::uint16_t value;
  if (!load_word(core, op, value)) return nullptr;
  core.environment->control_register_write();
  // PE can be set but not cleared.
  const std::uint64_t bits = (value & 0xf) | (core.cr0 & kCr0Pe);
  if (!write_cr0(core, (core.cr0 & ~std::uint64_t{0xf}) | bits))
    return raise(core, op, kGeneralProtection, 0);
  return ended(core, op);
}

const Op* access_debug(Core& core, const Op* op) {
  const bool write = op->aux != 0;
  unsigned number = write ? op->reg : op->rm;
  if (number == 4 || number == 5) {
    if (core.cr4 & kCr4De) return raise(core, op, kInvalidOpcode);
    number += 2;
  }
  if (number > 7) return raise(core, op, kInvalidOpcode);
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  if (core.dr7 & 1 << 13) {  // general detect
    core.dr6 |= 1 << 13;
    core.dr7 &= ~std::uint64_t{1 << 13};
    return raise(core, op, kDebug);
  }
  core.environment->debug_register_access();
  if (!write) {
    std::uint64_t value = number < 4 ? core.dr[number] : number == 6 ? core.dr6 : core.dr7;
    if (core.code64())
      set<std::uint64_t>(core, op->reg, value);
    else
      set<std::uint32_t>(core, op->reg, static_cast<std::uint32_t>(value));
    return ended(core, op);
  }
  const std::uint64_t value =
      core.code64() ? get<std::uint64_t>(core, op->rm) : get<std::uint32_t>(core, op->rm);
  if (number < 4) {
    core.dr[number] = value;
  } else {
    if (value >> 32) return raise(core, op, kGeneralProtection, 0);
    if (number == 6)
      core.dr6 = (value & 0x1e00f) | 0xfffe0ff0;
    else
      core.dr7 = (value & 0xffff2fff) | 0x400;
    update_mode(core);
  }
  return ended(core, op);
}

const Op* invlpg(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  flush_tlb(core);
  return ended(core, op);
}
const Op* cache_flush(Core& core, const Op* op) {
  const std::uint64_t linear = linear_address(core, op);
  if (core.modelled) {
    if (!flush_line(core, op, linear)) return nullptr;
    VPMU_NEXT(core, op);
  }
  // Raises what a load would raise; does nothing else.
  std::uint8_t value;
  if (!load(core, op, linear, value)) return nullptr;
  VPMU_NEXT(core, op);
}
const Op* privileged_nothing(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  VPMU_NEXT(core, op);
}

// ---- MSRs, time, counters, identification -------------------------------------------------------

const Op* rdmsr(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  const Access access = read_msr(core, MsrIndex{get<std::uint32_t>(core, 8 * kRcx)});
  if (!access.is_done()) return raise(core, op, kGeneralProtection, 0);
  set<std::uint32_t>(core, 8 * kRax, static_cast<std::uint32_t>(access.value()));
  set<std::uint32_t>(core, 8 * kRdx, static_cast<std::uint32_t>(access.value() >> 32));
  return ended(core, op);
}
const Op* wrmsr(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  const std::uint64_t value =
      std::uint64_t{get<std::uint32_t>(core, 8 * kRdx)} << 32 | get<std::uint32_t>(core, 8 * kRax);
  const Access access = write_msr(core, MsrIndex{get<std::uint32_t>(core, 8 * kRcx)}, value);
  if (!access.is_done()) return raise(core, op, kGeneralProtection, 0);
  return ended(core, op);
}
const Op* rdtsc(Core& core, const Op* op) {
  if ((core.cr4 & kCr4Tsd) && !privileged(core) && !real_mode(core))
    return raise(core, op, kGeneralProtection, 0);
  const std::uint64_t value = read_tsc(core);
  set<std::uint32_t>(core, 8 * kRax, static_cast<std::uint32_t>(value));
  set<std::uint32_t>(core, 8 * kRdx, static_cast<std::uint32_t>(value >> 32));
  if (op->aux != 0) set<std::uint32_t>(core, 8 * kRcx, core.tsc_aux);
  return ended(core, op);
}
const Op* rdpmc(Core& core, const Op* op) {
  const bool may_read = (core.cr4 & kCr4Pce) || privileged(core) || real_mode(core);
  const Access access = core.environment->rdpmc(get<std::uint32_t>(core, 8 * kRcx), may_read);
  if (!access.is_done()) return raise(core, op, kGeneralProtection, 0);
  set<std::uint32_t>(core, 8 * kRax, static_cast<std::uint32_t>(access.value()));
  set<std::uint32_t>(core, 8 * kRdx, static_cast<std::uint32_t>(access.value() >> 32));
  return ended(core, op);
}
const Op* cpuid(Core& core, const Op* op) {
  const CpuidResult result =
      guest_cpuid(core, get<std::uint32_t>(core, 8 * kRax), get<std::uint32_t>(core, 8 * kRcx));
  set<std::uint32_t>(core, 8 * kRax, result.eax);
  set<std::uint32_t>(core, 8 * kRbx, result.ebx);
  set<std::uint32_t>(core, 8 * kRcx, result.ecx);
  set<std::uint32_t>(core, 8 * kRdx, result.edx);
  return ended(core, op);
}
const Op* hypercall(Core& core, const Op* op) {
  const Access access = core.environment->hypercall(
      {.number = core.gpr[kRax],
       .arguments = {core.gpr[kRbx], core.gpr[kRcx], core.gpr[kRdx], core.gpr[kRsi]},
       .instruction =
           op->aux == 0 ? Hypercall::Instruction::kVmcall : Hypercall::Instruction::kVmmcall,
       .code64 = core.code64(),
       .user = !privileged(core)});
  if (access.is_not_mine()) return raise(core, op, kInvalidOpcode);
  if (access.is_fault()) return raise(core, op, kGeneralProtection, 0);
  core.gpr[kRax] = access.value();
  return ended(core, op);
}

// ---- Ports --------------------------------------------------------------------------------------

/// Port: `immediate` (aux = 1) or DX. `scale` holds the width in bytes, `displacement` the length
/// of the instruction.
template <class T, bool kIn>
const Op* port(Core& core, const Op* op) {
  const std::uint16_t number =
      op->aux ? static_cast<std::uint16_t>(op->immediate) : get<std::uint16_t>(core, 8 * kRdx);
  if (!check_io(core, op, number, sizeof(T))) return nullptr;
  if constexpr (kIn) {
    set<T>(core, 0, static_cast<T>(core.environment->read_port(number, sizeof(T))));
  } else {
    core.environment->write_port(number, sizeof(T), get<T>(core, 0));
  }
  return finish(core, core.block->rip + core.block->byte_length);
}

// ---- Interrupt flag, flags, halt ----------------------------------------------------------------

bool may_change_if(const Core& core) {
  return real_mode(core) || core.cpl <= (core.rflags & kIopl) >> 12;
}
const Op* cli(Core& core, const Op* op) {
  if (!may_change_if(core)) return raise(core, op, kGeneralProtection, 0);
  core.rflags &= ~kIf;
  VPMU_NEXT(core, op);
}
const Op* sti(Core& core, const Op* op) {
  if (!may_change_if(core)) return raise(core, op, kGeneralProtection, 0);
  if ((core.rflags & kIf) == 0) core.interrupt_shadow = true;
  core.rflags |= kIf;
  return ended(core, op);
}
template <bool kSet>
const Op* change_ac(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kInvalidOpcode);
  core.rflags = kSet ? core.rflags | kAc : core.rflags & ~kAc;
  update_mode(core);
  VPMU_NEXT(core, op);
}
template <class T>
const Op* popf(Core& core, const Op* op) {
  T value;
  const std::uint64_t mask = stack_mask(core);
  std::uint64_t at = (core.gpr[kRsp] & mask) + (core.code64() ? 0 : core.segment[kSs].base);
  if (!core.code64()) at = static_cast<std::uint32_t>(at);
  if (!load(core, op, at, value)) return nullptr;
  std::uint64_t rsp = core.gpr[kRsp] + sizeof(T);
  if (mask == 0xffff) rsp = (core.gpr[kRsp] & ~mask) | (rsp & mask);
  core.gpr[kRsp] = mask == 0xffffffff ? rsp & mask : rsp;
  std::uint64_t changed = kTf | kDf | kNt;
  if (sizeof(T) > 2) changed |= kAc | kId;
  if (real_mode(core) || privileged(core)) changed |= kIopl;
  if (may_change_if(core)) changed |= kIf;
  core.rflags = (core.rflags & ~changed) | (value & changed);
  set_arithmetic_flags(core, value);
  update_mode(core);
  return ended(core, op);
}
const Op* hlt(Core& core, const Op* op) {
  if (!privileged(core)) return raise(core, op, kGeneralProtection, 0);
  core.halted = true;
  return ended(core, op);
}

// ---- Changes of privilege -----------------------------------------------------------------------

Segment flat_segment(std::uint16_t selector, bool code, std::uint8_t dpl, bool long_code) {
  Segment s;
  s.selector = selector;
  s.type = code ? 11 : 3;
  s.dpl = dpl;
  s.present = true;
  s.long_code = long_code;
  s.big = !long_code;
  s.limit = 0xffffffff;
  return s;
}

bool is_amd(const Core& core) {
  return core.identity.vendor == Vendor::kAmd;
}

/// Outside long mode, APM vol. 3 SYSCALL.
const Op* legacy_syscall(Core& core, const Op* op) {
  core.gpr[kRcx] = static_cast<std::uint32_t>(op->immediate);
  const auto selector = static_cast<std::uint16_t>(core.star >> 32 & 0xfffc);
  core.segment[kCs] = flat_segment(selector, true, 0, false);
  core.segment[kSs] = flat_segment(static_cast<std::uint16_t>(selector + 8), false, 0, false);
  core.rflags &= ~(kIf | kVm | kRf);
  core.cpl = 0;
  update_mode(core);
  return finish(core, static_cast<std::uint32_t>(core.star), true);
}
/// Intel has it in 64-bit code only; AMD in all protected modes, with a target of its own for
/// compatibility mode.
const Op* syscall(Core& core, const Op* op) {
  const bool from_64 = core.code64();
  if ((core.efer & kEferSce) == 0 || real_mode(core) || (!from_64 && !is_amd(core)))
    return raise(core, op, kInvalidOpcode);
  if (!core.long_mode()) return legacy_syscall(core, op);
  core.gpr[kRcx] = op->immediate;
  core.gpr[11] = rflags(core) & ~kRf;
  const auto selector = static_cast<std::uint16_t>(core.star >> 32 & 0xfffc);
  core.segment[kCs] = flat_segment(selector, true, 0, true);
  core.segment[kSs] = flat_segment(static_cast<std::uint16_t>(selector + 8), false, 0, false);
  const std::uint64_t flags = rflags(core) & ~core.sfmask;
  core.rflags = (flags & ~kArithmeticFlags & ~kRf) | 2;
  set_arithmetic_flags(core, flags);
  core.cpl = 0;
  update_mode(core);
  return finish(core, from_64 ? core.lstar : core.cstar, true);
}
template <bool kTo64>
const Op* sysret(Core& core, const Op* op) {
  const bool from_64 = core.code64();
  if ((core.efer & kEferSce) == 0 || (!from_64 && !is_amd(core)))
    return raise(core, op, kInvalidOpcode);
  if (real_mode(core) || !privileged(core)) return raise(core, op, kGeneralProtection, 0);
  const std::uint64_t rip = kTo64 ? core.gpr[kRcx] : get<std::uint32_t>(core, 8 * kRcx);
  if (!canonical(rip)) return raise(core, op, kGeneralProtection, 0);
  const auto base = static_cast<std::uint16_t>(core.star >> 48);
  const auto code = static_cast<std::uint16_t>((base + (kTo64 ? 16 : 0)) | 3);
  core.segment[kCs] = flat_segment(code, true, 3, kTo64);
  core.segment[kSs] = flat_segment(static_cast<std::uint16_t>((base + 8) | 3), false, 3, false);
  if (from_64) {
    const std::uint64_t flags = core.gpr[11] & 0x3c7fd7;
    core.rflags = (flags & ~kArithmeticFlags & ~kRf) | 2;
    set_arithmetic_flags(core, flags);
  } else {
    core.rflags |= kIf;
  }
  core.cpl = 3;
  update_mode(core);
  return finish(core, rip, true);
}
/// AMD has SYSENTER and SYSEXIT outside long mode only.
const Op* sysenter(Core& core, const Op* op) {
  if (is_amd(core) && core.long_mode()) return raise(core, op, kInvalidOpcode);
  if (real_mode(core) || (core.sysenter_cs & 0xfffc) == 0)
    return raise(core, op, kGeneralProtection, 0);
  const bool wide = core.long_mode();
  const auto selector = static_cast<std::uint16_t>(core.sysenter_cs & 0xfffc);
  core.segment[kCs] = flat_segment(selector, true, 0, wide);
  core.segment[kSs] = flat_segment(static_cast<std::uint16_t>(selector + 8), false, 0, false);
  core.rflags &= ~(kIf | kVm | kRf);
  core.cpl = 0;
  core.gpr[kRsp] = wide ? core.sysenter_esp : static_cast<std::uint32_t>(core.sysenter_esp);
  update_mode(core);
  return finish(core, wide ? core.sysenter_eip : static_cast<std::uint32_t>(core.sysenter_eip),
                true);
}
template <bool kTo64>
const Op* sysexit(Core& core, const Op* op) {
  if (is_amd(core) && core.long_mode()) return raise(core, op, kInvalidOpcode);
  if (real_mode(core) || (core.sysenter_cs & 0xfffc) == 0 || !privileged(core))
    return raise(core, op, kGeneralProtection, 0);
  const std::uint64_t rip = kTo64 ? core.gpr[kRdx] : get<std::uint32_t>(core, 8 * kRdx);
  const std::uint64_t rsp = kTo64 ? core.gpr[kRcx] : get<std::uint32_t>(core, 8 * kRcx);
  if (!canonical(rip) || !canonical(rsp)) return raise(core, op, kGeneralProtection, 0);
  const auto base = static_cast<std::uint16_t>(core.sysenter_cs & 0xfffc);
  const auto code = static_cast<std::uint16_t>((base + (kTo64 ? 32 : 16)) | 3);
  core.segment[kCs] = flat_segment(code, true, 3, kTo64);
  core.segment[kSs] = flat_segment(static_cast<std::uint16_t>(code + 8), false, 3, false);
  core.cpl = 3;
  core.gpr[kRsp] = rsp;
  update_mode(core);
  return finish(core, rip, true);
}

/// Far transfers work on Core::rip; those that fail leave everything as it was.
const Op* far_done(Core& core) {
  return finish(core, core.rip, true);
}

template <class T, bool kCall>
const Op* far_transfer(Core& core, const Op* op) {
  std::uint16_t selector;
  T offset;
  if (op->flags & kMemoryOperand) {
    const std::uint64_t at = linear_address(core, op);
    if (!load(core, op, at, offset) || !load(core, op, at + sizeof(T), selector)) return nullptr;
  } else {
    selector = static_cast<std::uint16_t>(op->immediate >> 32);
    offset = static_cast<T>(op->immediate & 0xffffffff);
  }
  const std::uint64_t behind = core.block->rip + core.block->byte_length;
  const bool ok = kCall ? far_call(core, selector, offset, sizeof(T), behind)
                        : far_jump(core, selector, offset);
  return ok ? far_done(core) : raise_prepared(core, op);
}
const Op* far_ret(Core& core, const Op* op) {
  if (!far_return(core, op->aux, static_cast<std::uint16_t>(op->immediate)))
    return raise_prepared(core, op);
  return far_done(core);
}
const Op* iret(Core& core, const Op* op) {
  if (!interrupt_return(core, op->aux)) return raise_prepared(core, op);
  return far_done(core);
}
/// INT n, INT3, INTO: `immediate` is the vector.
const Op* software_interrupt(Core& core, const Op* op) {
  const auto vector = static_cast<std::uint8_t>(op->immediate);
  const std::uint64_t behind = core.block->rip + core.block->byte_length;
  if (op->aux && (arithmetic_flags(core.lazy) & kOf) == 0) return finish(core, behind);
  if (!deliver_software(core, vector, behind)) return raise_prepared(core, op);
  return far_done(core);
}
/// INT1: a debug trap without a DR6 bit. Unlike INT n, it does not ask for the gate's permission.
const Op* icebp(Core& core, const Op*) {
  core.debug_trap = true;
  count_edge(core, 1);  // where it goes to is seen when the trap is delivered
  core.rip = core.block->rip + core.block->byte_length;
  core.stop = Stop::kDone;
  return nullptr;
}

// ---- Transactions -------------------------------------------------------------------------------
// Every transaction aborts at once, as CPUID says (RTM_ALWAYS_ABORT): there is never one.

/// `immediate` is where the fallback is.
const Op* xbegin(Core& core, const Op* op) {
  if (!core.identity.tsx) return raise(core, op, kInvalidOpcode);
  if (!canonical(op->immediate)) return raise(core, op, kGeneralProtection, 0);
  set<std::uint32_t>(core, 8 * kRax, 0);  // the abort has no reason
  if (core.block->mode.bits & Mode::kObserved) observe_far_branch(core, op->immediate, true);
  return finish(core, op->immediate);
}
const Op* xend(Core& core, const Op* op) {
  if (!core.identity.tsx) return raise(core, op, kInvalidOpcode);
  return raise(core, op, kGeneralProtection, 0);
}
const Op* xabort(Core& core, const Op* op) {
  if (!core.identity.tsx) return raise(core, op, kInvalidOpcode);
  VPMU_NEXT(core, op);
}
const Op* xtest(Core& core, const Op* op) {
  if (!core.identity.tsx) return raise(core, op, kInvalidOpcode);
  set_arithmetic_flags(core, kZf);
  VPMU_NEXT(core, op);
}

}  // namespace

Handler undefined_handler() {
  return &undefined;
}

namespace {

/// A terminator; the Op holds the address behind it.
void end_block(const Instruction& in, Translation& out, Handler handler, InstructionClass kind,
               bool alone = false) {
  out.terminator = true;
  out.alone = alone;
  out.instruction_class = kind;
  out.op.immediate = in.next_rip;
  out.op.run = handler;
}

void word_source(const Instruction& in, Translation& out, unsigned n, Handler handler) {
  if (in.is_memory(n)) {
    set_memory(out.op, in, in.operands[n]);
    out.record.loads = 1;
  } else {
    out.op.rm = gpr_offset(in.operands[n].reg.value);
  }
  out.instruction_class = InstructionClass::kDescriptorTable;
  out.op.run = handler;
}
void word_destination(const Instruction& in, Translation& out, Handler handler) {
  if (in.is_memory(0)) {
    set_memory(out.op, in, in.operands[0]);
    out.record.stores = 1;
  } else {
    out.op.rm = gpr_offset(in.operands[0].reg.value);
  }
  out.op.aux = static_cast<std::uint8_t>(in.operands[0].size);
  out.instruction_class = InstructionClass::kDescriptorTable;
  out.op.run = handler;
}

bool translate_moves(const Instruction& in, Translation& out) {
  Op& op = out.op;
  const auto class_of = [&](unsigned n) {
    return in.is_register(n) ? ZydisRegisterGetClass(in.operands[n].reg.value)
                             : ZYDIS_REGCLASS_INVALID;
  };
  if (class_of(0) == ZYDIS_REGCLASS_SEGMENT) {
    op.reg = segment_number(in.operands[0].reg.value);
    word_source(in, out, 1, nullptr);
    end_block(in, out, &move_to_segment, InstructionClass::kSegmentLoad);
    return true;
  }
  if (class_of(1) == ZYDIS_REGCLASS_SEGMENT) {
    op.rm = segment_number(in.operands[1].reg.value);
    if (in.is_memory(0)) {
      set_memory(op, in, in.operands[0]);
      out.record.stores = 1;
      op.run = &store_segment_mem;
    } else {
      op.reg = gpr_offset(in.operands[0].reg.value);
      op.run = pick_wide(in.operands[0].size,
                         []<class T>() -> Handler { return &store_segment_reg<T>; });
    }
    return true;
  }
  const auto kind = InstructionClass::kControlRegister;
  for (const unsigned n : {0U, 1U}) {
    const ZydisRegisterClass reg_class = class_of(n);
    if (reg_class != ZYDIS_REGCLASS_CONTROL && reg_class != ZYDIS_REGCLASS_DEBUG) continue;
    const bool write = n == 0;
    (write ? op.reg : op.rm) = register_number(in.operands[n].reg.value);
    (write ? op.rm : op.reg) = gpr_offset(in.operands[1 - n].reg.value);
    op.aux = write ? 1 : 0;
    if (reg_class == ZYDIS_REGCLASS_DEBUG)
      end_block(in, out, &access_debug, kind, true);
    else
      end_block(in, out, write ? &write_control : &read_control, kind, true);
    return true;
  }
  return false;
}

bool translate_far(const Instruction& in, Translation& out) {
  if (in.zydis.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) return false;
  Op& op = out.op;
  const unsigned width = in.zydis.operand_width;
  const bool is_call = in.mnemonic() == ZYDIS_MNEMONIC_CALL;
  if (in.mnemonic() == ZYDIS_MNEMONIC_RET) {
    end_block(in, out, &far_ret, InstructionClass::kFar);
    op.aux = static_cast<std::uint8_t>(width / 8);
    op.immediate = in.is_immediate(0) ? in.operands[0].imm.value.u : 0;
    out.record.loads = 2;
    out.branch = BranchKind::kFar;
    return true;
  }
  if (!is_call && in.mnemonic() != ZYDIS_MNEMONIC_JMP) return false;
  end_block(in, out, nullptr, InstructionClass::kFar);
  out.branch = BranchKind::kFar;
  out.record.stores = is_call ? 2 : 0;
  if (in.is_memory(0)) {
    set_memory(op, in, in.operands[0]);
    out.record.loads = 2;
  } else if (in.operands[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
    op.immediate =
        static_cast<std::uint64_t>(in.operands[0].ptr.segment) << 32 | in.operands[0].ptr.offset;
  } else {
    return false;
  }
  op.run = pick_wide(width, [&]<class T>() -> Handler {
    return is_call ? &far_transfer<T, true> : &far_transfer<T, false>;
  });
  return true;
}

bool translate_privilege_change(const Instruction& in, Translation& out) {
  Op& op = out.op;
  const auto branch = [&](Handler handler, InstructionClass kind) {
    end_block(in, out, handler, kind);
    out.branch = BranchKind::kFar;
    return true;
  };
  const bool wide = (in.zydis.attributes & ZYDIS_ATTRIB_HAS_REX) && in.zydis.raw.rex.W;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_SYSCALL: return branch(&syscall, InstructionClass::kSyscall);
    case ZYDIS_MNEMONIC_SYSRET:
      return branch(wide ? &sysret<true> : &sysret<false>, InstructionClass::kSyscall);
    case ZYDIS_MNEMONIC_SYSENTER: return branch(&sysenter, InstructionClass::kSyscall);
    case ZYDIS_MNEMONIC_SYSEXIT:
      return branch(wide ? &sysexit<true> : &sysexit<false>, InstructionClass::kSyscall);
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
      op.aux = in.mnemonic() == ZYDIS_MNEMONIC_IRET    ? 2
               : in.mnemonic() == ZYDIS_MNEMONIC_IRETD ? 4
                                                       : 8;
      out.record.loads = in.code64() ? 5 : 3;
      return branch(&iret, InstructionClass::kFar);
    case ZYDIS_MNEMONIC_INT:
      branch(&software_interrupt, InstructionClass::kFar);
      op.immediate = in.operands[0].imm.value.u;
      return true;
    case ZYDIS_MNEMONIC_INT3:
      branch(&software_interrupt, InstructionClass::kFar);
      op.immediate = kBreakpoint;
      return true;
    case ZYDIS_MNEMONIC_INTO:
      branch(&software_interrupt, InstructionClass::kFar);
      op.immediate = kOverflow;
      op.aux = 1;
      return true;
    case ZYDIS_MNEMONIC_INT1: return branch(&icebp, InstructionClass::kFar);
    default: return false;
  }
}

bool translate_port(const Instruction& in, Translation& out) {
  const bool is_in = in.mnemonic() == ZYDIS_MNEMONIC_IN;
  if (!is_in && in.mnemonic() != ZYDIS_MNEMONIC_OUT) return false;
  end_block(in, out, nullptr, InstructionClass::kPortIo, true);
  const unsigned port_operand = is_in ? 1 : 0;
  out.op.aux = in.is_immediate(port_operand) ? 1 : 0;
  if (out.op.aux) out.op.immediate = in.operands[port_operand].imm.value.u & 0xff;
  out.op.run = pick_size(in.operands[1 - port_operand].size, [&]<class T>() -> Handler {
    if constexpr (sizeof(T) == 8)
      return nullptr;
    else
      return is_in ? &port<T, true> : &port<T, false>;
  });
  return out.op.run != nullptr;
}

bool translate_descriptor(const Instruction& in, Translation& out) {
  Op& op = out.op;
  const auto table = [&](Handler handler, bool load) {
    set_memory(op, in, in.operands[0]);
    op.aux = static_cast<std::uint8_t>(in.zydis.operand_width);
    (load ? out.record.loads : out.record.stores) = 1;
    out.instruction_class = InstructionClass::kDescriptorTable;
    op.run = handler;
    return true;
  };
  const auto source = [&](Handler handler) {
    word_source(in, out, 0, handler);
    return true;
  };
  const auto destination = [&](Handler handler) {
    word_destination(in, out, handler);
    return true;
  };
  const auto look = [&](Handler handler) {
    op.reg = gpr_offset(in.operands[0].reg.value);
    op.aux = static_cast<std::uint8_t>(in.operands[0].size);
    word_source(in, out, 1, handler);
    return true;
  };
  const auto pointer = [&](SegmentIndex segment) {
    set_memory(op, in, in.operands[1]);
    op.reg = gpr_offset(in.operands[0].reg.value);
    op.aux = segment;
    end_block(in, out, nullptr, InstructionClass::kSegmentLoad);
    out.record.loads = 2;
    op.run = pick_wide(in.zydis.operand_width,
                       []<class T>() -> Handler { return &load_far_pointer<T>; });
    return true;
  };
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_LGDT: return table(&load_table<false>, true);
    case ZYDIS_MNEMONIC_LIDT: return table(&load_table<true>, true);
    case ZYDIS_MNEMONIC_SGDT: return table(&store_table<false>, false);
    case ZYDIS_MNEMONIC_SIDT: return table(&store_table<true>, false);
    case ZYDIS_MNEMONIC_LLDT: return source(&load_system_segment<false>);
    case ZYDIS_MNEMONIC_LTR: return source(&load_system_segment<true>);
    case ZYDIS_MNEMONIC_SLDT: return destination(&store_word<Word::kLdt>);
    case ZYDIS_MNEMONIC_STR: return destination(&store_word<Word::kTask>);
    case ZYDIS_MNEMONIC_SMSW: return destination(&store_word<Word::kMachineStatus>);
    case ZYDIS_MNEMONIC_VERR: return source(&inspect<Inspect::kReadable>);
    case ZYDIS_MNEMONIC_VERW: return source(&inspect<Inspect::kWritable>);
    case ZYDIS_MNEMONIC_LAR: return look(&inspect<Inspect::kRights>);
    case ZYDIS_MNEMONIC_LSL: return look(&inspect<Inspect::kLimit>);
    case ZYDIS_MNEMONIC_ARPL:
      op.reg = gpr_offset(in.operands[1].reg.value);
      word_source(in, out, 0, &arpl);
      return true;
    case ZYDIS_MNEMONIC_LMSW:
      word_source(in, out, 0, nullptr);
      end_block(in, out, &lmsw, InstructionClass::kControlRegister, true);
      return true;
    case ZYDIS_MNEMONIC_LES: return pointer(kEs);
    case ZYDIS_MNEMONIC_LDS: return pointer(kDs);
    case ZYDIS_MNEMONIC_LSS: return pointer(kSs);
    case ZYDIS_MNEMONIC_LFS: return pointer(kFs);
    case ZYDIS_MNEMONIC_LGS: return pointer(kGs);
    default: return false;
  }
}

bool translate_transaction(const Instruction& in, Translation& out) {
  out.instruction_class = InstructionClass::kFence;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_XBEGIN:
      end_block(in, out, &xbegin, InstructionClass::kFence);
      out.op.immediate = branch_target(in);
      return true;
    case ZYDIS_MNEMONIC_XEND: out.op.run = &xend; return true;
    case ZYDIS_MNEMONIC_XABORT: out.op.run = &xabort; return true;
    case ZYDIS_MNEMONIC_XTEST: out.op.run = &xtest; return true;
    default: return false;
  }
}

bool translate_base(const Instruction& in, Translation& out) {
  const auto pick = [&]<SegmentBase B>() {
    out.op.reg = gpr_offset(in.operands[0].reg.value);
    out.instruction_class = InstructionClass::kSegmentLoad;
    out.op.run = in.operands[0].size == 64 ? &segment_base<B, std::uint64_t>
                                           : &segment_base<B, std::uint32_t>;
    return true;
  };
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_RDFSBASE: return pick.template operator()<SegmentBase::kReadFs>();
    case ZYDIS_MNEMONIC_RDGSBASE: return pick.template operator()<SegmentBase::kReadGs>();
    case ZYDIS_MNEMONIC_WRFSBASE: return pick.template operator()<SegmentBase::kWriteFs>();
    case ZYDIS_MNEMONIC_WRGSBASE: return pick.template operator()<SegmentBase::kWriteGs>();
    default: return false;
  }
}

}  // namespace

bool translate_system(const Instruction& in, Translation& out) {
  Op& op = out.op;
  const auto in_line = [&](Handler handler, InstructionClass kind) {
    op.run = handler;
    out.instruction_class = kind;
    return true;
  };
  const auto ends = [&](Handler handler, InstructionClass kind, bool alone = false) {
    end_block(in, out, handler, kind, alone);
    return true;
  };
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_MOV: return translate_moves(in, out);
    case ZYDIS_MNEMONIC_SWAPGS: return in_line(&swapgs, InstructionClass::kSegmentLoad);
    case ZYDIS_MNEMONIC_CLTS: return ends(&clts, InstructionClass::kControlRegister, true);
    case ZYDIS_MNEMONIC_INVLPG: return ends(&invlpg, InstructionClass::kTlbFlush);
    case ZYDIS_MNEMONIC_INVD:
    case ZYDIS_MNEMONIC_WBINVD:
      return in_line(&privileged_nothing, InstructionClass::kCacheControl);
    case ZYDIS_MNEMONIC_CLFLUSH:
    case ZYDIS_MNEMONIC_CLFLUSHOPT:
    case ZYDIS_MNEMONIC_CLWB:
      if (in.mnemonic() == ZYDIS_MNEMONIC_CLWB) return false;  // not offered
      set_memory(op, in, in.operands[0]);
      return in_line(&cache_flush, InstructionClass::kCacheControl);
    case ZYDIS_MNEMONIC_RDMSR: return ends(&rdmsr, InstructionClass::kReadMsr, true);
    case ZYDIS_MNEMONIC_WRMSR: return ends(&wrmsr, InstructionClass::kWriteMsr, true);
    case ZYDIS_MNEMONIC_RDTSC: return ends(&rdtsc, InstructionClass::kReadCounter, true);
    case ZYDIS_MNEMONIC_RDTSCP:
      op.aux = 1;
      return ends(&rdtsc, InstructionClass::kReadCounter, true);
    case ZYDIS_MNEMONIC_RDPMC: return ends(&rdpmc, InstructionClass::kReadCounter, true);
    case ZYDIS_MNEMONIC_CPUID: return ends(&cpuid, InstructionClass::kCpuid, true);
    case ZYDIS_MNEMONIC_VMCALL: return ends(&hypercall, InstructionClass::kCpuid, true);
    case ZYDIS_MNEMONIC_VMMCALL:
      op.aux = 1;
      return ends(&hypercall, InstructionClass::kCpuid, true);
    case ZYDIS_MNEMONIC_CLI: return in_line(&cli, InstructionClass::kSimple);
    case ZYDIS_MNEMONIC_STI: return ends(&sti, InstructionClass::kSimple);
    case ZYDIS_MNEMONIC_CLAC: return in_line(&change_ac<false>, InstructionClass::kSimple);
    case ZYDIS_MNEMONIC_STAC: return in_line(&change_ac<true>, InstructionClass::kSimple);
    case ZYDIS_MNEMONIC_HLT: return ends(&hlt, InstructionClass::kHalt, true);
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
      ends(pick_wide(in.zydis.operand_width, []<class T>() -> Handler { return &popf<T>; }),
           InstructionClass::kSimple);
      op.segment = kSs;
      out.record.loads = 1;
      return true;
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2: return in_line(&undefined, InstructionClass::kSimple);
    default: break;
  }
  return translate_far(in, out) || translate_privilege_change(in, out) || translate_port(in, out) ||
         translate_descriptor(in, out) || translate_base(in, out) || translate_transaction(in, out);
}

}  // namespace vpmu::machine::x86
