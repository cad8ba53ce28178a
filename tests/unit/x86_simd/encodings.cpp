// SPDX-License-Identifier: MIT
#include "unit/x86_simd/encodings.hpp"

#include <cstring>

namespace vpmu::machine::x86::testing {
namespace {

bool uses_stack_pointer(const Decoded& decoded) {
  for (unsigned i = 0; i < decoded.instruction.zydis.operand_count; ++i) {
    if (!decoded.instruction.is_register(i)) continue;
    const ZydisRegister reg = decoded.instruction.operands[i].reg.value;
    if (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg) == ZYDIS_REGISTER_RSP)
      return true;
  }
  return false;
}

bool is_simd(const Decoded& decoded) {
  switch (decoded.instruction.zydis.meta.isa_ext) {
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
    case ZYDIS_ISA_EXT_AES:
    case ZYDIS_ISA_EXT_PCLMULQDQ: return true;
    default: return false;
  }
}

}  // namespace

void for_each_simd_encoding(Values& values, const Visit& visit) {
  for (const unsigned prefix : {0x00u, 0x66u, 0xf3u, 0xf2u}) {
    for (const unsigned map : {0x00u, 0x38u, 0x3au}) {
      for (unsigned opcode = 0; opcode < 256; ++opcode) {
        if (map == 0 && (opcode == 0x38 || opcode == 0x3a)) continue;
        for (unsigned form = 0; form < 32; ++form) {
          const bool memory = form % 4 == 3;
          std::vector<std::uint8_t> code;
          if (prefix != 0) code.push_back(static_cast<std::uint8_t>(prefix));
          if (values.below(2))
            code.push_back(
                static_cast<std::uint8_t>(0x40 | (values.below(16) & (memory ? 14u : 15u))));
          code.push_back(0x0f);
          if (map != 0) code.push_back(static_cast<std::uint8_t>(map));
          code.push_back(static_cast<std::uint8_t>(opcode));
          const unsigned reg = form / 4;
          code.push_back(
              static_cast<std::uint8_t>(memory ? reg << 3 | 6 : 0xc0 | reg << 3 | values.below(8)));
          code.push_back(
              static_cast<std::uint8_t>(values.below(2) ? values.any() : values.below(20)));
          code.resize(16);
          const auto decoded = decode(code);
          if (!decoded || !is_simd(*decoded) || uses_stack_pointer(*decoded)) continue;
          code.resize(decoded->instruction.zydis.length);
          visit(*decoded, code);
        }
      }
    }
  }
}

bool host_has(ZydisISASet isa) {
  switch (isa) {
    case ZYDIS_ISA_SET_SSE3: return __builtin_cpu_supports("sse3");
    case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSSE3MMX: return __builtin_cpu_supports("ssse3");
    case ZYDIS_ISA_SET_SSE4: return __builtin_cpu_supports("sse4.1");
    case ZYDIS_ISA_SET_SSE42: return __builtin_cpu_supports("sse4.2");
    case ZYDIS_ISA_SET_AES: return __builtin_cpu_supports("aes");
    case ZYDIS_ISA_SET_PCLMULQDQ: return __builtin_cpu_supports("pclmul");
    default: return true;
  }
}

State random_simd_state(Values& values, const Buffer& buffer) {
  State state;
  for (Xmm& xmm : state.fx.xmm) xmm = values.xmm();
  for (auto& gpr : state.gpr) {
    gpr = values.below(2) ? values.any() : static_cast<std::uint64_t>(values.below(40)) - 20;
  }
  state.gpr[kRsi] = buffer.address() + Buffer::kOperand;
  state.gpr[kRdi] = state.gpr[kRsi];  // MASKMOVDQU
  state.fx.mxcsr = 0x1f80 | (values.any() & 0xe07f);
  if (values.below(4) == 0) state.fx.mxcsr = 0x1f80;
  state.fx.valid = 0xff;
  for (auto& st : state.fx.st) {
    const std::uint64_t value = values.quad();
    std::memcpy(st.data(), &value, 8);
    st[8] = st[9] = 0xff;
  }
  state.flags = 2 | (values.any() & kArithmeticFlags);
  return state;
}

void fill_operand(Values& values, const Buffer& buffer) {
  for (unsigned i = 0; i < 64; i += 8) {
    const std::uint64_t value = values.quad();
    std::memcpy(buffer.data() + Buffer::kOperand + i, &value, 8);
  }
}

}  // namespace vpmu::machine::x86::testing
