// SPDX-License-Identifier: MIT
#include "encode.hpp"

#include <algorithm>

namespace vpmu::differential {

namespace {

std::uint8_t pick_bit(Random& random, std::uint8_t mask) {
  for (;;) {
    const auto bit = static_cast<std::uint8_t>(random.below(8));
    if (mask >> bit & 1) return bit;
  }
}

void add_memory(Random& random, Bytes& bytes, std::uint8_t reg) {
  const auto modrm = [&](unsigned mod, unsigned rm) {
    bytes.add(static_cast<std::uint8_t>(mod << 6 | reg << 3 | rm));
  };
  const auto displacement = [&](unsigned size) {
    // Small ones more often than not.
    const std::uint64_t value =
        random.percent(70) ? static_cast<std::uint64_t>(random.between(-128, 127)) : random.next();
    for (unsigned i = 0; i < size; ++i) bytes.add(static_cast<std::uint8_t>(value >> (8 * i)));
  };
  const auto mod = static_cast<unsigned>(random.below(3));
  auto rm = static_cast<unsigned>(random.below(8));
  unsigned size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
  modrm(mod, rm);
  if (rm == 4) {
    const auto sib = static_cast<std::uint8_t>(random.next());
    bytes.add(sib);
    if ((sib & 7) == 5 && mod == 0) size = 4;
  } else if (rm == 5 && mod == 0) {
    size = 4;
  }
  displacement(size);
}

}  // namespace

Bytes random_bytes(Random& random, const Form& form) {
  Bytes bytes;
  static constexpr std::uint8_t kSegments[] = {0x26, 0x2e, 0x36, 0x3e};
  if (random.percent(3)) bytes.add(random.one_of(kSegments));
  if (random.percent(5)) bytes.add(0x67);
  const auto extension = static_cast<std::uint8_t>(random.percent(60) ? random.below(8) : 0);
  if (form.vex) {
    const unsigned pp = form.prefix == 0x66   ? 1
                        : form.prefix == 0xf3 ? 2
                        : form.prefix == 0xf2 ? 3
                                              : 0;
    const std::uint64_t vvvv = random.percent(15) ? 15 : random.below(16);
    bytes.add(0xc4);
    bytes.add(static_cast<std::uint8_t>((~extension & 7) << 5 | form.map));
    bytes.add(static_cast<std::uint8_t>((form.rex_w ? 0x80 : 0) | vvvv << 3 | pp));
  } else {
    if (form.prefix != 0) bytes.add(form.prefix);
    // Locked mostly where it may be.
    if (form.memory && form.prefix == 0 && random.percent(form.map == 0 ? 12 : 8)) bytes.add(0xf0);
    if (form.rex_w || extension != 0 || random.percent(10))
      bytes.add(static_cast<std::uint8_t>(0x40 | (form.rex_w ? 8 : 0) | extension));
    if (form.map >= 1) bytes.add(0x0f);
    if (form.map == 2) bytes.add(0x38);
    if (form.map == 3) bytes.add(0x3a);
  }
  bytes.add(form.opcode);
  if (form.modrm) {
    const std::uint8_t reg = pick_bit(random, form.reg_mask);
    if (form.memory) {
      add_memory(random, bytes, reg);
    } else {
      bytes.add(static_cast<std::uint8_t>(0xc0 | reg << 3 | pick_bit(random, form.rm_mask)));
    }
  }
  // Immediates: as many bytes as it decodes to.
  std::uint64_t immediate = random.percent(50) ? random.next() : random.below(80);
  if (random.percent(20)) immediate = ~immediate;
  Bytes padded = bytes;
  while (padded.size < padded.at.size()) {
    padded.add(static_cast<std::uint8_t>(immediate));
    immediate = immediate >> 8 | immediate << 56;
  }
  Decoded decoded;
  if (!bytes.fits() || !decode(padded.span(), decoded)) {
    bytes.size = 0;
    return bytes;
  }
  padded.size = decoded.instruction.length;
  return padded;
}

void encode_again(const Decoded& decoded, Bytes& bytes) {
  ZydisEncoderRequest request;
  if (!ZYAN_SUCCESS(ZydisEncoderDecodedInstructionToEncoderRequest(
          &decoded.instruction, decoded.operands, decoded.instruction.operand_count_visible,
          &request)))
    return;
  Bytes again;
  ZyanUSize length = again.at.size();
  if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, again.at.data(), &length))) return;
  again.size = length;
  bytes = again;
}

void mutate(Random& random, Bytes& bytes) {
  static constexpr std::uint8_t kPrefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0,
                                               0x40, 0x48, 0x44, 0x41};
  switch (random.below(3)) {
    case 0:
      bytes.at[random.below(bytes.size)] ^= static_cast<std::uint8_t>(1 << random.below(8));
      break;
    case 1: bytes.at[random.below(bytes.size)] = static_cast<std::uint8_t>(random.next()); break;
    default:
      if (bytes.size == bytes.at.size()) return;
      std::copy_backward(bytes.at.begin(),
                         bytes.at.begin() + static_cast<std::ptrdiff_t>(bytes.size),
                         bytes.at.begin() + static_cast<std::ptrdiff_t>(bytes.size) + 1);
      bytes.at[0] = random.one_of(kPrefixes);
      ++bytes.size;
      break;
  }
}

}  // namespace vpmu::differential
