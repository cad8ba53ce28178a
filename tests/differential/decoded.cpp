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
  return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder(), bytes.data(), bytes.size(),
                                             &out.instruction, out.operands));
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
