// SPDX-License-Identifier: MIT
//
// x87 arithmetic, moves and comparisons: handlers that run the instruction on the host's x87, and
// the entry point of x87 translation.
#include "machine/x86/flags.hpp"
#include "machine/x86/memory_access.hpp"
#include "machine/x86/ops_sse_operands.hpp"
#include "machine/x86/ops_x87_host.hpp"
#include "machine/x86/ops_x87_state.hpp"

namespace vpmu::machine::x86 {
namespace {

/// What the flags in AH become.
enum class Flags { kUnused, kRead, kWritten };

/// op->aux is the opcode, op->immediate the ModRM byte.
template <Flags kFlags>
void run_register_form(Core& core, const Op* op) {
  X87Image image = x87_image(core.x87);
  std::uint8_t ah = 0;
  if constexpr (kFlags == Flags::kRead)
    ah = static_cast<std::uint8_t>(arithmetic_flags(core.lazy) & 0xff);
  run_x87_register(op->aux, static_cast<std::uint8_t>(op->immediate), image, ah);
  set_x87_image(core.x87, image);
  if constexpr (kFlags == Flags::kWritten) set_arithmetic_flags(core, ah & (kZf | kPf | kCf));
}

template <Flags kFlags>
const Op* register_form(Core& core, const Op* op) {
  if (!x87_available_waiting(core, op)) return nullptr;
  run_register_form<kFlags>(core, op);
  VPMU_NEXT(core, op);
}

/// op->aux is the opcode, op->reg the /digit; kBytes is the size of the operand.
template <unsigned kBytes>
bool run_load(Core& core, const Op* op) {
  std::array<std::uint8_t, kBytes> value;
  if (!load(core, op, linear_address(core, op), value)) return false;
  X87Operand operand{};
  std::memcpy(operand.data(), value.data(), kBytes);
  X87Image image = x87_image(core.x87);
  run_x87_memory(op->aux, op->reg, image, operand);
  set_x87_image(core.x87, image);
  return true;
}

template <unsigned kBytes>
const Op* load_form(Core& core, const Op* op) {
  if (!x87_available_waiting(core, op) || !run_load<kBytes>(core, op)) return nullptr;
  VPMU_NEXT(core, op);
}

/// Nothing is stored if the result is not delivered for an unmasked exception other than inexact;
/// the address must be good all the same.
template <unsigned kBytes>
bool run_store(Core& core, const Op* op) {
  constexpr unsigned kUndelivered = 0x1f;
  X87Operand operand{};
  X87Image image = x87_image(core.x87);
  run_x87_memory(op->aux, op->reg, image, operand);
  const std::uint64_t linear = linear_address(core, op);
  if ((image.status & ~image.control & kUndelivered) == 0) {
    std::array<std::uint8_t, kBytes> value;
    std::memcpy(value.data(), operand.data(), kBytes);
    if (!store(core, op, linear, value)) return false;
  } else if (!probe_write(core, op, linear, kBytes)) {
    return false;
  }
  set_x87_image(core.x87, image);
  return true;
}

template <unsigned kBytes>
const Op* store_form(Core& core, const Op* op) {
  if (!x87_available_waiting(core, op) || !run_store<kBytes>(core, op)) return nullptr;
  VPMU_NEXT(core, op);
}

/// By opcode - 0xd8 and /digit. Null: undefined, or not run on the host's x87.
constexpr Handler kMemoryForms[8][8] = {
    {load_form<4>, load_form<4>, load_form<4>, load_form<4>, load_form<4>, load_form<4>,
     load_form<4>, load_form<4>},
    {load_form<4>, nullptr, store_form<4>, store_form<4>, nullptr, nullptr, nullptr, nullptr},
    {load_form<4>, load_form<4>, load_form<4>, load_form<4>, load_form<4>, load_form<4>,
     load_form<4>, load_form<4>},
    {load_form<4>, store_form<4>, store_form<4>, store_form<4>, nullptr, load_form<10>, nullptr,
     store_form<10>},
    {load_form<8>, load_form<8>, load_form<8>, load_form<8>, load_form<8>, load_form<8>,
     load_form<8>, load_form<8>},
    {load_form<8>, store_form<8>, store_form<8>, store_form<8>, nullptr, nullptr, nullptr, nullptr},
    {load_form<2>, load_form<2>, load_form<2>, load_form<2>, load_form<2>, load_form<2>,
     load_form<2>, load_form<2>},
    {load_form<2>, store_form<2>, store_form<2>, store_form<2>, load_form<10>, load_form<8>,
     store_form<10>, store_form<8>},
};

Cost cost_of(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_FMUL:
    case ZYDIS_MNEMONIC_FMULP:
    case ZYDIS_MNEMONIC_FIMUL: return Cost::kX87Multiply;
    case ZYDIS_MNEMONIC_FDIV:
    case ZYDIS_MNEMONIC_FDIVP:
    case ZYDIS_MNEMONIC_FDIVR:
    case ZYDIS_MNEMONIC_FDIVRP:
    case ZYDIS_MNEMONIC_FIDIV:
    case ZYDIS_MNEMONIC_FIDIVR:
    case ZYDIS_MNEMONIC_FSQRT:
    case ZYDIS_MNEMONIC_FPREM:
    case ZYDIS_MNEMONIC_FPREM1: return Cost::kX87Divide;
    case ZYDIS_MNEMONIC_F2XM1:
    case ZYDIS_MNEMONIC_FYL2X:
    case ZYDIS_MNEMONIC_FYL2XP1:
    case ZYDIS_MNEMONIC_FPTAN:
    case ZYDIS_MNEMONIC_FPATAN:
    case ZYDIS_MNEMONIC_FSIN:
    case ZYDIS_MNEMONIC_FCOS:
    case ZYDIS_MNEMONIC_FSINCOS:
    case ZYDIS_MNEMONIC_FSCALE:
    case ZYDIS_MNEMONIC_FBLD:
    case ZYDIS_MNEMONIC_FBSTP: return Cost::kX87Transcendental;
    default: return Cost::kX87;
  }
}

Flags flags_of(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_FCMOVB:
    case ZYDIS_MNEMONIC_FCMOVBE:
    case ZYDIS_MNEMONIC_FCMOVE:
    case ZYDIS_MNEMONIC_FCMOVNB:
    case ZYDIS_MNEMONIC_FCMOVNBE:
    case ZYDIS_MNEMONIC_FCMOVNE:
    case ZYDIS_MNEMONIC_FCMOVNU:
    case ZYDIS_MNEMONIC_FCMOVU: return Flags::kRead;
    case ZYDIS_MNEMONIC_FCOMI:
    case ZYDIS_MNEMONIC_FCOMIP:
    case ZYDIS_MNEMONIC_FUCOMI:
    case ZYDIS_MNEMONIC_FUCOMIP: return Flags::kWritten;
    default: return Flags::kUnused;
  }
}

