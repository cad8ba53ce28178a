// SPDX-License-Identifier: MIT
#include "machine/x86/ops_x87_host.hpp"

#include <cstring>
#include <utility>

namespace vpmu::machine::x86 {
namespace {

constexpr unsigned top_of(std::uint32_t status) {
  return status >> 11 & 7;
}

using RunRegister = void (*)(X87Image&, std::uint8_t& ah);
using RunMemory = void (*)(X87Image&, X87Operand&);

template <unsigned kOpcode, unsigned kModrm>
void run_register(X87Image& image, std::uint8_t& ah) {
  std::uint16_t control;
  std::uint32_t eax = static_cast<std::uint32_t>(ah) << 8;
  asm volatile(
      "fnstcw %[control]\n\t"
      "frstor %[image]\n\t"
      "sahf\n\t"
      ".byte %c[opcode], %c[modrm]\n\t"
      "lahf\n\t"
      "fnsave %[image]\n\t"
      "fldcw %[control]"
      : [image] "+m"(image), [control] "=m"(control), "+a"(eax)
      : [opcode] "i"(kOpcode), [modrm] "i"(kModrm)
      : "cc", "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
  ah = static_cast<std::uint8_t>(eax >> 8);
}

/// The operand is at (%rdi).
template <unsigned kOpcode, unsigned kDigit>
void run_memory(X87Image& image, X87Operand& operand) {
  std::uint16_t control;
  asm volatile(
      "fnstcw %[control]\n\t"
      "frstor %[image]\n\t"
      ".byte %c[opcode], %c[modrm]\n\t"
      "fnsave %[image]\n\t"
      "fldcw %[control]"
      : [image] "+m"(image), [control] "=m"(control), "+m"(operand)
      : [opcode] "i"(kOpcode), [modrm] "i"(kDigit << 3 | 7), "D"(operand.data())
      : "cc", "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
}

// Encodings that must not run this way (they store or load a state of their own, or use AX) have an
// entry like all others; translation never asks for them.
template <std::size_t... kAt>
constexpr std::array<RunRegister, 512> register_table(std::index_sequence<kAt...>) {
  return {run_register<0xd8 + kAt / 64, 0xc0 + kAt % 64>...};
}
template <std::size_t... kAt>
constexpr std::array<RunMemory, 64> memory_table(std::index_sequence<kAt...>) {
  return {run_memory<0xd8 + kAt / 8, kAt % 8>...};
}
constexpr auto kRunRegister = register_table(std::make_index_sequence<512>());
constexpr auto kRunMemory = memory_table(std::make_index_sequence<64>());

}  // namespace

X87Image x87_image(const X87& x87) {
  X87Image image{};
  image.control = x87.control;
  image.status = x87.status;
  for (unsigned i = 0; i < 8; ++i) {
    // FRSTOR works out the other classes itself.
    if (!(x87.valid >> i & 1)) image.tags |= 3u << (2 * i);
    std::memcpy(image.st[i].data(), &x87.r[(top_of(x87.status) + i) % 8], 10);
  }
  return image;
}

void set_x87_image(X87& x87, const X87Image& image) {
  x87.control = static_cast<std::uint16_t>(image.control);
  x87.status = static_cast<std::uint16_t>(image.status);
  x87.valid = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if ((image.tags >> (2 * i) & 3) != 3) x87.valid |= static_cast<std::uint8_t>(1 << i);
    std::memcpy(&x87.r[(top_of(image.status) + i) % 8], image.st[i].data(), 10);
  }
}

void run_x87_register(std::uint8_t opcode, std::uint8_t modrm, X87Image& image, std::uint8_t& ah) {
  kRunRegister[(opcode & 7u) * 64 + (modrm & 63u)](image, ah);
}

void run_x87_memory(std::uint8_t opcode, std::uint8_t digit, X87Image& image, X87Operand& operand) {
  kRunMemory[(opcode & 7u) * 8 + digit](image, operand);
}

}  // namespace vpmu::machine::x86
