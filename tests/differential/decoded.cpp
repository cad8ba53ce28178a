// SPDX-License-Identifier: MIT
#include "decoded.hpp"

namespace vpmu::differential {

namespace {

const ZydisDecoder& decoder() {
  static const ZydisDecoder instance = [] {
    ZydisDecoder made;
    ZydisDecoderInit(&made, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return made;
  }();
  return instance;
}

}  // namespace

bool decode(std::span<const std::uint8_t> bytes, Decoded& out) {
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder(), bytes.data(), bytes.size(), &out.instruction,
                                           out.operands)))
    return false;
  // Zydis 4.0 sees R13D as the base where a 32-bit address has a displacement instead of one.
  const auto& raw = out.instruction.raw;
  if (out.instruction.address_width == 32 && raw.sib.offset != 0 && raw.modrm.mod == 0 &&
      raw.sib.base == 5) {
    for (ZydisDecodedOperand& operand : out.operands) {
      if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.base != ZYDIS_REGISTER_R13D)
        continue;
      operand.mem.base = ZYDIS_REGISTER_NONE;
      operand.mem.disp = {ZYAN_TRUE, raw.disp.value};
    }
  }
  return true;
}

std::string disassemble(std::span<const std::uint8_t> bytes, std::uint64_t rip) {
  Decoded decoded;
  if (!decode(bytes, decoded)) return "(not an instruction)";
  ZydisFormatter formatter;
  ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
  char text[256];
  ZydisFormatterFormatInstruction(&formatter, &decoded.instruction, decoded.operands,
                                  decoded.instruction.operand_count_visible, text, sizeof text, rip,
                                  nullptr);
  return text;
}

int gpr_number(ZydisRegister reg) {
  const ZydisRegister widest = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
  if (ZydisRegisterGetClass(widest) != ZYDIS_REGCLASS_GPR64) return -1;
  return ZydisRegisterGetId(widest);
}

}  // namespace vpmu::differential
