// SPDX-License-Identifier: MIT
//
// Every synchronous exception that EL1 and EL0 can raise: its syndrome, its address, where it
// returns to, and the state that the CPU is in at the vector.
#include "machine/attempts.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/// No level 1 entry: behind RAM.
#define UNMAPPED 0x80000000u
/// Beyond what T0SZ and T1SZ leave.
#define OUT_OF_RANGE 0x0000008000000000u
#define UPPER_HALF 0xffffffff00000000u
/// Mapped, but no memory.
#define NO_MEMORY 0x7fe00000u
/// Mapped for devices.
#define NO_DEVICE 0x07000000u
#define POISON 0xdead000000000100u

// ISS of aborts.
enum { WRITE = 1 << 6, MAINTENANCE = 1 << 8 };
enum { TRANSLATION = 0x04, PERMISSION = 0x0c, EXTERNAL = 0x10, ALIGNMENT = 0x21 };

static uint64_t words[4] __attribute__((aligned(64)));
USER_DATA static uint64_t user_words[4] __attribute__((aligned(64)));

static void check_instructions(void) {
  const struct attempt attempts[] = {
      {"UDF is undefined", undefined, 0, ESR(EC_UNKNOWN, 0), false, 0},
      {"HLT without a debugger is undefined", halting_debug, 0, ESR(EC_UNKNOWN, 0), false, 0},
      {"an unknown system register is undefined", unknown_register, 0, ESR(EC_UNKNOWN, 0), false,
       0},
      {"SVC returns behind itself", supervisor_call, 0, ESR(EC_SVC, 0x1234), false, 4},
      {"BRK returns to itself", breakpoint, 0, ESR(EC_BRK, 0xabcd), false, 0},
  };
  check_attempts(attempts, LENGTH(attempts));
  const struct attempt user_attempts[] = {
      {"EL0: UDF is undefined", user_undefined, 0, ESR(EC_UNKNOWN, 0), false, 0},
      {"EL0: HLT is undefined", user_halting_debug, 0, ESR(EC_UNKNOWN, 0), false, 0},
      {"EL0: an unknown system register is undefined", user_unknown_register, 0, ESR(EC_UNKNOWN, 0),
       false, 0},
      {"EL0: SVC returns behind itself", user_supervisor_call, 0, ESR(EC_SVC, 0x1234), false, 4},
      {"EL0: BRK returns to itself", user_breakpoint, 0, ESR(EC_BRK, 0xabcd), false, 0},
      {"EL0: registers of EL1 are undefined", user_read_control, 0, ESR(EC_UNKNOWN, 0), false, 0},
      {"EL0: writing them, too", user_write_control, 0, ESR(EC_UNKNOWN, 0), false, 0},
      {"EL0: ERET is undefined", user_exception_return, 0, ESR(EC_UNKNOWN, 0), false, 0},
      {"EL0: HVC is undefined", user_hypervisor_call, 0, ESR(EC_UNKNOWN, 0), false, 0},
      {"EL0: TLBI is undefined", user_invalidate_tlb, 0, ESR(EC_UNKNOWN, 0), false, 0},
  };
  check_user_attempts(user_attempts, LENGTH(user_attempts));
}

