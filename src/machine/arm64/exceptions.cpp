// SPDX-License-Identifier: MIT
#include "machine/arm64/exceptions.hpp"

namespace vpmu::machine::arm64 {

namespace {

// Instruction specific syndromes (D13.2.37).

/// MSR, MRS and system instructions (EC 0x18).
struct SystemIss : Register<std::uint64_t> {
  static constexpr Field<21, 20> kOp0{};
  static constexpr Field<19, 17> kOp2{};
  static constexpr Field<16, 14> kOp1{};
  static constexpr Field<13, 10> kCrn{};
  static constexpr Field<9, 5> kRt{};
  static constexpr Field<4, 1> kCrm{};
  static constexpr Field<0> kRead{};
};

/// Aborts and debug exceptions.
struct AbortIss : Register<std::uint64_t> {
  static constexpr Field<24> kStepValid{};     ///< software step: kLoadExclusive says something
  static constexpr Field<8> kMaintenance{};    ///< CM
  static constexpr Field<6> kWrite{};          ///< WnR
  static constexpr Field<6> kLoadExclusive{};  ///< software step: EX
  static constexpr Field<5, 0> kStatus{};
};
constexpr std::uint64_t kDebugStatus = fault_status(FaultStatus::kDebug);

/// Of conditional instructions: a condition is given, and it is "always".
constexpr std::uint64_t kAlways = 1 << 24 | 0xe << 20;

constexpr std::uint64_t syndrome(ExceptionClass which, std::uint64_t iss) {
  Syndrome esr;
  esr.set(Syndrome::kEc, static_cast<std::uint64_t>(which));
  esr.set(Syndrome::kIl, 1);  // all instructions are 32 bits
  esr.set(Syndrome::kIss, iss);
  return esr.raw;
}

Exception synchronous(std::uint64_t return_address, ExceptionClass which, std::uint64_t iss) {
  return {.return_address = return_address, .syndrome = syndrome(which, iss)};
}

Exception synchronous_at(std::uint64_t return_address, ExceptionClass which, std::uint64_t iss,
                         std::uint64_t address) {
  Exception exception = synchronous(return_address, which, iss);
  exception.has_address = true;
  exception.address = address;
  return exception;
}

/// The class is one more if the exception comes from EL1.
bool has_two_classes(std::uint64_t which) {
  switch (static_cast<ExceptionClass>(which)) {
    case ExceptionClass::kInstructionAbort:
    case ExceptionClass::kDataAbort:
    case ExceptionClass::kBreakpoint:
    case ExceptionClass::kSoftwareStep:
    case ExceptionClass::kWatchpoint: return true;
    default: return false;
  }
}

/// Level and stack selection change, and with them the stack pointer in use.
void enter(Core& core, Registers& registers, ExceptionLevel el, bool sp_select) {
  core.sp_el[core.stack_in_use()] = registers.sp();
  core.el = el;
  core.sp_select = sp_select;
  registers.set_sp(core.sp_el[core.stack_in_use()]);
}

std::uint64_t vector(const Core& core, ExceptionKind kind) {
  constexpr std::uint64_t kFromLower = 0x400, kFromSpx = 0x200, kStep = 0x80;
  std::uint64_t offset = 0;
  if (core.el == ExceptionLevel::kEl0) {
    offset = kFromLower;
  } else if (core.sp_select) {
    offset = kFromSpx;
  }
  return core.vbar + offset + kStep * static_cast<std::uint64_t>(kind);
}

/// Debug exceptions are taken from that level while PSTATE.D is `masked`.
bool debug_exceptions(const Core& core, ExceptionLevel from, bool masked) {
  if (core.os_lock) return false;
  return from == ExceptionLevel::kEl0 || (Mdscr{{core.mdscr}}.get(Mdscr::kKde) != 0 && !masked);
}

/// PSTATE.SS after an exception return (DebugExceptionReturnSS).
bool step_after_return(const Core& core, Spsr spsr, ExceptionLevel destination) {
  const bool masked = (spsr.get(Spsr::kDaif) & kMaskDebug) != 0;
  const bool starts = Mdscr{{core.mdscr}}.get(Mdscr::kSs) != 0 && !debug_exceptions_enabled(core) &&
                      debug_exceptions(core, destination, masked);
  return starts && spsr.get(Spsr::kSs) != 0;
}

/// EL0t, EL1t and EL1h are all that can be returned to.
bool returnable(Spsr spsr) {
  constexpr std::uint64_t kEl0t = 0b00000, kEl1t = 0b00100, kEl1h = 0b00101;
  const std::uint64_t mode = spsr.get(Spsr::kMode);
  return mode == kEl0t || mode == kEl1t || mode == kEl1h;
}

}  // namespace

namespace exceptions {

Exception irq(std::uint64_t pc) {
  return {.kind = ExceptionKind::kIrq, .has_syndrome = false, .return_address = pc};
}

Exception fiq(std::uint64_t pc) {
  return {.kind = ExceptionKind::kFiq, .has_syndrome = false, .return_address = pc};
}

Exception serror(std::uint64_t pc, std::uint32_t iss) {
  Exception exception = synchronous(pc, ExceptionClass::kSError, iss);
  exception.kind = ExceptionKind::kSError;
  return exception;
}

Exception undefined(std::uint64_t pc) {
  return synchronous(pc, ExceptionClass::kUnknown, 0);
}

Exception svc(std::uint64_t pc, std::uint16_t immediate) {
  Exception exception = synchronous(pc + 4, ExceptionClass::kSvc64, immediate);
  exception.completes = true;
  return exception;
}

Exception brk(std::uint64_t pc, std::uint16_t immediate) {
  return synchronous(pc, ExceptionClass::kBrk64, immediate);
}

Exception trapped_system(std::uint64_t pc, std::uint32_t word) {
  SystemIss iss;
  iss.set(SystemIss::kRead, word >> 21);
  iss.set(SystemIss::kOp0, word >> 19);
  iss.set(SystemIss::kOp1, word >> 16);
  iss.set(SystemIss::kCrn, word >> 12);
  iss.set(SystemIss::kCrm, word >> 8);
  iss.set(SystemIss::kOp2, word >> 5);
  iss.set(SystemIss::kRt, word);
  return synchronous(pc, ExceptionClass::kSystemRegister, iss.raw);
}

Exception trapped_wait(std::uint64_t pc, Wfx wfx) {
  return synchronous(pc, ExceptionClass::kWfx, kAlways | static_cast<std::uint64_t>(wfx));
}

Exception fp_access(std::uint64_t pc) {
  return synchronous(pc, ExceptionClass::kFpAccess, kAlways);
}

Exception illegal_state(std::uint64_t pc) {
  return synchronous(pc, ExceptionClass::kIllegalState, 0);
}

Exception pc_alignment(std::uint64_t pc) {
  return synchronous_at(pc, ExceptionClass::kPcAlignment, 0, pc);
}

Exception sp_alignment(std::uint64_t pc) {
  return synchronous(pc, ExceptionClass::kSpAlignment, 0);
}

Exception abort(std::uint64_t pc, const Fault& fault) {
  if (fault.status == fault_status(FaultStatus::kDebug)) {
    return watchpoint(pc, fault.address, fault.use == MemoryUse::kWrite);
  }
  AbortIss iss;
  iss.set(AbortIss::kStatus, fault.status);
  iss.set(AbortIss::kMaintenance, fault.maintenance ? 1 : 0);
  iss.set(AbortIss::kWrite, fault.use == MemoryUse::kWrite ? 1 : 0);
  const auto which = fault.use == MemoryUse::kFetch ? ExceptionClass::kInstructionAbort
                                                    : ExceptionClass::kDataAbort;
  return synchronous_at(pc, which, iss.raw, fault.address);
}

Exception software_step(const Core& core, std::uint64_t pc) {
  AbortIss iss;
  iss.set(AbortIss::kStatus, kDebugStatus);
  iss.set(AbortIss::kStepValid, core.stepped ? 1 : 0);
  iss.set(AbortIss::kLoadExclusive, core.stepped && core.stepped_exclusive ? 1 : 0);
  return synchronous(pc, ExceptionClass::kSoftwareStep, iss.raw);
}

Exception breakpoint(std::uint64_t pc) {
  return synchronous(pc, ExceptionClass::kBreakpoint, kDebugStatus);
}

Exception watchpoint(std::uint64_t pc, std::uint64_t address, bool write) {
  AbortIss iss;
  iss.set(AbortIss::kStatus, kDebugStatus);
  iss.set(AbortIss::kWrite, write ? 1 : 0);
  return synchronous_at(pc, ExceptionClass::kWatchpoint, iss.raw, address);
}

}  // namespace exceptions

void take(Core& core, Registers& registers, const Exception& exception) {
  if (exception.completes) core.ss = false;
  if (exception.has_syndrome) {
    Syndrome esr{{exception.syndrome}};
    const std::uint64_t which = esr.get(Syndrome::kEc);
    const bool from_el1 = core.el == ExceptionLevel::kEl1;
    if (from_el1 && has_two_classes(which)) esr.set(Syndrome::kEc, which + 1);
    core.esr = esr.raw;
  }
  if (exception.has_address) core.far = exception.address;
  core.spsr = pstate(core, registers.nzcv());
  core.elr = exception.return_address;
  const std::uint64_t entry = vector(core, exception.kind);

  enter(core, registers, ExceptionLevel::kEl1, true);
  core.daif = kMaskAll;
  core.ss = core.il = false;
  core.stepped = core.stepped_exclusive = false;
  if (core.control().get(Sctlr::kSpan) == 0) core.pan = true;
  registers.set_pc(entry);
  registers.clear_exclusive();
}

void exception_return(Core& core, Registers& registers) {
  const Spsr spsr{{core.spsr}};
  const bool legal = returnable(spsr);
  const auto el = legal ? static_cast<ExceptionLevel>(spsr.get(Spsr::kEl)) : core.el;
  core.ss = step_after_return(core, spsr, el);
  core.stepped = core.stepped_exclusive = false;
  core.il = !legal || spsr.get(Spsr::kIl) != 0;
  core.daif = static_cast<std::uint8_t>(spsr.get(Spsr::kDaif));
  core.pan = spsr.get(Spsr::kPan) != 0;
  registers.set_nzcv(static_cast<std::uint32_t>(spsr.raw & Spsr::kNzcv.kMask));
  if (legal) enter(core, registers, el, spsr.get(Spsr::kSp) != 0);
  registers.set_pc(branch_address(core, core.elr));
  registers.clear_exclusive();
}

std::uint64_t branch_address(const Core& core, std::uint64_t target) {
  if (!tag_ignored(core, target)) return target;
  const bool upper = (target >> 55 & 1) != 0;
  return upper ? target | kTagBits : target & ~kTagBits;
}

void select_stack(Core& core, Registers& registers, bool select) {
  enter(core, registers, core.el, select);
}

Pending unmasked(const Core& core, bool irq_waiting, bool fiq_waiting) {
  if (fiq_waiting && (core.daif & kMaskFiq) == 0) return Pending::kFiq;
  if (irq_waiting && (core.daif & kMaskIrq) == 0) return Pending::kIrq;
  return Pending::kNone;
}

bool debug_exceptions_enabled(const Core& core) {
  return debug_exceptions(core, core.el, (core.daif & kMaskDebug) != 0);
}

StepState step_state(const Core& core) {
  if (Mdscr{{core.mdscr}}.get(Mdscr::kSs) == 0 || !debug_exceptions_enabled(core)) {
    return StepState::kInactive;
  }
  return core.ss ? StepState::kNotPending : StepState::kPending;
}

void stepped(Core& core, bool load_exclusive) {
  core.ss = false;
  core.stepped = true;
  core.stepped_exclusive = load_exclusive;
}

bool wait_trapped(const Core& core, exceptions::Wfx wfx) {
  if (core.el != ExceptionLevel::kEl0) return false;
  const Sctlr sctlr = core.control();
  return (wfx == exceptions::Wfx::kWfi ? sctlr.get(Sctlr::kNtwi) : sctlr.get(Sctlr::kNtwe)) == 0;
}

bool stack_misaligned(const Core& core, std::uint64_t sp) {
  const Sctlr sctlr = core.control();
  const bool el0 = core.el == ExceptionLevel::kEl0;
  return (el0 ? sctlr.get(Sctlr::kSa0) : sctlr.get(Sctlr::kSa)) != 0 && sp % 16 != 0;
}

}  // namespace vpmu::machine::arm64
