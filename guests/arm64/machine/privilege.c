// SPDX-License-Identifier: MIT
//
// What EL1 lets EL0 do: SCTLR_EL1's traps, system calls, thread registers, and accesses with EL0's
// rights.
#include "machine/attempts.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

enum { ALWAYS = 0x1e00000 };

USER_DATA static uint64_t user_line[16] __attribute__((aligned(128)));

static void set_control(uint64_t bits) {
  write_sysreg(sctlr_el1, SCTLR_START | bits);
  isb();
}

static void check_control(void) {
  const uint64_t line = (uint64_t)user_line;
  const struct {
    const char* name;
    void (*code)(void*);
    uint64_t argument, bit, esr;
  } controls[] = {
      {"UCT: MRS CTR_EL0", user_read_cache_type, 0, SCTLR_UCT, TRAPPED(3, 3, 0, 0, 1, 5, 1)},
      {"DZE: DC ZVA", user_zero_block, line, SCTLR_DZE, TRAPPED(1, 3, 7, 4, 1, 0, 0)},
      {"UCI: DC CIVAC", user_clean_data, line, SCTLR_UCI, TRAPPED(1, 3, 7, 14, 1, 0, 0)},
      {"UCI: IC IVAU", user_invalidate_code, line, SCTLR_UCI, TRAPPED(1, 3, 7, 5, 1, 0, 0)},
      {"UMA: MRS DAIF", user_read_daif, 0, SCTLR_UMA, TRAPPED(3, 3, 4, 2, 1, 7, 1)},
      {"UMA: MSR DAIFSet", user_mask_interrupts, 0, SCTLR_UMA, TRAPPED(0, 3, 4, 2, 6, 31, 0)},
  };
  for (unsigned i = 0; i < sizeof controls / sizeof *controls; ++i) {
    set_control(0);
    CHECK(user_faults(controls[i].esr, controls[i].code, controls[i].argument),
          "without SCTLR.%s traps", controls[i].name);
    set_control(controls[i].bit);
    CHECK(user_survives(controls[i].code, controls[i].argument), "with it, it does not");
  }
  set_control(0);
  CHECK(user_faults(ESR(EC_WFX, ALWAYS), user_wait_for_interrupt, 0),
        "without SCTLR.nTWI WFI traps");
  __asm__ volatile("msr cntkctl_el1, xzr\nclrex\nsevl\nwfe");  // no event is left
  CHECK(user_faults(ESR(EC_WFX, ALWAYS | 1), user_wait_for_event, 0),
        "without SCTLR.nTWE WFE traps");
  set_control(SCTLR_NTWE);
  sev();
  CHECK(user_survives(user_wait_for_event, 0), "with it, WFE takes the event");
  set_control(0);
}

// ---- System calls ---------------------------------------------------------------------------

static volatile uint64_t calls;
static void on_call(struct trap* frame) {
  if ((frame->esr & 0xffff) == USER_SURVIVED) {
    set_handler(EC_SVC, 0);
    frame->elr -= 4;  // once more, and that ends it
    return;
  }
  ++calls;
  frame->x[0] = frame->x[0] * 3 + (frame->esr & 0xffff);
}
USER_CODE static void user_calls(uint64_t rounds) {
  register uint64_t x0 __asm__("x0") = 1;
  for (uint64_t i = 0; i < rounds; ++i) __asm__ volatile("svc #2" : "+r"(x0) : : "memory");
  __asm__ volatile("svc #0x99" : : "r"(x0));
}

static void check_calls(void) {
  set_handler(EC_SVC, on_call);
  const struct trap trap = run_user((struct user_entry){.pc = (uint64_t)user_calls, .x0 = 20});
  uint64_t expected = 1;
  for (unsigned i = 0; i < 20; ++i) expected = expected * 3 + 2;
  CHECK(calls == 20 && trap.x[0] == expected, "SVC takes arguments there and results back");
}

// ---- Thread registers -----------------------------------------------------------------------

USER_CODE static void user_threads(uint64_t value) {
  uint64_t read_only;
  __asm__ volatile(
      "msr tpidr_el0, %1\n"
      "mrs %0, tpidrro_el0\n"
      "mov x0, %0\n"
      "svc #0x99\n"
      : "=&r"(read_only)
      : "r"(value)
      : "x0");
}
USER_CODE static void user_write_read_only(void) {
  __asm__ volatile("msr tpidrro_el0, xzr");
}

static void check_threads(void) {
  write_sysreg(tpidrro_el0, 0x1234567812345678);
  const uint64_t value = 0xfedcba9876543210;
  const struct trap trap = run_user((struct user_entry){.pc = (uint64_t)user_threads, .x0 = value});
  CHECK(trap.x[0] == 0x1234567812345678 && read_sysreg(tpidr_el0) == value,
        "EL0 writes TPIDR_EL0 and reads TPIDRRO_EL0");
  CHECK(user_faults(ESR(EC_UNKNOWN, 0), (void (*)(void*))user_write_read_only, 0),
        "and cannot write that one");
}

// ---- Accesses with EL0's rights -------------------------------------------------------------

static uint64_t kernel_word;
static void ldtr(void* address) {
  __asm__ volatile("ldtr x1, [%0]" : : "r"(address) : "x1", "memory");
}
static void sttr(void* address) {
  __asm__ volatile("sttr %1, [%0]" : : "r"(address), "r"(0x77ULL) : "memory");
}
static void ldtrsb(void* address) {
  __asm__ volatile("ldtrsb x1, [%0, #1]\nstr x1, %1"
                   :
                   : "r"(address), "m"(kernel_word)
                   : "x1", "memory");
}

static void check_unprivileged(void) {
  CHECK(expect_fault(ESR(EC_DATA_ABORT, 0x0e), ldtr, &kernel_word),
        "LDTR at EL1 has EL0's rights: none to EL1's memory");
  CHECK(expect_fault(ESR(EC_DATA_ABORT, 0x4e), sttr, &kernel_word), "nor has STTR");
  CHECK(guard(sttr, user_line).kind == NO_TRAP && user_line[0] == 0x77, "STTR to EL0's memory");
  user_line[0] = 0x8000;
  CHECK(guard(ldtrsb, user_line).kind == NO_TRAP && kernel_word == 0xffffffffffffff80,
        "LDTRSB extends the sign");
}

// ---- Masks that EL0 holds -------------------------------------------------------------------

USER_CODE static void user_daif(void) {
  __asm__ volatile("msr daifclr, #15\nmsr daifset, #3\nmrs x0, daif\nsvc #0x99");
}

static void check_masks(void) {
  set_control(SCTLR_UMA);
  const struct trap trap = run_user((struct user_entry){.pc = (uint64_t)user_daif});
  CHECK_EQUAL(trap.x[0], 3 << 6, "with SCTLR.UMA EL0 changes its masks");
  CHECK_EQUAL(trap.spsr & 0x3cf, 3 << 6, "and they are in SPSR_EL1");
  set_control(0);
}

void guest_main(void) {
  check_control();
  check_calls();
  check_threads();
  check_unprivileged();
  check_masks();
}
