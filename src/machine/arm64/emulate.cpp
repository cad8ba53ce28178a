// SPDX-License-Identifier: MIT
#include "machine/arm64/emulate.hpp"

#include <array>

#include "machine/arm64/exceptions.hpp"
#include "machine/arm64/instruction.hpp"
#include "machine/arm64/instruction_kinds.hpp"
#include "machine/arm64/memory_operand.hpp"
#include "machine/arm64/system_instructions.hpp"
#include "machine/arm64/system_registers.hpp"

namespace vpmu::machine::arm64 {

namespace {

bool at_el0(const CpuParts& cpu) {
  return cpu.core.el == ExceptionLevel::kEl0;
}

Emulated next(CpuParts& cpu, Emulated how = {}) {
  cpu.registers.set_pc(cpu.registers.pc() + kInstructionBytes);
  return how;
}

Emulated raise(CpuParts& cpu, const Exception& exception) {
  take(cpu.core, cpu.registers, exception);
  return {.retired = exception.completes, .exception = true};
}

Emulated undefined(CpuParts& cpu) {
  return raise(cpu, exceptions::undefined(cpu.registers.pc()));
}

Emulated trapped(CpuParts& cpu, Instruction instruction) {
  return raise(cpu, exceptions::trapped_system(cpu.registers.pc(), instruction.word));
}

/// The end of an access that reads nothing.
Emulated finish(CpuParts& cpu, Instruction instruction, const Access& access) {
  if (access.is_trap()) return trapped(cpu, instruction);
  return access.is_done() ? next(cpu) : undefined(cpu);
}

Emulated call(CpuParts& cpu, Instruction instruction, Call::Conduit conduit) {
  if (at_el0(cpu)) return undefined(cpu);
  Call made{.conduit = conduit,
            .immediate = static_cast<std::uint16_t>(instruction.bits(20, 5)),
            .x = {}};
  for (unsigned n = 0; n < made.x.size(); ++n) made.x[n] = cpu.registers.x(n);
  const auto before = made.x;
  cpu.environment.call(made);
  for (unsigned n = 0; n < made.x.size(); ++n) {
    if (made.x[n] != before[n]) cpu.registers.set_x(n, made.x[n]);
  }
  return next(cpu);
}

/// HLT: halting debug is not there; one immediate is semihosting's.
Emulated halt(CpuParts& cpu, Instruction instruction) {
  constexpr unsigned kSemihosting = 0xf000;
  if (at_el0(cpu) || instruction.bits(20, 5) != kSemihosting) return undefined(cpu);
  std::uint64_t result = 0;
  const auto operation = static_cast<std::uint32_t>(cpu.registers.x(0));
  if (!cpu.environment.semihost(operation, cpu.registers.x(1), result)) return undefined(cpu);
  cpu.registers.set_x(0, result);
  return next(cpu);
}

/// Exception generation (C4.1.64): opc, op2 and LL tell them apart.
Emulated generate_exception(CpuParts& cpu, Instruction instruction) {
  const auto immediate = static_cast<std::uint16_t>(instruction.bits(20, 5));
  const std::uint64_t pc = cpu.registers.pc();
  switch (instruction.bits(23, 21) << 5 | instruction.bits(4, 0)) {
    case 0b000'00001: return raise(cpu, exceptions::svc(pc, immediate));
    case 0b000'00010: return call(cpu, instruction, Call::Conduit::kHvc);
    case 0b000'00011: return call(cpu, instruction, Call::Conduit::kSmc);
    case 0b001'00000: return raise(cpu, exceptions::brk(pc, immediate));
    case 0b010'00000: return halt(cpu, instruction);
    default: return undefined(cpu);  // DCPS, and what is not allocated
  }
}

/// CFINV
Emulated invert_carry(CpuParts& cpu) {
  constexpr std::uint32_t kCarry = 1 << 29;
  cpu.registers.set_nzcv(cpu.registers.nzcv() ^ kCarry);
  return next(cpu);
}

/// MSR (immediate): op1 and op2 name a field of PSTATE, CRm is the value.
Emulated write_pstate(CpuParts& cpu, Instruction instruction) {
  const unsigned value = instruction.crm();
  const auto mask = static_cast<std::uint8_t>(value);
  switch (instruction.op1() << 4 | instruction.op2()) {
    case 0x00: return invert_carry(cpu);
    case 0x04:  // PAN
      if (at_el0(cpu)) return undefined(cpu);
      cpu.core.pan = (value & 1) != 0;
      return next(cpu);
    case 0x05:  // SPSel
      if (at_el0(cpu)) return undefined(cpu);
      select_stack(cpu.core, cpu.registers, (value & 1) != 0);
      return next(cpu);
    case 0x36: return finish(cpu, instruction, write_daif(cpu.core, mask, true));
    case 0x37: return finish(cpu, instruction, write_daif(cpu.core, mask, false));
    default: return undefined(cpu);
  }
}

Emulated move_register(CpuParts& cpu, Instruction instruction) {
  const SystemRegister reg = instruction.system();
  if (!instruction.reads()) {
    const std::uint64_t value = cpu.registers.read(instruction.rt());
    return finish(cpu, instruction, write_system_register(cpu, reg, value));
  }
  const Access access = read_system_register(cpu, reg);
  if (access.is_done()) cpu.registers.write(instruction.rt(), access.value());
  return finish(cpu, instruction, access);
}

Emulated run_system_instruction(CpuParts& cpu, Instruction instruction) {
  const auto ending = execute_system_instruction(cpu, instruction);
  if (!ending) return raise(cpu, exceptions::abort(cpu.registers.pc(), ending.error()));
  switch (*ending) {
    case Ending::kDone: return next(cpu);
    case Ending::kStored: return next(cpu, {.stored = true});
    case Ending::kTrapped: return trapped(cpu, instruction);
    case Ending::kUndefined: break;
  }
  return undefined(cpu);
}

/// Everything that begins with 0xd5.
Emulated run_system(CpuParts& cpu, Instruction instruction) {
  constexpr std::uint32_t kSb = 0xd503'30ff;
  if (instruction.word == kSb) return next(cpu);
  if (instruction.op0() >= 2) return move_register(cpu, instruction);
  if (instruction.op0() == 1) return run_system_instruction(cpu, instruction);
  constexpr unsigned kPstateCrn = 4, kNoRegister = 31;
  const bool is_pstate =
      !instruction.reads() && instruction.crn() == kPstateCrn && instruction.rt() == kNoRegister;
  return is_pstate ? write_pstate(cpu, instruction) : undefined(cpu);
}

Emulated return_from_exception(CpuParts& cpu) {
  if (at_el0(cpu)) return undefined(cpu);
  exception_return(cpu.core, cpu.registers);
  return {.exception_return = true};
}

/// LDTR*, STTR*: what size and opc say.
struct UnprivilegedAccess {
  bool allocated = false;
  bool store = false;
  unsigned bytes = 0;
  unsigned sign_extend_to = 0;  ///< bits; 0: zero-extended
};

UnprivilegedAccess unprivileged_access(Instruction instruction) {
  const unsigned size = instruction.bits(31, 30), opc = instruction.bits(23, 22);
  const unsigned bytes = 1U << size;
  if (opc == 0) return {true, true, bytes, 0};
  if (opc == 1) return {true, false, bytes, 0};
  // To 64 bits what is smaller, to 32 bits what is smaller than that.
  const unsigned to = opc == 2 ? 64 : 32;
  return {8 * bytes < to, false, bytes, to};
}

std::uint64_t extended(std::uint64_t value, const UnprivilegedAccess& access) {
  if (access.sign_extend_to == 0) return value;
  const unsigned unused = 64 - 8 * access.bytes;
  const auto wide =
      static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused) >> unused);
  return access.sign_extend_to == 64 ? wide : wide & 0xffff'ffff;
}

