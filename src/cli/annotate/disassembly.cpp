// SPDX-License-Identifier: MIT
#include "cli/annotate/disassembly.hpp"

#include <Zydis/Zydis.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include <fmt/format.h>

#include "cli/annotate/disassembly_arm64.hpp"

namespace vpmu::cli::annotate {

namespace {
class Disassembler {
 public:
  Disassembler(profile::CodeSet code, Syntax syntax) {
    if (code == profile::CodeSet::kX86_32) {
      ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
    } else {
      ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    }
    ZydisFormatterInit(&formatter_, syntax == Syntax::kIntel ? ZYDIS_FORMATTER_STYLE_INTEL
                                                             : ZYDIS_FORMATTER_STYLE_ATT);
    const auto set = [this](ZydisFormatterProperty property, ZyanUPointer value) {
      ZydisFormatterSetProperty(&formatter_, property, value);
    };
    set(ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    set(ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE,
        static_cast<ZyanUPointer>(ZYDIS_PADDING_DISABLED));
    set(ZYDIS_FORMATTER_PROP_DISP_PADDING, static_cast<ZyanUPointer>(ZYDIS_PADDING_DISABLED));
    set(ZYDIS_FORMATTER_PROP_IMM_PADDING, static_cast<ZyanUPointer>(ZYDIS_PADDING_DISABLED));
  }

  [[nodiscard]] Instruction next(std::span<const std::uint8_t> bytes, std::uint64_t address) const {
    ZydisDecodedInstruction in;
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
    std::array<char, 256> text{};
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &in, operands.data())) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter_, &in, operands.data(),
                                                      in.operand_count_visible, text.data(),
                                                      text.size(), address, nullptr))) {
      return {address, 1, fmt::format(".byte {:#04x}", bytes.front()), std::nullopt};
    }
    Instruction result{address, in.length, text.data(), std::nullopt};
    const ZydisDecodedOperand& first = operands[0];
    ZyanU64 target = 0;
    if (in.operand_count_visible > 0 && first.type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
        first.imm.is_relative == ZYAN_TRUE &&
        ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&in, &first, address, &target))) {
      result.target = target;
    }
    return result;
  }

 private:
  ZydisDecoder decoder_;
  ZydisFormatter formatter_;
};
}  // namespace

std::vector<Instruction> disassemble(std::span<const std::uint8_t> bytes, std::uint64_t address,
                                     profile::CodeSet code, Syntax syntax) {
  if (code == profile::CodeSet::kAArch64) return disassemble_arm64(bytes, address);
  const Disassembler disassembler{code, syntax};
  std::vector<Instruction> instructions;
  for (std::size_t at = 0; at < bytes.size();) {
    instructions.push_back(disassembler.next(bytes.subspan(at), address + at));
    at += instructions.back().length;
  }
  return instructions;
}

}  // namespace vpmu::cli::annotate
