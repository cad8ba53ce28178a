// SPDX-License-Identifier: MIT
#include "machine/arm64/memory_operand.hpp"

#include "machine/arm64/instruction_kinds.hpp"
#include "machine/arm64/word_bits.hpp"

namespace vpmu::machine::arm64 {

namespace {

/// The field as a signed number.
constexpr std::int64_t signed_bits(std::uint32_t word, unsigned high, unsigned low) {
  const unsigned width = high - low + 1;
  const std::int64_t value = bits(word, high, low);
  return bit(word, high) ? value - (std::int64_t{1} << width) : value;
}

/// Bytes of a register of SIMD and FP: size in bits 31:30, and bit 23 for 16 bytes.
unsigned single_bytes(std::uint32_t word) {
  const unsigned size = bits(word, 31, 30);
  return bit(word, 26) && bit(word, 23) ? 16 : 1U << size;
}
unsigned pair_bytes(std::uint32_t word) {
  const unsigned opc = bits(word, 31, 30);
  if (bit(word, 26)) return 4U << opc;
  return opc == 2 ? 8 : 4;
}

std::uint64_t offset_register(std::uint32_t word, const Registers& registers) {
  const std::uint64_t value = registers.read(bits(word, 20, 16));
  const unsigned bytes = single_bytes(word);
  unsigned shift = 0;
  if (bit(word, 12)) {
    while (1U << shift < bytes) ++shift;
  }
  switch (bits(word, 15, 13)) {
    case 2: return (value & 0xffff'ffff) << shift;  // UXTW
    case 6:                                         // SXTW
      return static_cast<std::uint64_t>(static_cast<std::int32_t>(value)) << shift;
    default: return value << shift;
  }
}

MemoryOperand single(std::uint32_t word, const Registers& registers) {
  const std::uint64_t base = registers.read_base(bits(word, 9, 5));
  const unsigned bytes = single_bytes(word);
  if (bit(word, 24)) return {base + std::uint64_t{bits(word, 21, 10)} * bytes, bytes};
  if (bit(word, 21)) {
    const bool by_register = bits(word, 11, 10) == 2;
    return {base + (by_register ? offset_register(word, registers) : 0), bytes};
  }
  const bool post_indexed = bits(word, 11, 10) == 1;
  const auto offset = static_cast<std::uint64_t>(signed_bits(word, 20, 12));
  return {base + (post_indexed ? 0 : offset), bytes};
}

MemoryOperand pair(std::uint32_t word, const Registers& registers) {
  const std::uint64_t base = registers.read_base(bits(word, 9, 5));
  const unsigned bytes = pair_bytes(word);
  const bool post_indexed = bits(word, 24, 23) == 1;
  const auto offset = static_cast<std::uint64_t>(signed_bits(word, 21, 15) * std::int64_t{bytes});
  return {base + (post_indexed ? 0 : offset), 2 * bytes};
}

MemoryOperand literal(std::uint32_t word, const Registers& registers) {
  const unsigned opc = bits(word, 31, 30);
  const unsigned wide = bit(word, 26) ? 4U << opc : 8;
  const unsigned bytes = !bit(word, 26) && opc != 1 ? 4 : wide;
  const auto offset = static_cast<std::uint64_t>(signed_bits(word, 23, 5) * 4);
  return {registers.pc() + offset, bytes};
}

MemoryOperand exclusive(std::uint32_t word, const Registers& registers) {
  const bool two = bit(word, 21) && !bit(word, 23), swaps = two && compares_and_swaps(word);
  const unsigned bytes = swaps ? 4U << bits(word, 30, 30) : 1U << bits(word, 31, 30);
  return {registers.read_base(bits(word, 9, 5)), two ? 2 * bytes : bytes};
}

/// Of LD1 to ST4 with whole registers: how many.
unsigned registers_of_structures(std::uint32_t word) {
  switch (bits(word, 15, 12)) {
    case 0x0:
    case 0x2: return 4;
    case 0x4:
    case 0x6: return 3;
    case 0x7: return 1;
    default: return 2;
  }
}

/// With one element of each register, or one for all of its elements.
unsigned bytes_of_elements(std::uint32_t word) {
  const unsigned count = (bits(word, 13, 13) << 1 | bits(word, 21, 21)) + 1;
  unsigned scale = bits(word, 15, 14);
  if (scale == 3) {
    scale = bits(word, 11, 10);
  } else if (scale == 2 && bit(word, 10)) {
    scale = 3;
  }
  return count << scale;
}

MemoryOperand structures(std::uint32_t word, const Registers& registers) {
  const std::uint64_t base = registers.read_base(bits(word, 9, 5));
  const unsigned whole = registers_of_structures(word) * (bit(word, 30) ? 16 : 8);
  return {base, bit(word, 24) ? bytes_of_elements(word) : whole};
}

}  // namespace

std::optional<MemoryOperand> memory_operand(std::uint32_t word, const Registers& registers) {
  if (memory_kind(word) == MemoryKind{}) return std::nullopt;
  switch (bits(word, 29, 27)) {
    case 1: return bit(word, 26) ? structures(word, registers) : exclusive(word, registers);
    case 3:
      if (bit(word, 24)) return single(word & ~(1U << 24), registers);  // unscaled, in order
      return literal(word, registers);
    case 5: return pair(word, registers);
    default: return single(word, registers);
  }
}

std::optional<std::uint64_t> written_back(std::uint32_t word, const Registers& registers) {
  const std::uint64_t base = registers.read_base(bits(word, 9, 5));
  switch (bits(word, 29, 27)) {
    case 1: {  // structures, behind which they are, or further by a register
      if (!bit(word, 26) || !bit(word, 23)) return std::nullopt;
      const unsigned rm = bits(word, 20, 16);
      return base + (rm == 31 ? structures(word, registers).bytes : registers.read(rm));
    }
    case 5:
      if (!bit(word, 23)) return std::nullopt;
      return base + static_cast<std::uint64_t>(signed_bits(word, 21, 15) * pair_bytes(word));
    case 7:
      if (bit(word, 24) || bit(word, 21) || !bit(word, 10)) return std::nullopt;
      return base + static_cast<std::uint64_t>(signed_bits(word, 20, 12));
    default: return std::nullopt;
  }
}

}  // namespace vpmu::machine::arm64