Emulated access_unprivileged(CpuParts& cpu, Instruction instruction) {
  const UnprivilegedAccess access = unprivileged_access(instruction);
  if (!access.allocated) return undefined(cpu);
  constexpr unsigned kStackPointer = 31;
  const std::uint64_t base = cpu.registers.read_base(instruction.rn());
  if (instruction.rn() == kStackPointer && stack_misaligned(cpu.core, base)) {
    return raise(cpu, exceptions::sp_alignment(cpu.registers.pc()));
  }
  const auto offset = static_cast<std::int32_t>(instruction.word << 11) >> 23;
  const std::uint64_t address = base + static_cast<std::uint64_t>(std::int64_t{offset});
  const auto failed = [&cpu](const Fault& fault) {
    return raise(cpu, exceptions::abort(cpu.registers.pc(), fault));
  };
  if (access.store) {
    const std::uint64_t value = cpu.registers.read(instruction.rt());
    const auto written = cpu.data.write(address, access.bytes, value, ExceptionLevel::kEl0);
    return written ? next(cpu, {.stored = true}) : failed(written.error());
  }
  const auto value = cpu.data.read(address, access.bytes, ExceptionLevel::kEl0);
  if (!value) return failed(value.error());
  cpu.registers.write(instruction.rt(), extended(*value, access));
  return next(cpu, {.loaded = true});
}

