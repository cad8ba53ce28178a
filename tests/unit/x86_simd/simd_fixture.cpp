// SPDX-License-Identifier: MIT
#include "unit/x86_simd/simd_fixture.hpp"

#include <sys/mman.h>

#include <bit>
#include <cstdio>
#include <cstring>

#include "machine/x86/flags.hpp"

// The native side: calls the instruction at native_target with everything in registers. rdi points
// to a NativeFrame.
extern "C" {
void native_thunk(void* frame);
extern void* native_target;
}
asm(R"(
  .data
  .balign 8
native_rdi: .quad 0
  .global native_target
native_target: .quad 0
  .text
  .global native_thunk
native_thunk:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  push %rdi
  fxsave64 656(%rdi)
  fxrstor64 (%rdi)
  mov 512(%rdi), %rax
  mov 520(%rdi), %rcx
  mov 528(%rdi), %rdx
  mov 536(%rdi), %rbx
  mov 552(%rdi), %rbp
  mov 560(%rdi), %rsi
  mov 576(%rdi), %r8
  mov 584(%rdi), %r9
  mov 592(%rdi), %r10
  mov 600(%rdi), %r11
  mov 608(%rdi), %r12
  mov 616(%rdi), %r13
  mov 624(%rdi), %r14
  mov 632(%rdi), %r15
  push 640(%rdi)
  popfq
  mov 568(%rdi), %rdi
  call *native_target(%rip)
  mov %rdi, native_rdi(%rip)
  mov (%rsp), %rdi
  fxsave64 (%rdi)
  fxrstor64 656(%rdi)
  pushfq
  pop 640(%rdi)
  mov %rax, 512(%rdi)
  mov %rcx, 520(%rdi)
  mov %rdx, 528(%rdi)
  mov %rbx, 536(%rdi)
  mov %rbp, 552(%rdi)
  mov %rsi, 560(%rdi)
  mov %r8, 576(%rdi)
  mov %r9, 584(%rdi)
  mov %r10, 592(%rdi)
  mov %r11, 600(%rdi)
  mov %r12, 608(%rdi)
  mov %r13, 616(%rdi)
  mov %r14, 624(%rdi)
  mov %r15, 632(%rdi)
  mov native_rdi(%rip), %rax
  mov %rax, 568(%rdi)
  cld
  pop %rdi
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret
)");

