// SPDX-License-Identifier: MIT
#include "compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>

#include "decoded.hpp"
#include "effects.hpp"

namespace vpmu::differential {

namespace {

constexpr const char* kGprNames[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
// CF PF AF ZF SF, IF, DF, OF, AC and ID.
constexpr std::uint64_t kComparedFlags = 0x8d5 | 0x200 | 0x400 | 1 << 18 | 1 << 21;
constexpr std::uint8_t kBreakpoint = 3, kGeneralProtection = 13, kPageFault = 14,
                       kSimdException = 19;

template <class Range>
std::string hex(const Range& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// The most significant byte first, as registers are written.
template <class Range>
std::string number(const Range& bytes) {
  std::vector<std::uint8_t> reversed(bytes.begin(), bytes.end());
  std::reverse(reversed.begin(), reversed.end());
  return hex(reversed);
}

/// Undefined flags and condition codes where the run ended.
void undefined_at(const TestCase& test, const Outcome& outcome, std::uint64_t& flags,
                  std::uint16_t& x87) {
  flags = test.undefined_flags;
  x87 = test.undefined_x87;
  if (outcome.vector == kBreakpoint) return;
  const std::uint64_t offset = outcome.state.rip - test.input.rip;
  for (const TestCase::Instruction& at : test.instructions) {
    if (at.offset != offset) continue;
    flags = at.undefined_flags;
    x87 = at.undefined_x87;
  }
}

/// Single-precision lanes that are as close as RCPPS and its like have to be.
bool close(const std::array<std::uint8_t, 16>& a, const std::array<std::uint8_t, 16>& b) {
  for (unsigned lane = 0; lane < 4; ++lane) {
    if (std::memcmp(&a[lane * 4], &b[lane * 4], 4) == 0) continue;
    float x = 0, y = 0;
    std::memcpy(&x, &a[lane * 4], 4);
    std::memcpy(&y, &b[lane * 4], 4);
    if (std::fabs(x) < FLT_MIN && std::fabs(y) < FLT_MIN) continue;
    // Each is within 1.5 * 2^-12 of the true value.
    if (!(std::fabs(x - y) <= std::fabs(x) * (3.1F / 4096))) return false;
  }
  return true;
}

/// True if the fault is that of FXSAVE or its like: their first access is not at their first byte
/// everywhere.
bool faulted_in_save_area(const TestCase& test, const Outcome& outcome) {
  const std::uint64_t offset = outcome.state.rip - test.input.rip;
  Decoded decoded;
  if (offset >= test.code.size() ||
      !decode({&test.code[offset], test.code.size() - offset}, decoded))
    return false;
  const auto operands = decoded.visible();
  return std::any_of(operands.begin(), operands.end(), [](const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.size > 128;
  });
}

bool uses(const TestCase& test, ZydisRegisterClass first, ZydisRegisterClass second) {
  for (const TestCase::Instruction& at : test.instructions) {
    Decoded decoded;
    if (!decode({&test.code[at.offset], at.length}, decoded)) continue;
    for (const ZydisDecodedOperand& operand : decoded.all()) {
      if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
      const ZydisRegisterClass kind = ZydisRegisterGetClass(operand.reg.value);
      if (kind == first || kind == second) return true;
    }
    if (first == ZYDIS_REGCLASS_X87 && decoded.instruction.meta.isa_ext == ZYDIS_ISA_EXT_X87)
      return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> differences(const TestCase& test, const Ending& expected,
                                     const Ending& got) {
  std::vector<std::string> lines;
  const auto differ = [&](const auto& what, const auto& want, const auto& have) {
    lines.push_back(fmt::format("{}: expected {}, got {}", what, want, have));
  };
  const auto compare = [&](const auto& what, std::uint64_t want, std::uint64_t have) {
    if (want != have) differ(what, fmt::format("{:#x}", want), fmt::format("{:#x}", have));
  };
  const Outcome& a = expected.outcome;
  const Outcome& b = got.outcome;
  if (a.trouble != nullptr || b.trouble != nullptr) {
    differ("ending", a.trouble == nullptr ? fmt::format("vector {}", a.vector) : a.trouble,
           b.trouble == nullptr ? fmt::format("vector {}", b.vector) : b.trouble);
    return lines;
  }
  // Which of a pending x87 exception and a misaligned operand comes first is not defined.
  const auto either = [](std::uint8_t vector) { return vector == 16 || vector == 17; };
  if (a.vector != b.vector && either(a.vector) && either(b.vector)) return lines;
  Decoded first;
  const bool known = decode(test.code, first);
  // Misaligned and not canonical.
  const auto address_fault = [](std::uint8_t vector) { return vector == 12 || vector == 13; };
  if (a.vector != b.vector && address_fault(a.vector) && address_fault(b.vector) &&
      faulted_in_save_area(test, a))
    return lines;
  if (a.vector != b.vector && known && may_enter_mmx(first) && either(b.vector)) return lines;
  if (a.vector != b.vector) {
    differ("exception", a.vector, b.vector);
    compare("rip", a.state.rip - test.input.rip, b.state.rip - test.input.rip);
    return lines;
  }
  compare("rip (from the first instruction)", a.state.rip - test.input.rip,
          b.state.rip - test.input.rip);
  if (a.vector == kGeneralProtection || a.vector == kPageFault)
    compare("error code", a.error_code, b.error_code);
  if (a.vector == kPageFault && !faulted_in_save_area(test, a))
    compare("cr2", a.address, b.address);
  for (unsigned i = 0; i < 16; ++i) compare(kGprNames[i], a.state.gpr[i], b.state.gpr[i]);

  std::uint64_t undefined_flags = 0;
  std::uint16_t undefined_x87 = 0;
  undefined_at(test, a, undefined_flags, undefined_x87);
  const std::uint64_t flags = kComparedFlags & ~undefined_flags;
  compare("rflags", a.state.rflags & flags, b.state.rflags & flags);

  const FxImage& fa = a.state.fx;
  const FxImage& fb = b.state.fx;
  const bool approximate = known && is_approximate(first);
  for (unsigned i = 0; i < 16; ++i)
    if (fa.xmm[i] != fb.xmm[i] && !(approximate && close(fa.xmm[i], fb.xmm[i])))
      differ(fmt::format("xmm{}", i), number(fa.xmm[i]), number(fb.xmm[i]));
  // With an unmasked overflow or underflow, whether the result was exact too is that of a result of
  // unbounded exponent, which the interpreter does not work out.
  constexpr std::uint32_t kOverUnderflow = 0x18, kInexact = 0x20;
  const bool unbounded = a.vector == kSimdException && (fa.mxcsr & kOverUnderflow) != 0;
  const std::uint32_t mxcsr_mask = unbounded ? ~kInexact : ~0U;
  compare("mxcsr", fa.mxcsr & mxcsr_mask, fb.mxcsr & mxcsr_mask);
  compare("x87 control", fa.control, fb.control);
  if (std::memcmp(expected.data.data(), got.data.data(), kDataBytes) != 0) {
    const auto ignored = [&](std::uint64_t address) {
      return std::any_of(test.ignored.begin(), test.ignored.end(),
                         [&](const auto& range) { return address - range.address < range.bytes; });
    };
    for (std::size_t at = 0; at < kDataBytes; ++at) {
      if (expected.data[at] == got.data[at] || ignored(kData + at)) continue;
      const std::size_t length = std::min<std::size_t>(16, kDataBytes - at);
      differ(fmt::format("memory at {:#x}", kData + at), hex(expected.data.subspan(at, length)),
             hex(got.data.subspan(at, length)));
      break;
    }
  }

  // An MMX instruction that faults may have changed to MMX state already, or not.
  if (a.vector != kBreakpoint && uses(test, ZYDIS_REGCLASS_MMX, ZYDIS_REGCLASS_MMX)) return lines;
  if (known && may_enter_mmx(first)) return lines;
  compare("x87 status", fa.status & ~undefined_x87, fb.status & ~undefined_x87);
  compare("x87 tags", fa.tags, fb.tags);
  for (unsigned i = 0; i < 8; ++i) {
    if (std::memcmp(fa.st[i].data(), fb.st[i].data(), 10) != 0)
      differ(fmt::format("st{}", i), number(std::span{fa.st[i]}.first(10)),
             number(std::span{fb.st[i]}.first(10)));
  }
  return lines;
}

std::string describe(const TestCase& test) {
  std::string text;
  for (const TestCase::Instruction& at : test.instructions) {
    const std::span code{&test.code[at.offset], at.length};
    text += fmt::format("  {:#x}  {:<30}  {}\n", test.input.rip + at.offset, hex(code),
                        disassemble(code, test.input.rip + at.offset));
  }
  const CpuState& in = test.input;
  for (unsigned i = 0; i < 16; ++i)
    text += fmt::format("  {:>3} {:016x}{}", kGprNames[i], in.gpr[i], i % 4 == 3 ? "\n" : "");
  text += fmt::format("  rflags {:x}  mxcsr {:x}", in.rflags, in.fx.mxcsr);
  text += fmt::format("  x87 control {:x} status {:x} tags {:x}\n", in.fx.control, in.fx.status,
                      in.fx.tags);
  if (uses(test, ZYDIS_REGCLASS_XMM, ZYDIS_REGCLASS_XMM)) {
    for (unsigned i = 0; i < 16; ++i)
      text += fmt::format("  xmm{:<2} {}{}", i, number(in.fx.xmm[i]), i % 2 == 1 ? "\n" : "");
  }
  if (uses(test, ZYDIS_REGCLASS_X87, ZYDIS_REGCLASS_MMX)) {
    for (unsigned i = 0; i < 8; ++i)
      text += fmt::format("  st{} {}{}", i, number(std::span{in.fx.st[i]}.first(10)),
                          i % 4 == 3 ? "\n" : "");
  }
  ZydisRegisterContext context{};
  for (unsigned i = 0; i < 16; ++i) {
    context.values[ZYDIS_REGISTER_RAX + i] = in.gpr[i];
    context.values[ZYDIS_REGISTER_EAX + i] = static_cast<std::uint32_t>(in.gpr[i]);
  }
  context.values[ZYDIS_REGISTER_AL] = in.gpr[0] & 0xff;
  for (const TestCase::Instruction& at : test.instructions) {
    Decoded decoded;
    if (!decode({&test.code[at.offset], at.length}, decoded)) continue;
    for (const ZydisDecodedOperand& operand : decoded.all()) {
      std::uint64_t address = 0;
      if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY ||
          !ZYAN_SUCCESS(ZydisCalcAbsoluteAddressEx(&decoded.instruction, &operand,
                                                   in.rip + at.offset, &context, &address)))
        continue;
      text += fmt::format("  [{:#x}]", address);
      if (address >= kData && address < kDataEnd) {
        const std::size_t offset = address - kData;
        text += ' ';
        text += hex(
            std::span{test.data}.subspan(offset, std::min<std::size_t>(16, kDataBytes - offset)));
      }
      text += "\n";
    }
  }
  return text;
}

}  // namespace vpmu::differential
