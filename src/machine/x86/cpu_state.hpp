// SPDX-License-Identifier: MIT
//
// Everything of an x86 CPU that its guest, or the host counting what it does, could tell it by:
// what Cpu::save() gives at an instruction boundary and Cpu::restore() takes. Decoded code and TLBs
// are not among it: a restored CPU decodes and walks anew, which costs the guest no time.
#pragma once

#include <array>
#include <cstdint>

#include "machine/x86/core.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/branch_predictor.hpp"

namespace vpmu::machine::x86 {

struct X87State {
  /// Physical registers R0..R7 in the 80-bit format, as FNSAVE stores them.
  std::array<std::array<std::uint8_t, 10>, 8> r{};
  std::uint16_t control = 0;
  std::uint16_t status = 0;
  std::uint8_t valid = 0;  ///< bit i: R_i is not empty
  std::uint16_t last_opcode = 0;
  std::uint64_t last_instruction = 0;
  std::uint64_t last_data = 0;
  friend bool operator==(const X87State&, const X87State&) = default;
};

struct CpuState {
  std::array<std::uint64_t, 16> gpr{};
  std::uint64_t rip = 0;
  std::uint64_t rflags = 2;  ///< all of it, arithmetic flags worked out
  std::uint8_t cpl = 0;

  std::array<Segment, 6> segment{};  ///< by SegmentIndex
  Segment ldtr;
  Segment tr;
  DescriptorTable gdtr;
  DescriptorTable idtr;
  std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, efer = 0, xcr0 = 1;
  std::array<std::uint64_t, 4> dr{};
  std::uint64_t dr6 = 0, dr7 = 0;

  std::array<Xmm, 16> xmm{};
  std::uint32_t mxcsr = 0;
  X87State x87;

  std::uint64_t star = 0, lstar = 0, cstar = 0, sfmask = 0, kernel_gs_base = 0;
  std::uint64_t sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
  std::uint64_t tsc_offset = 0, tsc_adjust = 0;
  std::uint32_t tsc_aux = 0;

  bool halted = false;
  bool waiting_for_sipi = false;
  bool nmi_pending = false;
  bool nmi_blocked = false;
  bool interrupt_shadow = false;
  bool stack_switch_shadow = false;
  bool debug_trap = false;
  bool shut_down = false;  ///< by a triple fault

  silicon::BranchPredictor::State predictor;

  friend bool operator==(const CpuState&, const CpuState&) = default;
};

/// The part of it that is in Core; the rest is the caller's.
CpuState save_core(const Core& core);
/// Refused, and nothing has changed, if no guest could have brought such a state about. The caller
/// then derives what follows from it (mode, TLB).
Result<void> restore_core(Core& core, const CpuState& state);

}  // namespace vpmu::machine::x86
