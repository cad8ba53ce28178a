// SPDX-License-Identifier: MIT
#include "machine/x86/ops_sse_operands.hpp"

namespace vpmu::machine::x86 {

bool sse_unavailable(Core& core, const Op* op) {
  const bool undefined = (core.cr0 & kCr0Em) != 0 || (core.cr4 & kCr4Osfxsr) == 0;
  raise(core, op, undefined ? kInvalidOpcode : kDeviceNotAvailable);
  return false;
}

bool mmx_unavailable(Core& core, const Op* op) {
  if (core.cr0 & kCr0Em) {
    raise(core, op, kInvalidOpcode);
  } else {
    raise(core, op, core.cr0 & kCr0Ts ? kDeviceNotAvailable : kX87Error);
  }
  return false;
}

bool is_legacy_simd(const Instruction& in) {
  switch (in.zydis.meta.isa_ext) {
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
    case ZYDIS_ISA_EXT_AES:
    case ZYDIS_ISA_EXT_PCLMULQDQ: return in.zydis.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    default: return false;
  }
}

namespace {

bool has_class(const Instruction& in, unsigned operand, ZydisRegisterClass wanted) {
  return in.is_register(operand) && ZydisRegisterGetClass(in.operands[operand].reg.value) == wanted;
}

std::uint8_t register_field(ZydisRegister reg) {
  switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_MMX:
    case ZYDIS_REGCLASS_X87: return register_number(reg);
    default: return gpr_offset(reg);
  }
}

}  // namespace

bool is_xmm(const Instruction& in, unsigned operand) {
  return has_class(in, operand, ZYDIS_REGCLASS_XMM);
}

bool is_mmx(const Instruction& in, unsigned operand) {
  return has_class(in, operand, ZYDIS_REGCLASS_MMX);
}

bool is_gpr64(const Instruction& in, unsigned operand) {
  return has_class(in, operand, ZYDIS_REGCLASS_GPR64);
}

void set_simd_operands(const Instruction& in, Translation& out) {
  unsigned registers = 0;
  for (unsigned i = 0; i < in.visible(); ++i) {
    const ZydisDecodedOperand& operand = in.operands[i];
    if (in.is_register(i)) {
      (registers++ == 0 ? out.op.reg : out.op.rm) = register_field(operand.reg.value);
    } else if (in.is_memory(i)) {
      set_memory(out.op, in, operand);
      out.op.flags |= kMemoryOperand;
      if (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) out.record.loads = 1;
      if (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) out.record.stores = 1;
    } else if (in.is_immediate(i)) {
      out.op.immediate = operand.imm.value.u;
    }
  }
}

bool set_simd(const Instruction& in, Translation& out, Handler run, Cost cost) {
  if (run == nullptr) return false;
  set_simd_operands(in, out);
  out.op.run = run;
  out.instruction_class = cost;
  return true;
}

}  // namespace vpmu::machine::x86
