// SPDX-License-Identifier: MIT
//
// Operands: from Zydis' registers and addresses to what Ops hold.
#include <limits>

#include "machine/x86/translate.hpp"

namespace vpmu::machine::x86 {

std::uint8_t gpr_offset(ZydisRegister reg) {
  if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
    return static_cast<std::uint8_t>(8 * (reg - ZYDIS_REGISTER_AH) + 1);
  }
  return static_cast<std::uint8_t>(
      8 * ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)));
}

std::uint8_t register_number(ZydisRegister reg) {
  return static_cast<std::uint8_t>(ZydisRegisterGetId(reg));
}

namespace {

std::uint8_t gpr_number(ZydisRegister reg) {
  if (reg == ZYDIS_REGISTER_NONE) return kZeroRegister;
  return gpr_offset(reg) / 8;
}

}  // namespace

std::uint8_t segment_number(ZydisRegister reg) {
  switch (reg) {
    case ZYDIS_REGISTER_ES: return kEs;
    case ZYDIS_REGISTER_CS: return kCs;
    case ZYDIS_REGISTER_SS: return kSs;
    case ZYDIS_REGISTER_FS: return kFs;
    case ZYDIS_REGISTER_GS: return kGs;
    default: return kDs;
  }
}

void set_memory(Op& op, const Instruction& in, const ZydisDecodedOperand& operand) {
  const auto& mem = operand.mem;
  op.flags |= kMemoryOperand;
  op.segment = segment_number(mem.segment);
  if (in.zydis.address_width == 32) op.flags |= kAddress32;
  if (in.zydis.address_width == 16) op.flags |= kAddress16;
  if (in.code64()) {
    if (op.segment == kFs || op.segment == kGs) op.flags |= kSegmentBase;
  } else {
    op.flags |= kSegmentBase | kLinear32;
  }

  op.index = gpr_number(mem.index);
  op.scale = 0;
  if (mem.scale > 1) op.scale = mem.scale == 2 ? 1 : mem.scale == 4 ? 2 : 3;
  std::int64_t displacement = mem.disp.has_displacement ? mem.disp.value : 0;
  if (mem.base == ZYDIS_REGISTER_RIP || mem.base == ZYDIS_REGISTER_EIP) {
    // Absolute if that fits; else relative to the block, which the decoder keeps short enough.
    const auto absolute = static_cast<std::int64_t>(in.next_rip) + displacement;
    if (absolute >= std::numeric_limits<std::int32_t>::min() &&
        absolute <= std::numeric_limits<std::int32_t>::max()) {
      displacement = absolute;
    } else {
      op.flags |= kRipBase;
      displacement += static_cast<std::int64_t>(in.next_rip - in.block_rip);
    }
    op.base = kZeroRegister;
  } else if (in.zydis.address_width != 16 && in.zydis.raw.sib.offset != 0 &&
             in.zydis.raw.modrm.mod == 0 && in.zydis.raw.sib.base == 5) {
    // Here is a displacement and no base, whatever REX.B is; Zydis 4.0 names R13D.
    op.base = kZeroRegister;
    displacement = in.zydis.raw.disp.value;
  } else {
    op.base = gpr_number(mem.base);
  }
  if (displacement != static_cast<std::int32_t>(displacement) && (op.flags & kRipBase) == 0) {
    op.flags |= kAbsolute64;
    op.immediate = static_cast<std::uint64_t>(displacement);
  }
  op.displacement = static_cast<std::int32_t>(displacement);
}

}  // namespace vpmu::machine::x86
