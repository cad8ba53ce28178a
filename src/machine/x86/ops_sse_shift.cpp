// SPDX-License-Identifier: MIT
//
// Packed shifts, MMX and SSE: by the low 64 bits of the source, or by an immediate.
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

template <class T>
struct Left {
  static T shift(T value, unsigned count) { return static_cast<T>(value << count); }
};
template <class T>
struct Right {
  static T shift(T value, unsigned count) { return static_cast<T>(value >> count); }
};

template <class V, class T, template <class> class Direction>
V shifted(const V& a, std::uint64_t count) {
  constexpr unsigned kBits = 8 * sizeof(T);
  if (count >= kBits) {
    // Nothing is left, but for the sign of arithmetic shifts.
    if (std::is_unsigned_v<T>) return V{};
    count = kBits - 1;
  }
  auto x = lanes<T>(a);
  for (T& lane : x) lane = Direction<T>::shift(lane, static_cast<unsigned>(count));
  return vector<V>(x);
}

template <class T, template <class> class Direction>
struct Shift {
  template <class V>
  static V run(const V& a, const V& b) {
    return shifted<V, T, Direction>(a, b.lo);
  }
};

/// The only register is the destination.
template <class V, class T, template <class> class Direction>
const Op* shift_immediate(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  const V a = read_vector<V>(core, op->reg);
  write_vector<V>(core, op->reg, shifted<V, T, Direction>(a, op->immediate & 0xff));
  VPMU_NEXT(core, op);
}

/// PSLLDQ and PSRLDQ: the whole register, by bytes.
template <bool kLeft>
const Op* shift_bytes(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  const unsigned count = op->immediate & 0xff;
  std::array<std::uint8_t, 16> r{};
  if (count < 16) {
    const auto x = lanes<std::uint8_t>(core.xmm[op->reg]);
    for (unsigned i = 0; i + count < 16; ++i) {
      r[kLeft ? i + count : i] = x[kLeft ? i : i + count];
    }
  }
  core.xmm[op->reg] = vector<Xmm>(r);
  VPMU_NEXT(core, op);
}

struct ShiftForms {
  VectorForms by_register;
  Handler xmm_immediate;
  Handler mmx_immediate;
};

template <class T, template <class> class Direction>
constexpr ShiftForms forms(ZydisMnemonic mnemonic) {
  return {both_forms<Shift<T, Direction>>(mnemonic), shift_immediate<Xmm, T, Direction>,
          shift_immediate<Mmx, T, Direction>};
}

constexpr std::array kForms = {
    forms<std::uint16_t, Left>(ZYDIS_MNEMONIC_PSLLW),
    forms<std::uint32_t, Left>(ZYDIS_MNEMONIC_PSLLD),
    forms<std::uint64_t, Left>(ZYDIS_MNEMONIC_PSLLQ),
    forms<std::uint16_t, Right>(ZYDIS_MNEMONIC_PSRLW),
    forms<std::uint32_t, Right>(ZYDIS_MNEMONIC_PSRLD),
    forms<std::uint64_t, Right>(ZYDIS_MNEMONIC_PSRLQ),
    forms<std::int16_t, Right>(ZYDIS_MNEMONIC_PSRAW),
    forms<std::int32_t, Right>(ZYDIS_MNEMONIC_PSRAD),
};

}  // namespace

bool translate_sse_shift(const Instruction& in, Translation& out) {
  if (in.mnemonic() == ZYDIS_MNEMONIC_PSLLDQ) return set_simd(in, out, shift_bytes<true>);
  if (in.mnemonic() == ZYDIS_MNEMONIC_PSRLDQ) return set_simd(in, out, shift_bytes<false>);
  for (const ShiftForms& row : kForms) {
    if (row.by_register.mnemonic != in.mnemonic()) continue;
    if (in.is_immediate(1))
      return set_simd(in, out, is_mmx(in, 0) ? row.mmx_immediate : row.xmm_immediate);
    return translate_vector_forms(std::array{row.by_register}, in, out);
  }
  return false;
}

}  // namespace vpmu::machine::x86
