// SPDX-License-Identifier: MIT
#include "machine/boot/boot_state.hpp"

#include "machine/x86/core.hpp"

namespace vpmu::machine::boot {

namespace {
x86::Segment flat_code(bool long_code) {
  x86::Segment segment;
  segment.selector = long_code ? kCode64Selector : kCode32Selector;
  segment.type = 0xb;  // execute, read, accessed
  segment.present = true;
  segment.long_code = long_code;
  segment.big = !long_code;
  segment.limit = 0xffffffff;
  return segment;
}

x86::Segment flat_data() {
  x86::Segment segment;
  segment.selector = kDataSelector;
  segment.type = 0x3;  // read, write, accessed
  segment.present = true;
  segment.big = true;
  segment.limit = 0xffffffff;
  return segment;
}

x86::Segment task_state(std::uint64_t base) {
  x86::Segment segment;
  segment.selector = kTssSelector;
  segment.type = 0xb;  // busy TSS: 32-bit, or 64-bit in long mode
  segment.system = true;
  segment.present = true;
  segment.limit = 0x67;
  segment.base = base;
  return segment;
}
}  // namespace

void apply(const BootState& state, x86::Core& core) {
  core.gpr.fill(0);
  core.gpr[x86::kRax] = state.rax;
  core.gpr[x86::kRbx] = state.rbx;
  core.gpr[x86::kRsp] = state.rsp;
  core.gpr[x86::kRsi] = state.rsi;
  core.gpr[x86::kRdi] = state.rdi;
  core.rip = state.rip;
  core.rflags = 2;
  core.lazy = {};
  core.cpl = 0;

  core.segment.fill(flat_data());
  core.segment[x86::kCs] = flat_code(state.long_mode);
  core.tr = task_state(state.tss);
  core.ldtr = {};
  core.ldtr.system = true;
  core.ldtr.type = 2;
  core.gdtr = {state.gdt, kGdtBytes - 1};
  core.idtr = {0, 0};

  core.cr0 = x86::kCr0Pe | x86::kCr0Et;
  core.cr2 = 0;
  core.cr3 = 0;
  core.cr4 = 0;
  core.efer = 0;
  if (state.long_mode) {
    // SSE is usable at once: compilers emit it in any 64-bit C function.
    core.cr0 |= x86::kCr0Mp | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Pg;
    core.cr3 = state.cr3;
    core.cr4 = x86::kCr4Pae | x86::kCr4Osfxsr | x86::kCr4Osxmmexcpt;
    core.efer = x86::kEferLme | x86::kEferLma;
  }
}

}  // namespace vpmu::machine::boot
