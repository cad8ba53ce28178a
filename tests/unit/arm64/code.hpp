// SPDX-License-Identifier: MIT
//
// Words of a few instructions, for tests that run code.
#pragma once

#include <cstdint>

namespace vpmu::machine::arm64::code {

inline constexpr std::uint32_t kNop = 0xd503'201f, kWfe = 0xd503'205f, kWfi = 0xd503'207f,
                               kSev = 0xd503'209f, kSevl = 0xd503'20bf, kRet = 0xd65f'03c0,
                               kEret = 0xd69f'03e0, kUdf = 0, kClrex = 0xd503'3f5f,
                               kBranchToItself = 0x1400'0000;
inline constexpr unsigned kSp = 31, kZr = 31;

constexpr std::uint32_t movz(unsigned rd, std::uint32_t value, unsigned half = 0) {
  return 0xd280'0000 | half << 21 | value << 5 | rd;
}
constexpr std::uint32_t movk(unsigned rd, std::uint32_t value, unsigned half) {
  return 0xf280'0000 | half << 21 | value << 5 | rd;
}
constexpr std::uint32_t add(unsigned rd, unsigned rn, std::uint32_t value) {
  return 0x9100'0000 | value << 10 | rn << 5 | rd;
}
constexpr std::uint32_t subs(unsigned rd, unsigned rn, std::uint32_t value) {
  return 0xf100'0000 | value << 10 | rn << 5 | rd;
}
constexpr std::uint32_t add_register(unsigned rd, unsigned rn, unsigned rm) {
  return 0x8b00'0000 | rm << 16 | rn << 5 | rd;
}
constexpr std::uint32_t eor_register(unsigned rd, unsigned rn, unsigned rm) {
  return 0xca00'0000 | rm << 16 | rn << 5 | rd;
}
constexpr std::uint32_t madd(unsigned rd, unsigned rn, unsigned rm, unsigned ra) {
  return 0x9b00'0000 | rm << 16 | ra << 10 | rn << 5 | rd;
}
/// Unsigned offsets, in units of the access.
constexpr std::uint32_t ldr(unsigned rt, unsigned rn, std::uint32_t units = 0) {
  return 0xf940'0000 | units << 10 | rn << 5 | rt;
}
constexpr std::uint32_t str(unsigned rt, unsigned rn, std::uint32_t units = 0) {
  return 0xf900'0000 | units << 10 | rn << 5 | rt;
}
constexpr std::uint32_t str_word(unsigned rt, unsigned rn, std::uint32_t units = 0) {
  return 0xb900'0000 | units << 10 | rn << 5 | rt;
}
constexpr std::uint32_t ldp(unsigned rt, unsigned rt2, unsigned rn) {
  return 0xa940'0000 | rt2 << 10 | rn << 5 | rt;
}
constexpr std::uint32_t ldxr(unsigned rt, unsigned rn) {
  return 0xc85f'7c00 | rn << 5 | rt;
}
constexpr std::uint32_t stxr(unsigned rs, unsigned rt, unsigned rn) {
  return 0xc800'7c00 | rs << 16 | rn << 5 | rt;
}
constexpr std::uint32_t ldxp(unsigned rt, unsigned rt2, unsigned rn) {
  return 0xc87f'0000 | rt2 << 10 | rn << 5 | rt;
}
/// LDR X1, [SP], #8
inline constexpr std::uint32_t kLoadAndAdd8ToSp = 0xf840'87e1;
constexpr std::uint32_t ldar(unsigned rt, unsigned rn) {
  return 0xc8df'fc00 | rn << 5 | rt;
}
constexpr std::uint32_t stlr(unsigned rt, unsigned rn) {
  return 0xc89f'fc00 | rn << 5 | rt;
}
/// Branches by instructions, forwards or backwards.
constexpr std::uint32_t b(std::int32_t by) {
  return 0x1400'0000 | (static_cast<std::uint32_t>(by) & 0x3ff'ffff);
}
constexpr std::uint32_t bl(std::int32_t by) {
  return 0x9400'0000 | (static_cast<std::uint32_t>(by) & 0x3ff'ffff);
}
constexpr std::uint32_t b_ne(std::int32_t by) {
  return 0x5400'0001 | (static_cast<std::uint32_t>(by) & 0x7'ffff) << 5;
}
constexpr std::uint32_t cbnz(unsigned rt, std::int32_t by) {
  return 0xb500'0000 | (static_cast<std::uint32_t>(by) & 0x7'ffff) << 5 | rt;
}
constexpr std::uint32_t tbz(unsigned rt, unsigned bit, std::int32_t by) {
  return 0x3600'0000 | bit << 19 | (static_cast<std::uint32_t>(by) & 0x3fff) << 5 | rt;
}
constexpr std::uint32_t br(unsigned rn) {
  return 0xd61f'0000 | rn << 5;
}
constexpr std::uint32_t svc(std::uint32_t immediate) {
  return 0xd400'0001 | immediate << 5;
}
constexpr std::uint32_t hvc(std::uint32_t immediate) {
  return 0xd400'0002 | immediate << 5;
}
/// MRS X`rt`, TPIDR_EL1, and MSR.
constexpr std::uint32_t read_tpidr_el1(unsigned rt) {
  return 0xd538'd080 | rt;
}
constexpr std::uint32_t write_tpidr_el1(unsigned rt) {
  return 0xd518'd080 | rt;
}
constexpr std::uint32_t read_esr(unsigned rt) {
  return 0xd538'5200 | rt;
}
constexpr std::uint32_t write_ttbr0(unsigned rt) {
  return 0xd518'2000 | rt;
}
constexpr std::uint32_t write_spsr(unsigned rt) {
  return 0xd518'4000 | rt;
}
constexpr std::uint32_t write_elr(unsigned rt) {
  return 0xd518'4020 | rt;
}

}  // namespace vpmu::machine::arm64::code
