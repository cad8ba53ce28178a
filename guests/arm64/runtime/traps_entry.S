// SPDX-License-Identifier: MIT
//
// The vectors, and the ways into and out of a trap frame: struct trap in traps.h.
#include "layout.h"

#define FRAME_SP 248
#define FRAME_ELR 256
#define FRAME_ESR 272
#define FRAME_KIND 288

.macro vector number
  .balign 128
  sub sp, sp, #TRAP_FRAME_BYTES
  stp x0, x1, [sp]
  mov x0, #\number
  b save_frame
.endm

.text
.balign 2048
.global trap_vectors
trap_vectors:
  .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vector \number
  .endr

save_frame:
  stp x2, x3, [sp, #16]
  stp x4, x5, [sp, #32]
  stp x6, x7, [sp, #48]
  stp x8, x9, [sp, #64]
  stp x10, x11, [sp, #80]
  stp x12, x13, [sp, #96]
  stp x14, x15, [sp, #112]
  stp x16, x17, [sp, #128]
  stp x18, x19, [sp, #144]
  stp x20, x21, [sp, #160]
  stp x22, x23, [sp, #176]
  stp x24, x25, [sp, #192]
  stp x26, x27, [sp, #208]
  stp x28, x29, [sp, #224]
  mrs x1, sp_el0
  stp x30, x1, [sp, #240]
  mrs x1, elr_el1
  mrs x2, spsr_el1
  stp x1, x2, [sp, #FRAME_ELR]
  mrs x1, esr_el1
  mrs x2, far_el1
  stp x1, x2, [sp, #FRAME_ESR]
  str x0, [sp, #FRAME_KIND]            // the vector; traps.c makes the kind of it
  mov x0, sp
  bl trap_dispatch
  cbnz x0, recover

.global trap_return
trap_return:
  ldp x1, x2, [sp, #FRAME_ELR]
  msr elr_el1, x1
  msr spsr_el1, x2
  ldp x30, x1, [sp, #240]
  msr sp_el0, x1
  ldp x2, x3, [sp, #16]
  ldp x4, x5, [sp, #32]
  ldp x6, x7, [sp, #48]
  ldp x8, x9, [sp, #64]
  ldp x10, x11, [sp, #80]
  ldp x12, x13, [sp, #96]
  ldp x14, x15, [sp, #112]
  ldp x16, x17, [sp, #128]
  ldp x18, x19, [sp, #144]
  ldp x20, x21, [sp, #160]
  ldp x22, x23, [sp, #176]
  ldp x24, x25, [sp, #192]
  ldp x26, x27, [sp, #208]
  ldp x28, x29, [sp, #224]
  ldp x0, x1, [sp], #TRAP_FRAME_BYTES
  eret

// x0: struct recovery, whose guarded_call() ends now.
recover:
  ldp x1, x2, [x0]
  mov sp, x1
  ldr x1, =guarded_recovery
  msr elr_el1, x1
  msr spsr_el1, x2
  eret

// guarded_call(function, argument, uint64_t* stack_at_recovery)
.global guarded_call
guarded_call:
  stp x29, x30, [sp, #-96]!
  mov x29, sp
  stp x19, x20, [sp, #16]
  stp x21, x22, [sp, #32]
  stp x23, x24, [sp, #48]
  stp x25, x26, [sp, #64]
  stp x27, x28, [sp, #80]
  str x29, [x2]
  mov x2, x0
  mov x0, x1
  blr x2
guarded_recovery:
  ldp x19, x20, [sp, #16]
  ldp x21, x22, [sp, #32]
  ldp x23, x24, [sp, #48]
  ldp x25, x26, [sp, #64]
  ldp x27, x28, [sp, #80]
  ldp x29, x30, [sp], #96
  ret

// enter_user(const struct user_entry*): does not return.
.global enter_user
enter_user:
  ldp x1, x2, [x0]
  ldp x3, x9, [x0, #16]
  msr elr_el1, x1
  msr sp_el0, x2
  msr spsr_el1, x3
  mov x10, x0
  mov x0, x9
  ldp x1, x2, [x10, #32]
  ldr x3, [x10, #48]
  mov x29, xzr
  mov x30, xzr
  eret
