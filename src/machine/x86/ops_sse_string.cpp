// SPDX-License-Identifier: MIT
//
// SSE4.2: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM and CRC32.
#include <bit>

#include "machine/x86/flags.hpp"
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

/// The control byte, Intel SDM vol. 2 4.1.
struct Control {
  std::uint8_t value;

  [[nodiscard]] bool words() const { return (value & 1) != 0; }
  [[nodiscard]] bool is_signed() const { return (value & 2) != 0; }
  [[nodiscard]] unsigned aggregation() const { return value >> 2 & 3; }
  [[nodiscard]] bool negate() const { return (value & 0x10) != 0; }
  [[nodiscard]] bool negate_valid_only() const { return (value & 0x20) != 0; }
  /// The most significant index, or a mask of whole elements.
  [[nodiscard]] bool high_or_expanded() const { return (value & 0x40) != 0; }
};
enum Aggregation : unsigned { kEqualAny, kRanges, kEqualEach, kEqualOrdered };

/// One operand: its elements and how many of them are valid.
struct String {
  std::array<std::int32_t, 16> element{};
  unsigned length = 0;
};

template <class T>
String elements(const Xmm& from, unsigned length) {
  const auto x = lanes<T>(from);
  String s;
  s.length = length;
  for (std::size_t i = 0; i < x.size(); ++i) s.element[i] = x[i];
  return s;
}

String elements_of(const Xmm& from, Control control, unsigned length) {
  if (control.words()) {
    return control.is_signed() ? elements<std::int16_t>(from, length)
                               : elements<std::uint16_t>(from, length);
  }
  return control.is_signed() ? elements<std::int8_t>(from, length)
                             : elements<std::uint8_t>(from, length);
}

/// Up to the first zero element.
unsigned implicit_length(const Xmm& from, Control control) {
  const unsigned count = control.words() ? 8 : 16;
  const String s = elements_of(from, control, count);
  unsigned length = 0;
  while (length < count && s.element[length] != 0) ++length;
  return length;
}

/// |register|, at most the number of elements.
template <class T>
unsigned explicit_length(T value, Control control) {
  using U = std::make_unsigned_t<T>;
  const U magnitude = value < 0 ? U{0} - static_cast<U>(value) : static_cast<U>(value);
  const unsigned count = control.words() ? 8 : 16;
  return magnitude < count ? static_cast<unsigned>(magnitude) : count;
}

/// Bit j: what the aggregation says about element j of b. The rules for invalid elements are those
/// of SDM vol. 2 table 4-7.
unsigned aggregate(const String& a, const String& b, Control control) {
  const unsigned count = control.words() ? 8 : 16;
  unsigned result = 0;
  for (unsigned j = 0; j < count; ++j) {
    bool holds = false;
    switch (control.aggregation()) {
      case kEqualAny:
        for (unsigned i = 0; i < a.length; ++i) holds |= a.element[i] == b.element[j];
        holds &= j < b.length;
        break;
      case kRanges:
        for (unsigned i = 0; i + 1 < a.length; i += 2)
          holds |= a.element[i] <= b.element[j] && b.element[j] <= a.element[i + 1];
        holds &= j < b.length;
        break;
      case kEqualEach:
        holds = j < a.length && j < b.length ? a.element[j] == b.element[j]
                                             : j >= a.length && j >= b.length;
        break;
      default:
        holds = true;
        for (unsigned i = 0; i < a.length && i + j < count; ++i)
          holds &= i + j < b.length && a.element[i] == b.element[i + j];
        break;
    }
    result |= static_cast<unsigned>(holds) << j;
  }
  return result;
}

/// IntRes2, and the flags that all four instructions set.
unsigned compare_strings(Core& core, const String& a, const String& b, Control control) {
  const unsigned count = control.words() ? 8 : 16;
  const unsigned all = (1u << count) - 1;
  unsigned result = aggregate(a, b, control);
  if (control.negate()) result ^= control.negate_valid_only() ? (1u << b.length) - 1 : all;
  std::uint64_t flags = 0;
  if (result != 0) flags |= kCf;
  if (b.length < count) flags |= kZf;
  if (a.length < count) flags |= kSf;
  if (result & 1) flags |= kOf;
  set_arithmetic_flags(core, flags);
  return result;
}

void write_index(Core& core, unsigned result, Control control) {
  const unsigned count = control.words() ? 8 : 16;
  unsigned index = count;
  if (result != 0) {
    index = static_cast<unsigned>(control.high_or_expanded() ? std::bit_width(result) - 1
                                                             : std::countr_zero(result));
  }
  core.gpr[kRcx] = index;
}