static void check_data_aborts(void) {
  const struct attempt attempts[] = {
      {"reading what no level 1 entry maps", read_64, UNMAPPED + 0x123,
       ESR(EC_DATA_ABORT, TRANSLATION | 1), true, 0},
      {"writing it", write_8, UNMAPPED + 0x456, ESR(EC_DATA_ABORT, WRITE | TRANSLATION | 1), true,
       0},
      {"the last byte of the address space", read_8, ~0ULL, ESR(EC_DATA_ABORT, TRANSLATION), true,
       0},
      {"an address beyond T0SZ", read_32, OUT_OF_RANGE, ESR(EC_DATA_ABORT, TRANSLATION), true, 0},
      {"an address of TTBR1 while EPD1 is set", write_64, UPPER_HALF,
       ESR(EC_DATA_ABORT, WRITE | TRANSLATION), true, 0},
      {"LDP of what is not mapped", read_pair, UNMAPPED, ESR(EC_DATA_ABORT, TRANSLATION | 1), true,
       0},
      {"a SIMD load of what is not mapped", read_quad, UNMAPPED + 16,
       ESR(EC_DATA_ABORT, TRANSLATION | 1), true, 0},
      {"DC ZVA of what is not mapped", zero_block, UNMAPPED + 8,
       ESR(EC_DATA_ABORT, WRITE | TRANSLATION | 1), true, 0},
      {"DC CIVAC of what is not mapped", clean_data, UNMAPPED + 8,
       ESR(EC_DATA_ABORT, MAINTENANCE | WRITE | TRANSLATION | 1), true, 0},
      {"IC IVAU of what is not mapped", invalidate_code, UNMAPPED + 8,
       ESR(EC_DATA_ABORT, MAINTENANCE | WRITE | TRANSLATION | 1), true, 0},
      {"reading where no memory is", read_64, NO_MEMORY + 8, ESR(EC_DATA_ABORT, EXTERNAL), true, 0},
      {"writing there", write_32, NO_MEMORY, ESR(EC_DATA_ABORT, WRITE | EXTERNAL), true, 0},
      {"LDP from there", read_pair, NO_MEMORY, ESR(EC_DATA_ABORT, EXTERNAL), true, 0},
      {"DC ZVA there", zero_block, NO_MEMORY, ESR(EC_DATA_ABORT, WRITE | EXTERNAL), true, 0},
      {"reading where no device is", read_32, NO_DEVICE, ESR(EC_DATA_ABORT, EXTERNAL), true, 0},
  };
  check_attempts(attempts, LENGTH(attempts));
  const struct attempt user_attempts[] = {
      {"EL0: reading EL1's memory", user_read_64, (uint64_t)words,
       ESR(EC_DATA_ABORT_EL0, PERMISSION | 2), true, 0},
      {"EL0: writing it", user_write_32, (uint64_t)words,
       ESR(EC_DATA_ABORT_EL0, WRITE | PERMISSION | 2), true, 0},
      {"EL0: devices", user_read_32, 0x09000018, ESR(EC_DATA_ABORT_EL0, PERMISSION | 1), true, 0},
      {"EL0: what is not mapped", user_write_8, UNMAPPED,
       ESR(EC_DATA_ABORT_EL0, WRITE | TRANSLATION | 1), true, 0},
  };
  check_user_attempts(user_attempts, LENGTH(user_attempts));
}

static void check_alignment(void) {
  const uint64_t odd = (uint64_t)words + 1;
  CHECK(guard(read_64, (void*)odd).kind == NO_TRAP, "without SCTLR.A loads need no alignment");
  const struct attempt device[] = {
      {"a load from a device must be aligned", read_32, 0x09000fe1, ESR(EC_DATA_ABORT, ALIGNMENT),
       true, 0},
  };
  check_attempts(device, LENGTH(device));
  write_sysreg(sctlr_el1, SCTLR_START | SCTLR_A);
  isb();
  const struct attempt attempts[] = {
      {"SCTLR.A: LDR that is not aligned", read_64, odd, ESR(EC_DATA_ABORT, ALIGNMENT), true, 0},
      {"SCTLR.A: STR that is not aligned", write_32, odd, ESR(EC_DATA_ABORT, WRITE | ALIGNMENT),
       true, 0},
      {"SCTLR.A: LDP that is not aligned", read_pair, odd, ESR(EC_DATA_ABORT, ALIGNMENT), true, 0},
  };
  check_attempts(attempts, LENGTH(attempts));
  CHECK(guard(read_8, (void*)odd).kind == NO_TRAP, "SCTLR.A: bytes are always aligned");
  const struct attempt user_attempts[] = {
      {"SCTLR.A: EL0's LDR that is not aligned", user_read_32, (uint64_t)user_words + 2,
       ESR(EC_DATA_ABORT_EL0, ALIGNMENT), true, 0},
  };
  check_user_attempts(user_attempts, LENGTH(user_attempts));
  write_sysreg(sctlr_el1, SCTLR_START);
  isb();
}

static void check_registers_at_faults(void) {
  struct trap trap = guard(read_and_increment, (void*)(uint64_t)UNMAPPED);
  CHECK_EQUAL(trap.x[0], UNMAPPED, "a load with write-back that faults leaves its base");
  // The pair's second half is its base: the first half must not be loaded either.
  const uint64_t end = UNMAPPED - 8;
  trap = guard(read_pair, (void*)end);
  CHECK(trap.kind == EC_DATA_ABORT && trap.x[0] == end, "a pair that faults leaves its base");
}

