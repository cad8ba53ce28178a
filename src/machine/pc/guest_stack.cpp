// SPDX-License-Identifier: MIT
#include "machine/pc/guest_stack.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "machine/stack_walk.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint64_t kPageBytes = PagedStackReader::kPageBytes;

/// The stack segment of a CPU.
class GuestStack final : public PagedStackReader {
 public:
  GuestStack(const x86::Cpu& cpu, std::uint64_t base, bool linear32)
      : cpu_{cpu}, base_{base}, linear32_{linear32} {}

 protected:
  [[nodiscard]] std::uint64_t linear(std::uint64_t offset) const override {
    return linear32_ ? static_cast<std::uint32_t>(base_ + offset) : base_ + offset;
  }
  [[nodiscard]] const std::uint8_t* host_page(std::uint64_t page) const override {
    return cpu_.peek_page(page);
  }

 private:
  const x86::Cpu& cpu_;
  const std::uint64_t base_;
  const bool linear32_;
};

/// How many words of the stack lie above the return address of a function that has no frame yet, or
/// no more; by its next instruction. None: it has one.
std::optional<unsigned> words_above_link(const x86::Cpu& cpu, bool code64) {
  constexpr std::size_t kMost = 16;
  const std::uint64_t at = cpu.place().linear;
  const std::uint8_t* const page = cpu.peek_page(at);
  if (page == nullptr) return std::nullopt;
  const std::uint64_t within = at % kPageBytes;
  std::string_view code{reinterpret_cast<const char*>(page) + within,
                        std::min<std::size_t>(kMost, kPageBytes - within)};
  // MOV RBP, RSP in its two encodings, with REX.W in 64-bit code.
  const std::string_view to = code64 ? "\x48\x89\xe5" : "\x89\xe5";
  const std::string_view from = code64 ? "\x48\x8b\xec" : "\x8b\xec";
  if (code.starts_with(to) || code.starts_with(from)) return 1;
  if (code.starts_with('\xc3') || code.starts_with('\xc2') || code.starts_with("\xf3\xc3")) {
    return 0;  // RET
  }
  // ENDBR64, ENDBR32; PUSH RBP, and not long after it the other half.
  if (code.starts_with("\xf3\x0f\x1e\xfa") || code.starts_with("\xf3\x0f\x1e\xfb")) {
    code.remove_prefix(4);
  }
  const bool saves = code.starts_with('\x55');
  const bool sets = code.find(to) != code.npos || code.find(from) != code.npos;
  return saves && sets ? std::optional{0u} : std::nullopt;
}

/// Where a stack begins that is not only what registers say.
struct Top {
  std::uint64_t ip = 0;
  std::optional<std::uint64_t> link;  ///< linear; what comes behind `ip`
  bool may_lack_frame = true;         ///< otherwise the next instruction does not tell
};

std::size_t walk(const x86::Cpu& cpu, const Top& top, std::span<std::uint64_t> chain) {
  const x86::Core& core = cpu.core();
  const bool code64 = core.code64();
  if ((core.mode.bits & x86::Mode::kCode16) != 0) {
    chain.front() = top.ip;
    return 1;
  }
  StackRegisters registers{
      .ip = top.ip, .stack_pointer = core.gpr[x86::kRsp], .frame_pointer = core.gpr[x86::kRbp]};
  if (!code64) {
    registers.word_bytes = 4;
    registers.stack_pointer = static_cast<std::uint32_t>(registers.stack_pointer);
    registers.frame_pointer = static_cast<std::uint32_t>(registers.frame_pointer);
  }
  GuestStack stack{cpu, code64 ? 0 : core.segment[x86::kSs].base, !code64};
  const std::uint64_t code_base = code64 ? 0 : core.code_base;
  if (top.link) {
    registers.link = *top.link - code_base;
    if (!code64) registers.link = static_cast<std::uint32_t>(registers.link);
    registers.has_link = true;
  } else if (const auto above = top.may_lack_frame ? words_above_link(cpu, code64) : std::nullopt) {
    registers.has_link = stack.read(registers.stack_pointer + *above * registers.word_bytes,
                                    &registers.link, registers.word_bytes);
  }
  const std::size_t found = walk_stack(registers, stack, chain);
  if (code64) return found;
  // Return addresses are offsets in the code segment.
  for (std::uint64_t& address : chain.subspan(1, found - 1)) {
    address = static_cast<std::uint32_t>(address + code_base);
  }
  return found;
}
/// From an instruction that has changed the privilege. Entering the kernel leaves the frame pointer
/// alone, but perhaps not the stack pointer.
std::size_t walk_left(const x86::Cpu& cpu, const x86::Cpu::Retired& last,
                      std::span<std::uint64_t> chain) {
  const bool followed = last.place.user && last.code64 && cpu.core().code64();
  const std::uint64_t frame = cpu.core().gpr[x86::kRbp];
  GuestStack stack{cpu, 0, false};
  return walk_stack({.ip = last.place.linear, .stack_pointer = frame, .frame_pointer = frame},
                    stack, chain.first(followed ? chain.size() : 1));
}
}  // namespace

std::size_t call_chain(const x86::Cpu& cpu, std::span<std::uint64_t> chain) {
  return walk(cpu, {.ip = cpu.place().linear, .link = {}}, chain);
}

std::size_t call_chain(const x86::Cpu& cpu, const x86::Cpu::Retired& last,
                       std::span<std::uint64_t> chain) {
  if (last.place.user != cpu.place().user) return walk_left(cpu, last, chain);
  Top top{.ip = last.place.linear, .link = {}};
  // It has left its function: for the caller, which is behind it in the chain; or for another one
  // that has no frame yet, while its own is still there.
  if (last.returns) top.link = cpu.place().linear;
  if (last.calls) top.may_lack_frame = false;
  return walk(cpu, top, chain);
}

}  // namespace vpmu::machine
