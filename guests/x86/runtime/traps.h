// SPDX-License-Identifier: MIT
//
// Interrupts and exceptions. A vector with a handler runs it and continues where the CPU was. A
// vector without one ends the guarded call that is running on this CPU, if there is one, and is
// what guard() returns; otherwise it ends the guest with a dump.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

struct trap {
  uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
  uint64_t vector;  ///< or VECTOR_SYSCALL, VECTOR_SYSENTER, NO_TRAP
  uint64_t error;   ///< 0 where the vector has none
  uint64_t rip, cs, rflags, rsp, ss;
  uint64_t cr2;  ///< only in what guard() returns
};

enum {
  VECTOR_DE = 0,
  VECTOR_DB = 1,
  VECTOR_NMI = 2,
  VECTOR_BP = 3,
  VECTOR_OF = 4,
  VECTOR_BR = 5,
  VECTOR_UD = 6,
  VECTOR_NM = 7,
  VECTOR_DF = 8,
  VECTOR_TS = 10,
  VECTOR_NP = 11,
  VECTOR_SS = 12,
  VECTOR_GP = 13,
  VECTOR_PF = 14,
  VECTOR_MF = 16,
  VECTOR_AC = 17,
  VECTOR_XM = 19,
};

typedef void (*trap_handler)(struct trap* frame);
/// For all CPUs; null takes it away. The frame may be changed: that is where the CPU continues.
void set_handler(unsigned vector, trap_handler handler);

/// Calls function(argument); returns how it ended: .vector is NO_TRAP if it returned. Interrupts
/// are as before the call afterwards. May be nested.
struct trap guard(void (*function)(void*), void* argument);
/// True if function raises exactly this exception.
bool expect_fault(unsigned vector, uint64_t error, void (*function)(void*), void* argument);

/// What user mode starts with. Zeroes mean: 64-bit code, the user stack, interrupts enabled.
struct user_entry {
  uint64_t ss, rsp, rflags, cs, rip;
  uint64_t rdi, rsi, rdx;  ///< arguments
};
/// Runs user code until it traps without a handler: INT $0x80, SYSCALL, a fault.
struct trap run_user(struct user_entry entry);
/// Code and data that user mode may touch.
#define USER_CODE __attribute__((section(".user.text"), noinline))
#define USER_DATA __attribute__((section(".user.data")))

/// The gate of a vector: privilege level from which INT may use it, and interrupt stack (0: none).
void set_gate(unsigned vector, unsigned dpl, unsigned ist);
void set_gate_target(unsigned vector, uint64_t target);

struct __attribute__((packed)) tss {
  uint32_t reserved0;
  uint64_t rsp[3];
  uint64_t reserved1;
  uint64_t ist[7];
  uint64_t reserved2;
  uint16_t reserved3;
  uint16_t io_map;
};
struct tss* current_tss(void);
unsigned current_cpu(void);

/// Once per CPU.
void traps_start(unsigned cpu);