/// LDR to LDRSW, LDAR and its kin, LDP and LDPSW, where a target is register 31.
Emulated load_and_discard(CpuParts& cpu, Instruction instruction) {
  constexpr unsigned kStackPointer = 31, kPair = 5;
  const auto operand = memory_operand(instruction.word, cpu.registers);
  const auto base = written_back(instruction.word, cpu.registers);
  const bool pair = instruction.bits(29, 27) == kPair;
  const unsigned count = pair ? 2 : 1, bytes = operand->bytes / count;
  if (instruction.rn() == kStackPointer && stack_misaligned(cpu.core, cpu.registers.sp())) {
    return raise(cpu, exceptions::sp_alignment(cpu.registers.pc()));
  }
  const auto failed = [&cpu](const Fault& fault) {
    return raise(cpu, exceptions::abort(cpu.registers.pc(), fault));
  };
  if (must_be_aligned(instruction.word) && operand->address % bytes != 0) {
    return failed(alignment_fault(operand->address, MemoryUse::kRead));
  }
  const bool sign_extends = pair && instruction.bits(31, 30) == 1;
  std::array<std::uint64_t, 2> values{};
  for (unsigned n = 0; n < count; ++n) {
    const auto value = cpu.data.read(operand->address + n * bytes, bytes, cpu.core.el);
    if (!value) return failed(value.error());
    const std::int64_t word = static_cast<std::int32_t>(*value);
    values[n] = sign_extends ? static_cast<std::uint64_t>(word) : *value;
  }
  if (base) cpu.registers.write_base(instruction.rn(), *base);
  cpu.registers.write(instruction.rt(), values[0]);
  if (pair) cpu.registers.write(instruction.bits(14, 10), values[1]);
  return next(cpu, {.loaded = true});
}

// What there is of loads to general-purpose registers; other encodings beside them, such as CAS and
// LDADD, are something else or nothing.

bool is_load_of_pair(Instruction instruction) {
  if (!instruction.matches(0x3e40'0000, 0x2840'0000)) return false;
  const std::uint32_t opc = instruction.bits(31, 30);
  return opc == 0 || opc == 2 || (opc == 1 && instruction.bits(24, 23) != 0);  // LDPSW
}

bool is_load_of_one(Instruction instruction) {
  const std::uint32_t size = instruction.bits(31, 30), opc = instruction.bits(23, 22);
  if (instruction.matches(0x3f00'0000, 0x1800'0000)) return size != 3;  // literals
  if (!instruction.matches(0x3e00'0000, 0x3800'0000)) return false;
  if (opc == 0 || (size == 3 && opc != 1) || (size == 2 && opc == 3)) return false;
  if (instruction.bits(24, 24) == 1 || instruction.bits(21, 21) == 0) return true;
  // By a register, of 32 or 64 bits.
  return instruction.bits(11, 10) == 2 && instruction.bits(14, 14) == 1;
}

/// LDAR and LDLAR, LDAPR.
bool is_ordered_load(Instruction instruction) {
  return instruction.matches(0x3fe0'0000, 0x08c0'0000) ||
         instruction.matches(0x3fff'fc00, 0x38bf'c000);
}

/// MRS and MSR of FPCR and FPSR.
bool is_fp_status(std::uint32_t word) {
  constexpr std::uint32_t kMask = 0xffdf'ffc0, kFpStatus = 0xd51b'4400;
  return (word & kMask) == kFpStatus;
}

}  // namespace

Emulated emulate(CpuParts& cpu, std::uint32_t word) {
  constexpr std::uint32_t kEret = 0xd69f'03e0;
  const Instruction instruction{word};
  if (cpu.core.il) return raise(cpu, exceptions::illegal_state(cpu.registers.pc()));
  if (uses_fp(word) && fp_trapped(cpu.core)) {
    return raise(cpu, exceptions::fp_access(cpu.registers.pc()));
  }
  if (instruction.matches(0xff00'0000, 0xd400'0000)) return generate_exception(cpu, instruction);
  if (instruction.matches(0xffc0'0000, 0xd500'0000)) return run_system(cpu, instruction);
  if (word == kEret) return return_from_exception(cpu);
  if (is_unprivileged_access(word)) return access_unprivileged(cpu, instruction);
  if (discards_load(word)) return load_and_discard(cpu, instruction);
  return undefined(cpu);
}

bool uses_fp(std::uint32_t word) {
  // Bits 28:25 are x11x for scalar FP and SIMD, and for loads and stores of their registers.
  constexpr std::uint32_t kFpAndSimd = 3U << 26;
  return (word & kFpAndSimd) == kFpAndSimd || is_fp_status(word);
}

bool is_unprivileged_access(std::uint32_t word) {
  return (word & 0x3f20'0c00) == 0x3800'0800;
}

bool discards_load(std::uint32_t word) {
  constexpr std::uint32_t kZero = 31;
  const Instruction instruction{word};
  const bool pair = is_load_of_pair(instruction);
  if (!pair && !is_load_of_one(instruction) && !is_ordered_load(instruction)) return false;
  return (word & kZero) == kZero || (pair && (word >> 10 & kZero) == kZero);
}

}  // namespace vpmu::machine::arm64