/// Jumps there; LR is set so that the code can return.
static struct trap fetch(uint64_t address) {
  return guard(jump, (void*)address);
}
static bool fetch_faults(uint64_t address, unsigned ec, uint64_t iss) {
  const struct trap trap = fetch(address);
  if (trap.esr == ESR(ec, iss) && trap.far == address && trap.elr == address) return true;
  print("      (ESR 0x%08lx FAR 0x%lx ELR 0x%lx)\n", trap.esr, trap.far, trap.elr);
  return false;
}
static bool user_fetch_faults(uint64_t address, unsigned ec, uint64_t iss) {
  const struct trap trap = attempt_in_user(user_jump, address);
  if (trap.esr == ESR(ec, iss) && trap.far == address && trap.elr == address) return true;
  print("      (ESR 0x%08lx FAR 0x%lx ELR 0x%lx)\n", trap.esr, trap.far, trap.elr);
  return false;
}

static void check_instruction_aborts(void) {
  CHECK(fetch_faults(UNMAPPED + 0x40, EC_INSTRUCTION_ABORT, TRANSLATION | 1),
        "a jump to what is not mapped");
  CHECK(fetch_faults(OUT_OF_RANGE, EC_INSTRUCTION_ABORT, TRANSLATION), "a jump beyond T0SZ");
  CHECK(fetch_faults(POISON, EC_INSTRUCTION_ABORT, TRANSLATION), "a jump to no address at all");
  CHECK(user_fetch_faults(POISON, EC_INSTRUCTION_ABORT_EL0, TRANSLATION),
        "EL0: a jump to no address at all");
  CHECK(fetch_faults(0x09000000, EC_INSTRUCTION_ABORT, PERMISSION | 1),
        "a jump to a device: PXN of a level 1 block");
  CHECK(fetch_faults((uint64_t)user_undefined, EC_INSTRUCTION_ABORT, PERMISSION | 2),
        "a jump to what EL0 may write");
  CHECK(fetch_faults(NO_MEMORY, EC_INSTRUCTION_ABORT, EXTERNAL), "a jump to where no memory is");
  CHECK(fetch_faults((uint64_t)undefined + 2, EC_PC_ALIGNMENT, 0),
        "a jump to what is not a multiple of 4");
  CHECK(user_fetch_faults((uint64_t)undefined, EC_INSTRUCTION_ABORT_EL0, PERMISSION | 2),
        "EL0: a jump to EL1's code");
  CHECK(user_fetch_faults(UNMAPPED, EC_INSTRUCTION_ABORT_EL0, TRANSLATION | 1),
        "EL0: a jump to what is not mapped");
  CHECK(user_fetch_faults((uint64_t)user_undefined + 1, EC_PC_ALIGNMENT, 0),
        "EL0: a jump to an odd address");
}

// ---- State at the vector, and what comes back ----------------------------------------------

static volatile uint64_t daif_at_vector, spsel_at_vector, level_at_vector;
static struct trap seen;
static void note(struct trap* frame) {
  daif_at_vector = read_sysreg(daif);
  spsel_at_vector = read_sysreg(spsel);
  level_at_vector = read_sysreg(currentel);
  seen = *frame;
}

static void check_state(void) {
  set_handler(EC_SVC, note);
  const uint64_t flags = 0xa0000000;  // N and C
  uint64_t flags_after;
  __asm__ volatile(
      "msr daifclr, #15\n"
      "msr nzcv, %1\n"
      "svc #7\n"
      "mrs %0, nzcv\n"
      "msr daifset, #15\n"
      : "=r"(flags_after)
      : "r"(flags)
      : "memory", "cc");
  CHECK_EQUAL(seen.esr, ESR(EC_SVC, 7), "a handler returns behind the SVC");
  CHECK_EQUAL(seen.spsr & 0xf00003ff, flags | SPSR_EL1H, "SPSR_EL1 has flags, masks and mode");
  CHECK(daif_at_vector == 0x3c0 && spsel_at_vector == 1 && level_at_vector == 4,
        "at the vector everything is masked, and SP_EL1 in use");
  CHECK_EQUAL(flags_after, flags, "ERET brings the flags back");
  set_handler(EC_SVC, 0);

  __asm__ volatile("msr daifset, #5");
  CHECK_EQUAL(guard(undefined, 0).spsr & 0x3ff, SPSR_A | SPSR_F | SPSR_D | SPSR_I | SPSR_EL1H,
              "masks are in SPSR_EL1 as they were");
  const struct trap trap =
      run_user((struct user_entry){.pc = (uint64_t)user_undefined, .spsr = 0x50000000 | SPSR_I});
  CHECK_EQUAL(trap.spsr & 0xf00003ff, 0x50000000 | SPSR_I | SPSR_EL0T,
              "ERET to EL0 takes flags and masks from SPSR_EL1");
}

