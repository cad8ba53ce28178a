// SPDX-License-Identifier: MIT
//
// Exceptions. A kind with a handler runs it and continues where the CPU was. A kind without one
// ends the guarded call that is running on this CPU, if there is one, and is what guard() returns;
// otherwise it ends the guest with a dump. Interrupts have handlers by INTID: see gic.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

struct trap {
  uint64_t x[31];
  uint64_t sp;  ///< SP_EL0, whatever stack pointer was in use
  uint64_t elr, spsr;
  uint64_t esr, far;
  uint64_t kind;    ///< an exception class, TRAP_IRQ, TRAP_FIQ, TRAP_SERROR or NO_TRAP
  uint64_t vector;  ///< 0 to 15: which of the table's
};
_Static_assert(sizeof(struct trap) == TRAP_FRAME_BYTES, "as traps_entry.S has it");

/// Exception classes, Arm ARM ESR_EL1.EC.
enum {
  EC_UNKNOWN = 0x00,
  EC_WFX = 0x01,
  EC_FP = 0x07,
  EC_ILLEGAL_STATE = 0x0e,
  EC_SVC = 0x15,
  EC_SYSTEM_REGISTER = 0x18,
  EC_INSTRUCTION_ABORT_EL0 = 0x20,
  EC_INSTRUCTION_ABORT = 0x21,
  EC_PC_ALIGNMENT = 0x22,
  EC_DATA_ABORT_EL0 = 0x24,
  EC_DATA_ABORT = 0x25,
  EC_SP_ALIGNMENT = 0x26,
  EC_BREAKPOINT_EL0 = 0x30,
  EC_BREAKPOINT = 0x31,
  EC_STEP_EL0 = 0x32,
  EC_STEP = 0x33,
  EC_WATCHPOINT_EL0 = 0x34,
  EC_WATCHPOINT = 0x35,
  EC_BRK = 0x3c,
};
/// ESR_EL1 of an exception from A64 code: IL is 1.
#define ESR(ec, iss) ((uint64_t)(ec) << 26 | 1ULL << 25 | (iss))

enum {
  SPSR_EL0T = 0x0,
  SPSR_EL1T = 0x4,
  SPSR_EL1H = 0x5,
  SPSR_F = 1 << 6,
  SPSR_I = 1 << 7,
  SPSR_A = 1 << 8,
  SPSR_D = 1 << 9,
  SPSR_IL = 1 << 20,
  SPSR_SS = 1 << 21,
  SPSR_PAN = 1 << 22,
};

typedef void (*trap_handler)(struct trap* frame);
/// For all CPUs; null takes it away. The frame may be changed: that is where the CPU continues.
void set_handler(unsigned kind, trap_handler handler);

/// Calls function(argument); returns how it ended: .kind is NO_TRAP if it returned. Interrupts are
/// as before the call afterwards. May be nested.
struct trap guard(void (*function)(void*), void* argument);
/// True if function ends with exactly this ESR_EL1.
bool expect_fault(uint64_t esr, void (*function)(void*), void* argument);

/// Neither handled nor guarded: says what it is, and panics. A guest may have another.
void unexpected_trap(struct trap* frame);

/// What EL0 starts with. Zeroes mean: the user stack, interrupts as they are now.
struct user_entry {
  uint64_t pc, sp, spsr;
  uint64_t x0, x1, x2, x3;  ///< arguments
};
/// Runs user code until it traps without a handler: SVC, a fault.
struct trap run_user(struct user_entry entry);
/// Code and data that EL0 may touch.
#define USER_CODE __attribute__((section(".user.text"), noinline))
#define USER_DATA __attribute__((section(".user.data")))

/// Whether EL1 was interrupted, or EL0.
static inline bool from_el1(const struct trap* trap) {
  return trap->vector < 8;
}
