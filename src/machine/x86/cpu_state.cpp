// SPDX-License-Identifier: MIT
#include "machine/x86/cpu_state.hpp"

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "machine/cannot_hold.hpp"
#include "machine/x86/flags.hpp"
#include "machine/x86/fp_environment.hpp"
#include "machine/x86/mmu.hpp"
#include "machine/x86/msr.hpp"

namespace vpmu::machine::x86 {

namespace {
X87State save_x87(const X87& x87) {
  X87State state;
  for (std::size_t n = 0; n < state.r.size(); ++n) {
    std::memcpy(state.r[n].data(), &x87.r[n], state.r[n].size());
  }
  state.control = x87.control;
  state.status = x87.status;
  state.valid = x87.valid;
  state.last_opcode = x87.last_opcode;
  state.last_instruction = x87.last_instruction;
  state.last_data = x87.last_data;
  return state;
}

X87 restored_x87(const X87State& state) {
  X87 x87;
  for (std::size_t n = 0; n < state.r.size(); ++n) {
    std::memcpy(&x87.r[n], state.r[n].data(), state.r[n].size());
  }
  x87.control = state.control;
  x87.status = state.status;
  x87.valid = state.valid;
  x87.last_opcode = state.last_opcode;
  x87.last_instruction = state.last_instruction;
  x87.last_data = state.last_data;
  return x87;
}

/// Everything that is the same in both.
template <class To, class From>
void copy_registers(To& to, const From& from) {
  std::copy_n(from.gpr.begin(), 16, to.gpr.begin());
  to.rip = from.rip;
  to.cpl = from.cpl;
  to.segment = from.segment;
  to.ldtr = from.ldtr;
  to.tr = from.tr;
  to.gdtr = from.gdtr;
  to.idtr = from.idtr;
  to.cr0 = from.cr0;
  to.cr2 = from.cr2;
  to.cr3 = from.cr3;
  to.cr4 = from.cr4;
  to.efer = from.efer;
  to.xcr0 = from.xcr0;
  to.dr = from.dr;
  to.dr6 = from.dr6;
  to.dr7 = from.dr7;
  to.xmm = from.xmm;
  to.mxcsr = from.mxcsr;
  to.star = from.star;
  to.lstar = from.lstar;
  to.cstar = from.cstar;
  to.sfmask = from.sfmask;
  to.kernel_gs_base = from.kernel_gs_base;
  to.sysenter_cs = from.sysenter_cs;
  to.sysenter_esp = from.sysenter_esp;
  to.sysenter_eip = from.sysenter_eip;
  to.tsc_offset = from.tsc_offset;
  to.tsc_adjust = from.tsc_adjust;
  to.tsc_aux = from.tsc_aux;
  to.halted = from.halted;
  to.waiting_for_sipi = from.waiting_for_sipi;
  to.nmi_pending = from.nmi_pending;
  to.nmi_blocked = from.nmi_blocked;
  to.interrupt_shadow = from.interrupt_shadow;
  to.stack_switch_shadow = from.stack_switch_shadow;
  to.debug_trap = from.debug_trap;
}

Result<void> check_segments(const CpuState& state) {
  for (const Segment* segment :
       {&state.segment[kEs], &state.segment[kCs], &state.segment[kSs], &state.segment[kDs]}) {
    if (segment->base >> 32 != 0) return cannot_hold("segment base", segment->base);
  }
  for (const std::uint64_t base :
       {state.segment[kFs].base, state.segment[kGs].base, state.ldtr.base, state.tr.base,
        state.gdtr.base, state.idtr.base}) {
    if (!canonical(base)) return cannot_hold("segment or table base", base);
  }
  for (const Segment& segment : state.segment) {
    if (segment.type > 0xf) return cannot_hold("segment type", segment.type);
    if (segment.dpl > 3) return cannot_hold("segment DPL", segment.dpl);
  }
  for (const Segment* segment : {&state.ldtr, &state.tr}) {
    if (segment->type > 0xf) return cannot_hold("LDTR or TR type", segment->type);
    if (segment->dpl > 3) return cannot_hold("LDTR or TR DPL", segment->dpl);
  }
  return {};
}

/// What a guest could not have loaded. The rest is the guest's own doing.
Result<void> check(const CpuState& state) {
  constexpr std::uint64_t kFlags =
      kArithmeticFlags | kTf | kIf | kDf | kIopl | kNt | kRf | kAc | kVif | kVip | kId | 2;
  if (!fit_together(state.cr0, state.cr4, state.efer)) {
    return fail("CR0, CR4 and EFER do not fit together");
  }
  if (state.cr3 >> kPhysicalBits != 0) return cannot_hold("CR3", state.cr3);
  const bool code64 = (state.efer & kEferLma) != 0 && state.segment[kCs].long_code;
  const bool rip_fits = code64 ? canonical(state.rip) : state.rip >> 32 == 0;
  if (!rip_fits) return cannot_hold("RIP", state.rip);
  if (code64 && state.segment[kCs].big) return fail("CS cannot be of 64 and 32 bits");
  if ((state.rflags & ~kFlags) != 0 || (state.rflags & 2) == 0) {
    return cannot_hold("RFLAGS", state.rflags);
  }
  if (state.cpl > 3) return cannot_hold("CPL", state.cpl);
  if ((state.mxcsr & ~kMxcsrValid) != 0) return cannot_hold("MXCSR", state.mxcsr);
  if ((state.xcr0 & ~std::uint64_t{3}) != 0 || (state.xcr0 & 1) == 0) {
    return cannot_hold("XCR0", state.xcr0);
  }
  for (const std::uint64_t address :
       {state.lstar, state.cstar, state.kernel_gs_base, state.sysenter_esp, state.sysenter_eip}) {
    if (!canonical(address)) return cannot_hold("an MSR that is an address", address);
  }
  if (state.sfmask >> 32 != 0) return cannot_hold("SFMASK", state.sfmask);
  return check_segments(state);
}
}  // namespace

CpuState save_core(const Core& core) {
  CpuState state;
  copy_registers(state, core);
  state.rflags = rflags(core);
  state.x87 = save_x87(core.x87);
  return state;
}

Result<void> restore_core(Core& core, const CpuState& state) {
  if (auto checked = check(state); !checked) return checked;
  copy_registers(core, state);
  core.rflags = state.rflags & ~kArithmeticFlags;
  set_arithmetic_flags(core, state.rflags);
  core.x87 = restored_x87(state.x87);
  core.data_breakpoints = 0;
  return {};
}

}  // namespace vpmu::machine::x86
