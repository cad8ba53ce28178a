// SPDX-License-Identifier: MIT
//
// Segment registers, far transfers of control, and the delivery of interrupts and exceptions.
//
// Functions that return bool: false means that Core::exception is set and nothing else has changed.
// The caller raises it at the instruction (or, in delivery, makes a double fault of it).
#pragma once

#include <cstdint>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// An 8-byte descriptor unpacked. In real mode segments are made by real_mode_segment().
Segment unpack(std::uint16_t selector, std::uint64_t descriptor);

Segment real_mode_segment(std::uint16_t selector);

/// MOV Sreg, POP Sreg, LxS: loads ES, SS, DS, FS or GS with all checks.
bool load_segment(Core& core, SegmentIndex index, std::uint16_t selector);
bool load_ldt(Core& core, std::uint16_t selector);
bool load_task_register(Core& core, std::uint16_t selector);

/// JMP and CALL to selector:offset, RETF and IRET. `bytes` is the operand size: 2, 4 or 8.
bool far_jump(Core& core, std::uint16_t selector, std::uint64_t offset);
bool far_call(Core& core, std::uint16_t selector, std::uint64_t offset, unsigned bytes,
              std::uint64_t return_rip);
bool far_return(Core& core, unsigned bytes, std::uint16_t release);
bool interrupt_return(Core& core, unsigned bytes);

/// Why an interrupt is delivered: decides error codes, privilege checks and which RIP is pushed.
enum class EventSource : std::uint8_t {
  kExternal,  ///< INTR
  kNonMaskable,
  kException,  ///< fault or trap found by the processor
  kSoftware,   ///< INT n, INT3, INTO: the gate's DPL is checked
};

/// Delivers through the IDT, with Core::rip as the return address; a failing delivery becomes a
/// double fault. False: a triple fault; the CPU is shut down.
bool deliver(Core& core, EventSource source, const Exception& event);
/// Delivers once: for INT n, whose own faults are raised at the instruction. `return_rip` is
/// pushed.
bool deliver_software(Core& core, std::uint8_t vector, std::uint64_t return_rip);

/// The stack pointer's width: RSP, ESP or SP.
[[gnu::always_inline]] inline std::uint64_t stack_mask(const Core& core) {
  if (core.code64()) return ~std::uint64_t{0};
  return core.mode.bits & Mode::kStack16 ? 0xffff : 0xffffffff;
}

}  // namespace vpmu::machine::x86
