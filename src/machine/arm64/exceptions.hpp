// SPDX-License-Identifier: MIT
//
// Exceptions: what they say (ESR_EL1, D13.2.37), entry to EL1 (D1.10), and exception returns
// (D1.11).
//
//   take(core, registers, exceptions::undefined(pc));
#pragma once

#include <cstdint>

#include "machine/arm64/core.hpp"
#include "machine/arm64/mmu.hpp"
#include "machine/arm64/registers.hpp"

namespace vpmu::machine::arm64 {

/// ESR_EL1.EC. Those of aborts and debug exceptions are from EL0; from EL1 it is one more.
enum class ExceptionClass : std::uint8_t {
  kUnknown = 0x00,
  kWfx = 0x01,
  kFpAccess = 0x07,
  kIllegalState = 0x0e,
  kSvc64 = 0x15,
  kSystemRegister = 0x18,
  kInstructionAbort = 0x20,
  kPcAlignment = 0x22,
  kDataAbort = 0x24,
  kSpAlignment = 0x26,
  kSError = 0x2f,
  kBreakpoint = 0x30,
  kSoftwareStep = 0x32,
  kWatchpoint = 0x34,
  kBrk64 = 0x3c,
};

/// ESR_EL1.
struct Syndrome : Register<std::uint64_t> {
  static constexpr Field<31, 26> kEc{};
  static constexpr Field<25> kIl{};
  static constexpr Field<24, 0> kIss{};
};

/// In the order of the vectors.
enum class ExceptionKind : std::uint8_t { kSynchronous, kIrq, kFiq, kSError };

struct Exception {
  ExceptionKind kind = ExceptionKind::kSynchronous;
  bool has_syndrome = true;  ///< not IRQ and FIQ
  bool has_address = false;  ///< FAR_EL1
  bool completes = false;    ///< the instruction has been executed: SVC
  std::uint64_t return_address = 0;
  std::uint64_t syndrome = 0;  ///< as from EL0: take() knows the class from EL1
  std::uint64_t address = 0;

  friend bool operator==(const Exception&, const Exception&) = default;
};

/// `pc` is the address of the instruction that raises the exception.
namespace exceptions {

[[nodiscard]] Exception irq(std::uint64_t pc);
[[nodiscard]] Exception fiq(std::uint64_t pc);
[[nodiscard]] Exception serror(std::uint64_t pc, std::uint32_t iss);
/// Undefined instructions: EC 0.
[[nodiscard]] Exception undefined(std::uint64_t pc);
/// Returns behind the SVC.
[[nodiscard]] Exception svc(std::uint64_t pc, std::uint16_t immediate);
[[nodiscard]] Exception brk(std::uint64_t pc, std::uint16_t immediate);
/// MSR, MRS, MSR (immediate) and system instructions that EL1 traps.
[[nodiscard]] Exception trapped_system(std::uint64_t pc, std::uint32_t word);
enum class Wfx : std::uint8_t { kWfi = 0, kWfe = 1 };
[[nodiscard]] Exception trapped_wait(std::uint64_t pc, Wfx wfx);
[[nodiscard]] Exception fp_access(std::uint64_t pc);
[[nodiscard]] Exception illegal_state(std::uint64_t pc);
/// The program counter is not a multiple of 4.
[[nodiscard]] Exception pc_alignment(std::uint64_t pc);
[[nodiscard]] Exception sp_alignment(std::uint64_t pc);
/// An instruction or data abort, as Fault::use says; a watchpoint's exception if its status is
/// that.
[[nodiscard]] Exception abort(std::uint64_t pc, const Fault& fault);
[[nodiscard]] Exception software_step(const Core& core, std::uint64_t pc);
[[nodiscard]] Exception breakpoint(std::uint64_t pc);
/// `address`: of the access.
[[nodiscard]] Exception watchpoint(std::uint64_t pc, std::uint64_t address, bool write);

}  // namespace exceptions

/// Enters the vector: SPSR, ELR, ESR and FAR of EL1, PSTATE, the stack pointer, the program
/// counter.
void take(Core& core, Registers& registers, const Exception& exception);

/// ERET at EL1: PSTATE from SPSR_EL1, the program counter from ELR_EL1. If SPSR_EL1 is not one that
/// can be returned to, PSTATE.IL is set and level and stack pointer stay (D1.11.4).
void exception_return(Core& core, Registers& registers);

/// The program counter after a branch to `target` at the current level: without the tag where
/// TCR_EL1.TBIx has it ignored.
[[nodiscard]] std::uint64_t branch_address(const Core& core, std::uint64_t target);

/// PSTATE.SP becomes `select`: the stack pointers change places.
void select_stack(Core& core, Registers& registers, bool select);

/// What is waiting, of the highest priority, and not masked at the current level. SErrors never
/// are.
enum class Pending : std::uint8_t { kNone, kFiq, kIrq };
[[nodiscard]] Pending unmasked(const Core& core, bool irq_waiting, bool fiq_waiting);

/// Software steps, breakpoints and watchpoints are taken from the current level: at EL1 only with
/// MDSCR_EL1.KDE and PSTATE.D clear, and never while the OS lock is locked.
[[nodiscard]] bool debug_exceptions_enabled(const Core& core);

/// Software step (D2.12): what the engine does at an instruction boundary.
enum class StepState : std::uint8_t {
  kInactive,
  kNotPending,  ///< run one instruction, then stepped()
  kPending,     ///< take a software step exception
};
[[nodiscard]] StepState step_state(const Core& core);
/// An instruction has been run in state kNotPending, and has raised no exception.
void stepped(Core& core, bool load_exclusive);

/// WFI or WFE at the current level is trapped, if it would wait.
[[nodiscard]] bool wait_trapped(const Core& core, exceptions::Wfx wfx);

/// SP alignment is checked at the current level, and the stack pointer is not aligned.
[[nodiscard]] bool stack_misaligned(const Core& core, std::uint64_t sp);

}  // namespace vpmu::machine::arm64