namespace vpmu::machine::x86::testing {
namespace {

struct alignas(16) NativeFrame {
  FxImage fx;
  std::array<std::uint64_t, 16> gpr;
  std::uint64_t flags;
  std::uint64_t unused;
  FxImage host;
};
static_assert(offsetof(NativeFrame, gpr) == 512 && offsetof(NativeFrame, flags) == 640 &&
              offsetof(NativeFrame, host) == 656);

const Op* end_of_run(Core& core, const Op*) {
  core.stop = Stop::kDone;
  return nullptr;
}

std::string difference(const State& native, const State& ours) {
  std::string text;
  const auto note = [&](const std::string& what, std::uint64_t a, std::uint64_t b) {
    if (a == b) return;
    char line[160];
    std::snprintf(line, sizeof line, "  %s: host %016llx, handler %016llx\n", what.c_str(),
                  static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
    text += line;
  };
  for (unsigned i = 0; i < 16; ++i) {
    note("xmm" + std::to_string(i) + ".lo", native.fx.xmm[i].lo, ours.fx.xmm[i].lo);
    note("xmm" + std::to_string(i) + ".hi", native.fx.xmm[i].hi, ours.fx.xmm[i].hi);
    note("gpr" + std::to_string(i), native.gpr[i], ours.gpr[i]);
  }
  for (unsigned i = 0; i < 8; ++i) {
    std::uint64_t a, b;
    std::uint16_t a_top, b_top;
    std::memcpy(&a, native.fx.st[i].data(), 8);
    std::memcpy(&b, ours.fx.st[i].data(), 8);
    std::memcpy(&a_top, native.fx.st[i].data() + 8, 2);
    std::memcpy(&b_top, ours.fx.st[i].data() + 8, 2);
    note("st" + std::to_string(i), a, b);
    note("st" + std::to_string(i) + " sign and exponent", a_top, b_top);
  }
  note("mxcsr", native.fx.mxcsr, ours.fx.mxcsr);
  note("flags", native.flags & kArithmeticFlags, ours.flags & kArithmeticFlags);
  note("x87 control", native.fx.control, ours.fx.control);
  note("x87 status", native.fx.status, ours.fx.status);
  note("x87 valid", native.fx.valid, ours.fx.valid);
  return text;
}

}  // namespace

Buffer::Buffer()
    : data_(static_cast<std::uint8_t*>(
          mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
Buffer::~Buffer() {
  munmap(data_, kSize);
}

std::optional<Decoded> decode(std::span<const std::uint8_t> code) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  Decoded decoded{};
  Instruction& in = decoded.instruction;
  if (!ZYAN_SUCCESS(
          ZydisDecoderDecodeFull(&decoder, code.data(), code.size(), &in.zydis, in.operands)))
    return std::nullopt;
  decoded.translated = translate_sse_integer(in, decoded.translation) ||
                       translate_sse_float(in, decoded.translation) ||
                       translate_x87(in, decoded.translation);
  ZydisFormatter formatter;
  ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
  char text[128];
  ZydisFormatterFormatInstruction(&formatter, &in.zydis, in.operands, in.visible(), text,
                                  sizeof text, 0, nullptr);
  decoded.text = text;
  return decoded;
}

void run_native(std::span<const std::uint8_t> code, State& state) {
  static auto* page = static_cast<std::uint8_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  std::memcpy(page, code.data(), code.size());
  page[code.size()] = 0xc3;
  native_target = page;
  NativeFrame frame;
  frame.fx = state.fx;
  frame.gpr = state.gpr;
  frame.flags = state.flags;
  native_thunk(&frame);
  state.fx = frame.fx;
  state.gpr = frame.gpr;
  state.flags = frame.flags;
}

std::optional<Exception> run_handler(const Decoded& decoded, const Buffer& buffer, State& state,
                                     std::uint64_t cr0, std::uint64_t cr4) {
  static auto core_owner = std::make_unique<Core>();
  static auto bank = std::make_unique<TlbBank>();
  Core& core = *core_owner;
  *bank = TlbBank{};
  for (std::uint64_t page = buffer.address(); page < buffer.address() + Buffer::kSize;
       page += 4096) {
    TlbEntry& entry = bank->entries[TlbBank::slot(page)];
    entry.read_tag = entry.write_tag = page;
    entry.addend = 0;
  }
  core.tlb = bank.get();
  core.cr0 = cr0;
  core.cr4 = cr4;
  core.stop = Stop::kNone;
  for (unsigned i = 0; i < 16; ++i) core.gpr[i] = state.gpr[i];
  core.xmm = state.fx.xmm;
  core.mxcsr = state.fx.mxcsr;
  set_arithmetic_flags(core, state.flags);
  core.x87.control = state.fx.control;
  core.x87.status = state.fx.status;
  core.x87.valid = state.fx.valid;
  const unsigned top = state.fx.status >> 11 & 7;
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(&core.x87.r[(top + i) % 8], state.fx.st[i].data(), 10);

  const std::array<Op, 2> ops = {decoded.translation.op, Op{.run = end_of_run}};
  const Op* next = ops.data();
  while (next != nullptr) next = next->run(core, next);

  for (unsigned i = 0; i < 16; ++i) state.gpr[i] = core.gpr[i];
  state.fx.xmm = core.xmm;
  state.fx.mxcsr = core.mxcsr;
  state.flags = (state.flags & ~kArithmeticFlags) | arithmetic_flags(core.lazy);
  state.fx.control = core.x87.control;
  state.fx.status = core.x87.status;
  state.fx.valid = core.x87.valid;
  const unsigned new_top = core.x87.status >> 11 & 7;
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(state.fx.st[i].data(), &core.x87.r[(new_top + i) % 8], 10);
  if (core.stop == Stop::kException) return core.exception;
  return std::nullopt;
}

std::string compare_with_host(const Decoded& decoded, std::span<const std::uint8_t> code,
                              const Buffer& buffer, const State& initial,
                              std::pair<unsigned, unsigned> ignored) {
  std::vector<std::uint8_t> before(buffer.data(), buffer.data() + Buffer::kSize);
  State native = initial;
  run_native(code, native);
  std::vector<std::uint8_t> native_memory(buffer.data(), buffer.data() + Buffer::kSize);
  std::memcpy(buffer.data(), before.data(), before.size());
  State ours = initial;
  const auto exception = run_handler(decoded, buffer, ours, kUsualCr0, kUsualCr4);
  if (exception) return "  exception " + std::to_string(exception->vector) + "\n";
  std::string text = difference(native, ours);
  for (unsigned i = ignored.first; i < ignored.second; ++i)
    native_memory[Buffer::kOperand + i] = buffer.data()[Buffer::kOperand + i];
  for (unsigned i = 0; i < Buffer::kSize; ++i) {
    if (native_memory[i] == buffer.data()[i]) continue;
    char line[80];
    std::snprintf(line, sizeof line, "  memory operand byte %d: host %02x, handler %02x\n",
                  static_cast<int>(i) - static_cast<int>(Buffer::kOperand), native_memory[i],
                  buffer.data()[i]);
    text += line;
    break;
  }
  if (text.empty()) return text;
  char line[200];
  std::snprintf(line, sizeof line, "  before: mxcsr %04x", initial.fx.mxcsr);
  text += line;
  for (unsigned i = 0; i < 2 && decoded.instruction.is_register(i); ++i) {
    if (ZydisRegisterGetClass(decoded.instruction.operands[i].reg.value) != ZYDIS_REGCLASS_XMM)
      continue;
    const unsigned number = register_number(decoded.instruction.operands[i].reg.value);
    std::snprintf(line, sizeof line, " operand %u %016llx'%016llx", i,
                  static_cast<unsigned long long>(initial.fx.xmm[number].hi),
                  static_cast<unsigned long long>(initial.fx.xmm[number].lo));
    text += line;
  }
  return text + "\n";
}

std::uint32_t Values::single() {
  static constexpr std::uint32_t kSpecial[] = {
      0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001,
      0xffa00000, 1,          0x007fffff, 0x807fffff, 0x00800000, 0x7f7fffff, 0x3f800000,
      0xbf800000, 0x3f000000, 0x4b000000, 0x4f000000, 0xcf000000, 0x3fc00000, 0x5f000000};
  switch (below(5)) {
    case 0: return kSpecial[below(std::size(kSpecial))];
    case 1: return static_cast<std::uint32_t>(any());
    case 2: return std::bit_cast<std::uint32_t>(static_cast<float>(below(64)) / 4 - 8);
    case 3:  // near one
      return (static_cast<std::uint32_t>(any()) & 0x807fffff) | (120 + below(16)) << 23;
    default:  // close to under- or overflow with others of its kind
      return (static_cast<std::uint32_t>(any()) & 0x807fffff) |
             (below(2) ? 60 + below(10) : 186 + below(10)) << 23;
  }
}

std::uint64_t Values::real() {
  static constexpr std::uint64_t kSpecial[] = {0,
                                               0x8000000000000000,
                                               0x7ff0000000000000,
                                               0xfff0000000000000,
                                               0x7ff8000000000000,
                                               0xfff8000000000001,
                                               0x7ff0000000000001,
                                               0xfff4000000000000,
                                               1,
                                               0x000fffffffffffff,
                                               0x800fffffffffffff,
                                               0x0010000000000000,
                                               0x7fefffffffffffff,
                                               0x3ff0000000000000,
                                               0xbff0000000000000,
                                               0x3fe0000000000000,
                                               0x41e0000000000000,
                                               0xc1e0000000000000,
                                               0x43e0000000000000,
                                               0xc3e0000000000000,
                                               0x4330000000000000,
                                               0x3690000000000000};
  switch (below(5)) {
    case 0: return kSpecial[below(std::size(kSpecial))];
    case 1: return any();
    case 2: return std::bit_cast<std::uint64_t>(static_cast<double>(below(64)) / 4 - 8);
    case 3:
      return (any() & 0x800fffffffffffff) | static_cast<std::uint64_t>(1000 + below(60)) << 52;
    default:
      return (any() & 0x800fffffffffffff) |
             static_cast<std::uint64_t>(below(2) ? 505 + below(10) : 1535 + below(10)) << 52;
  }
}

std::uint64_t Values::quad() {
  switch (below(6)) {
    case 0:
    case 1: return real();
    case 2:
    case 3: return single() | static_cast<std::uint64_t>(single()) << 32;
    case 4: return any();
    default: {  // small and equal bytes, zeros among them
      std::uint64_t value = 0;
      for (int i = 0; i < 8; ++i) value = value << 8 | (below(3) ? below(4) : below(256));
      return value;
    }
  }
}

std::array<std::uint8_t, 16> Values::extended() {
  std::uint64_t significand = any();
  auto sign_exponent = static_cast<std::uint16_t>(any());
  switch (below(8)) {
    case 0:
      significand = 0;
      sign_exponent &= 0x8000;
      break;
    case 1:  // infinities, NaNs
      sign_exponent |= 0x7fff;
      significand = below(2) ? 0x8000000000000000 : significand | 0x8000000000000000;
      break;
    case 2:  // denormals
      sign_exponent &= 0x8000;
      significand &= 0x7fffffffffffffff;
      break;
    case 3: break;  // often an unnormal, which is invalid
    case 4:         // small integers
      significand = 0x8000000000000000 | static_cast<std::uint64_t>(below(256)) << 55;
      sign_exponent = static_cast<std::uint16_t>((sign_exponent & 0x8000) | (16383 + below(8)));
      break;
    default:
      significand |= 0x8000000000000000;
      sign_exponent =
          static_cast<std::uint16_t>((sign_exponent & 0x8000) | (16383 - 70 + below(140)));
      break;
  }
  std::array<std::uint8_t, 16> value{};
  std::memcpy(value.data(), &significand, 8);
  std::memcpy(value.data() + 8, &sign_exponent, 2);
  return value;
}

}  // namespace vpmu::machine::x86::testing