// ---- Returns that are not legal -------------------------------------------------------------

static void return_with(void* spsr) {
  __asm__ volatile(
      "adr x1, 1f\n"
      "msr elr_el1, x1\n"
      "msr spsr_el1, %0\n"
      "eret\n"
      "1: nop\n"
      :
      : "r"(spsr)
      : "x1", "memory");
}
static void check_illegal(uint64_t spsr, const char* what) {
  const struct trap trap = guard(return_with, (void*)spsr);
  const bool passed = trap.esr == ESR(EC_ILLEGAL_STATE, 0) && (trap.spsr & SPSR_IL) != 0 &&
                      (trap.spsr & 0x1f) == SPSR_EL1H && trap.vector == 4;
  CHECK(passed, "ERET to %s is an illegal execution state", what);
  if (!passed) print("      (ESR 0x%08lx SPSR 0x%lx)\n", trap.esr, trap.spsr);
}

static void check_illegal_returns(void) {
  check_illegal(0x3c9, "EL2");
  check_illegal(0x3cd, "EL3");
  check_illegal(0x3c1, "EL0 with SP_EL1");
  check_illegal(0x3c6, "a reserved mode");
  check_illegal(0x3d3, "AArch32 at EL1");
  if ((read_sysreg(id_aa64pfr0_el1) & 15) == 1) {
    check_illegal(0x3d0, "AArch32 at EL0, which this CPU has not");
  } else {
    check_skip("this CPU has AArch32 at EL0");
  }
  const struct trap trap = run_user(
      (struct user_entry){.pc = (uint64_t)user_undefined, .spsr = SPSR_IL | SPSR_EL0T | SPSR_I});
  CHECK(trap.esr == ESR(EC_ILLEGAL_STATE, 0) && trap.elr == (uint64_t)user_undefined &&
            (trap.spsr & SPSR_IL) != 0 && trap.vector == 8,
        "EL0 with PSTATE.IL executes nothing");
}

// ---- Floating point ------------------------------------------------------------------------

static void check_float_traps(void) {
  enum { FP_ISS = 0x1e00000 };  // CV, COND always
  write_sysreg(cpacr_el1, 0);
  isb();
  CHECK(expect_fault(ESR(EC_FP, FP_ISS), float_move, 0), "CPACR.FPEN 0: EL1 traps");
  CHECK(expect_fault(ESR(EC_FP, FP_ISS), simd_add, 0), "CPACR.FPEN 0: SIMD, too");
  CHECK(expect_fault(ESR(EC_FP, FP_ISS), read_quad, words), "CPACR.FPEN 0: loads, too");
  CHECK(user_faults(ESR(EC_FP, FP_ISS), user_float_move, 0), "CPACR.FPEN 0: EL0 traps");
  write_sysreg(cpacr_el1, 1 << 20);
  isb();
  CHECK(guard(float_move, 0).kind == NO_TRAP, "CPACR.FPEN 1: EL1 does not");
  CHECK(user_faults(ESR(EC_FP, FP_ISS), user_simd_add, 0), "CPACR.FPEN 1: EL0 does");
  write_sysreg(cpacr_el1, 3 << 20);
  isb();
  CHECK(user_survives(user_float_move, 0), "CPACR.FPEN 3: EL0 does not");
}

void guest_main(void) {
  check_instructions();
  check_data_aborts();
  check_alignment();
  check_registers_at_faults();
  check_instruction_aborts();
  check_state();
  check_illegal_returns();
  check_float_traps();
}