void write_mask(Core& core, unsigned result, Control control) {
  if (!control.high_or_expanded()) {
    core.xmm[0] = {result, 0};
    return;
  }
  std::array<std::uint8_t, 16> mask;
  for (unsigned i = 0; i < 16; ++i)
    mask[i] = result >> (control.words() ? i / 2 : i) & 1 ? 0xff : 0;
  core.xmm[0] = vector<Xmm>(mask);
}

enum class Lengths { kImplicit, kExplicit };
enum class Output { kIndex, kMask };

template <Lengths kLengths, Output kOutput>
void compare(Core& core, const Op* op, const Xmm& second) {
  const Control control{static_cast<std::uint8_t>(op->immediate)};
  const Xmm first = core.xmm[op->reg];
  unsigned a_length, b_length;
  if constexpr (kLengths == Lengths::kImplicit) {
    a_length = implicit_length(first, control);
    b_length = implicit_length(second, control);
  } else if (op->aux != 0) {
    a_length = explicit_length(static_cast<std::int64_t>(core.gpr[kRax]), control);
    b_length = explicit_length(static_cast<std::int64_t>(core.gpr[kRdx]), control);
  } else {
    a_length = explicit_length(static_cast<std::int32_t>(core.gpr[kRax]), control);
    b_length = explicit_length(static_cast<std::int32_t>(core.gpr[kRdx]), control);
  }
  const unsigned result = compare_strings(core, elements_of(first, control, a_length),
                                          elements_of(second, control, b_length), control);
  if constexpr (kOutput == Output::kIndex) {
    write_index(core, result, control);
  } else {
    write_mask(core, result, control);
  }
}

/// op->aux: the lengths are in RAX and RDX, not EAX and EDX. Memory need not be aligned.
template <Lengths kLengths, Output kOutput, bool kMemory>
const Op* string_compare(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  {
    Xmm second;
    if constexpr (kMemory) {
      if (!load(core, op, linear_address(core, op), second)) [[unlikely]]
        return nullptr;
    } else {
      second = core.xmm[op->rm];
    }
    compare<kLengths, kOutput>(core, op, second);
  }
  VPMU_NEXT(core, op);
}

/// CRC-32C, bit-reflected, a byte at a time.
constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    table[i] = crc;
  }
  return table;
}();

template <class T, bool kMemory>
const Op* crc32(Core& core, const Op* op) {
  {
    T value;
    if constexpr (kMemory) {
      if (!load(core, op, linear_address(core, op), value)) [[unlikely]]
        return nullptr;
    } else {
      value = get<T>(core, op->rm);
    }
    auto crc = get<std::uint32_t>(core, op->reg);
    std::uint64_t rest = value;
    for (unsigned i = 0; i < sizeof(T); ++i, rest >>= 8)
      crc = crc >> 8 ^ kCrcTable[(crc ^ rest) & 0xff];
    set<std::uint32_t>(core, op->reg, crc);
  }
  VPMU_NEXT(core, op);
}

template <class T>
bool translate_crc32(const Instruction& in, Translation& out) {
  return set_simd(in, out, in.is_memory(1) ? crc32<T, true> : crc32<T, false>, Cost::kBitScan);
}

template <Lengths kLengths, Output kOutput>
bool translate_compare(const Instruction& in, Translation& out) {
  out.op.aux =
      in.code64() && (in.zydis.attributes & ZYDIS_ATTRIB_HAS_REX) != 0 && in.zydis.raw.rex.W != 0;
  return set_simd(in, out,
                  in.is_memory(1) ? string_compare<kLengths, kOutput, true>
                                  : string_compare<kLengths, kOutput, false>,
                  Cost::kSimdMultiply);
}

}  // namespace

bool translate_sse_string(const Instruction& in, Translation& out) {
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_PCMPESTRI:
      return translate_compare<Lengths::kExplicit, Output::kIndex>(in, out);
    case ZYDIS_MNEMONIC_PCMPESTRM:
      return translate_compare<Lengths::kExplicit, Output::kMask>(in, out);
    case ZYDIS_MNEMONIC_PCMPISTRI:
      return translate_compare<Lengths::kImplicit, Output::kIndex>(in, out);
    case ZYDIS_MNEMONIC_PCMPISTRM:
      return translate_compare<Lengths::kImplicit, Output::kMask>(in, out);
    case ZYDIS_MNEMONIC_CRC32:
      switch (in.operands[1].size) {
        case 8: return translate_crc32<std::uint8_t>(in, out);
        case 16: return translate_crc32<std::uint16_t>(in, out);
        case 32: return translate_crc32<std::uint32_t>(in, out);
        default: return translate_crc32<std::uint64_t>(in, out);
      }
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