bool translate_register_form(const Instruction& in, Translation& out) {
  switch (flags_of(in.mnemonic())) {
    case Flags::kRead: out.op.run = register_form<Flags::kRead>; break;
    case Flags::kWritten: out.op.run = register_form<Flags::kWritten>; break;
    default: out.op.run = register_form<Flags::kUnused>; break;
  }
  out.op.aux = in.zydis.opcode;
  const auto& modrm = in.zydis.raw.modrm;
  out.op.immediate = 0xc0u | modrm.reg << 3 | modrm.rm;
  out.instruction_class = cost_of(in.mnemonic());
  return true;
}

bool translate_memory_form(const Instruction& in, Translation& out) {
  const std::uint8_t digit = in.zydis.raw.modrm.reg;
  if (!set_simd(in, out, kMemoryForms[in.zydis.opcode - 0xd8][digit], cost_of(in.mnemonic())))
    return false;
  out.op.aux = in.zydis.opcode;
  out.op.reg = digit;
  out.op.rm = 0;
  return true;
}

}  // namespace

bool translate_x87(const Instruction& in, Translation& out) {
  if (translate_fxsave(in, out)) return true;
  if (in.zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
      in.zydis.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
    return false;
  const std::uint8_t opcode = in.zydis.opcode;
  if (opcode == 0x9b) return translate_x87_control(in, out);
  if (opcode < 0xd8 || opcode > 0xdf) return false;
  if (translate_x87_control(in, out)) return true;
  return in.zydis.raw.modrm.mod == 3 ? translate_register_form(in, out)
                                     : translate_memory_form(in, out);
}

}  // namespace vpmu::machine::x86
