// SPDX-License-Identifier: MIT
#include "machine/profiler/guest_stack.hpp"

#include <algorithm>
#include <cstring>

#include "machine/profiler/stack_walk.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint64_t kPageBytes = 4096;

/// The stack segment of a CPU. Each page is translated once, as long as frames stay in it.
class GuestStack final : public StackReader {
 public:
  GuestStack(const x86::Cpu& cpu, std::uint64_t base, bool linear32)
      : cpu_{cpu}, base_{base}, linear32_{linear32} {}

  bool read(std::uint64_t offset, void* to, std::size_t bytes) override {
    auto* out = static_cast<std::uint8_t*>(to);
    while (bytes != 0) {
      std::uint64_t linear = base_ + offset;
      if (linear32_) linear = static_cast<std::uint32_t>(linear);
      const std::uint64_t within = linear % kPageBytes;
      const std::size_t piece = std::min<std::size_t>(bytes, kPageBytes - within);
      if (!look_at(linear - within)) return false;
      std::memcpy(out, host_ + within, piece);
      offset += piece;
      out += piece;
      bytes -= piece;
    }
    return true;
  }

 private:
  bool look_at(std::uint64_t page) {
    if (host_ != nullptr && page == page_) return true;
    page_ = page;
    host_ = cpu_.peek_page(page);
    return host_ != nullptr;
  }

  const x86::Cpu& cpu_;
  const std::uint64_t base_;
  const bool linear32_;
  std::uint64_t page_ = 0;
  const std::uint8_t* host_ = nullptr;
};
}  // namespace

std::size_t call_chain(const x86::Cpu& cpu, std::uint64_t ip, std::span<std::uint64_t> chain) {
  const x86::Core& core = cpu.core();
  StackRegisters registers{
      .ip = ip, .stack_pointer = core.gpr[x86::kRsp], .frame_pointer = core.gpr[x86::kRbp]};
  if (core.code64()) {
    GuestStack stack{cpu, 0, false};
    return walk_stack(registers, stack, chain);
  }
  if ((core.mode.bits & x86::Mode::kCode16) != 0) {
    chain.front() = ip;
    return 1;
  }
  registers.word_bytes = 4;
  registers.stack_pointer = static_cast<std::uint32_t>(registers.stack_pointer);
  registers.frame_pointer = static_cast<std::uint32_t>(registers.frame_pointer);
  GuestStack stack{cpu, core.segment[x86::kSs].base, true};
  const std::size_t found = walk_stack(registers, stack, chain);
  // Return addresses are offsets in the code segment.
  for (std::uint64_t& address : chain.subspan(1, found - 1)) {
    address = static_cast<std::uint32_t>(address + core.code_base);
  }
  return found;
}

}  // namespace vpmu::machine
