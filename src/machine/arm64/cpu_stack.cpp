// SPDX-License-Identifier: MIT
#include "machine/arm64/cpu_stack.hpp"

#include "machine/arm64/guest_stack.hpp"

namespace vpmu::machine::arm64 {

namespace {
class CpuPages final : public Pages {
 public:
  explicit CpuPages(const Cpu& cpu) : cpu_{cpu} {}
  [[nodiscard]] const std::uint8_t* page(std::uint64_t linear) const override {
    return cpu_.peek_page(linear);
  }

 private:
  const Cpu& cpu_;
};

/// In the vectors registers are those of what was interrupted.
bool in_vectors(const Cpu& cpu) {
  constexpr std::uint64_t kVectorBytes = 0x800;
  const CodePlace place = cpu.place();
  return !place.user && place.linear - cpu.core().vbar < kVectorBytes;
}

StackTop top_of(const Cpu& cpu) {
  const Registers& registers = cpu.registers();
  const std::uint64_t next = cpu.place().linear;
  return {.ip = next,
          .next = next,
          .stack_pointer = registers.sp(),
          .frame_pointer = registers.x(29),
          .link = registers.x(30)};
}

std::size_t walk(const Cpu& cpu, const StackTop& top, std::span<std::uint64_t> chain) {
  return call_chain(top, CpuPages{cpu}, chain);
}
}  // namespace

std::size_t call_chain(const Cpu& cpu, std::span<std::uint64_t> chain) {
  return walk(cpu, top_of(cpu), in_vectors(cpu) ? chain.first(1) : chain);
}

std::size_t call_chain(const Cpu& cpu, const Cpu::Retired& last, std::span<std::uint64_t> chain) {
  const CodePlace place = cpu.place();
  StackTop top = top_of(cpu);
  top.ip = last.place.linear;
  if (last.place.user && !place.user) {
    // Entering EL1 leaves all of EL0's registers as they are.
    top.next = top.ip;
    top.stack_pointer = cpu.core().sp_el[0];
    return walk(cpu, top, chain);
  }
  if (last.place.user != place.user || in_vectors(cpu)) return walk(cpu, top, chain.first(1));
  if (last.returns) {
    top.link = place.linear;
    top.caller = StackTop::Caller::kInLink;
  } else if (last.calls) {
    top.caller = StackTop::Caller::kInFrame;
  }
  return walk(cpu, top, chain);
}

}  // namespace vpmu::machine::arm64
