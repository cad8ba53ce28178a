// SPDX-License-Identifier: MIT
#include "traps.h"

#include "console.h"
#include "cpu.h"

struct recovery {
  uint64_t sp, spsr;  // traps_entry.S has them first
  struct trap trap;
};

bool guarded_call(void (*function)(void*), void* argument, uint64_t* stack_at_recovery);
_Noreturn void enter_user(const struct user_entry* entry);
struct recovery* trap_dispatch(struct trap* frame);

static trap_handler handlers[TRAP_KINDS];
static struct recovery* volatile recoveries[MAX_CPUS];

void set_handler(unsigned kind, trap_handler handler) {
  handlers[kind] = handler;
}

static void dump(const struct trap* t) {
  print("\nunexpected trap 0x%lx through vector %lu on CPU %u\n", t->kind, t->vector,
        current_cpu());
  print("elr %016lx spsr %lx esr %08lx far %016lx sp_el0 %016lx\n", t->elr, t->spsr, t->esr, t->far,
        t->sp);
  for (unsigned i = 0; i < 30; i += 3) {
    print("x%u %016lx x%u %016lx x%u %016lx\n", i, t->x[i], i + 1, t->x[i + 1], i + 2, t->x[i + 2]);
  }
  print("x30 %016lx\n", t->x[30]);
}

__attribute__((weak)) void unexpected_trap(struct trap* frame) {
  dump(frame);
  panic("nobody handles this");
}

/// The kind of an exception that came through a vector.
static uint64_t kind_of(const struct trap* frame) {
  const unsigned type = frame->vector & 3;
  return type == 0 ? frame->esr >> 26 & 0x3f : TRAP_IRQ - 1 + type;
}

/// What to recover to, or null: the frame says where to continue.
struct recovery* trap_dispatch(struct trap* frame) {
  frame->vector = frame->kind;
  frame->kind = kind_of(frame);
  if (handlers[frame->kind] != 0) {
    handlers[frame->kind](frame);
    return 0;
  }
  struct recovery* recovery = recoveries[current_cpu()];
  if (recovery == 0) {
    unexpected_trap(frame);
    return 0;
  }
  recovery->trap = *frame;
  return recovery;
}

struct trap guard(void (*function)(void*), void* argument) {
  struct recovery recovery = {.spsr = read_sysreg(daif) | SPSR_EL1H, .trap.kind = NO_TRAP};
  const unsigned cpu = current_cpu();
  struct recovery* outer = recoveries[cpu];
  recoveries[cpu] = &recovery;
  guarded_call(function, argument, &recovery.sp);
  recoveries[cpu] = outer;
  return recovery.trap;
}

bool expect_fault(uint64_t esr, void (*function)(void*), void* argument) {
  const struct trap trap = guard(function, argument);
  if (trap.kind < TRAP_IRQ && trap.esr == esr) return true;
  print("      (got kind 0x%lx ESR 0x%08lx, not ESR 0x%08lx)\n", trap.kind, trap.esr, esr);
  return false;
}

static void enter_user_guarded(void* entry) {
  enter_user(entry);
}

struct trap run_user(struct user_entry entry) {
  if (entry.sp == 0) entry.sp = USER_STACK_TOP;
  if (entry.spsr == 0) entry.spsr = read_sysreg(daif) | SPSR_EL0T;
  return guard(enter_user_guarded, &entry);
}
