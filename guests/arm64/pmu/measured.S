// SPDX-License-Identifier: MIT
// See measured.h: instructions here are counted by hand.

#define BLOCK_ROUNDS 100

// Three instructions.
.macro block_setup word, target
  ldr x2, =\word
  adr x5, \target
  mov x3, #BLOCK_ROUNDS
.endm

// Instructions: 7 a round.
.macro measured_rounds function
1:ldr x4, [x2]
  str x4, [x2, #8]
  bl \function
  br x5
2:subs x3, x3, #1
  b.ne 1b
.endm

.text
.balign 16
.global measured_block
measured_block:
  mov x9, x30
  block_setup words, 2f
  msr pmcr_el0, x0                     // 1
  measured_rounds 3f
  msr pmcr_el0, x1
  ret x9
3:ret
.data
.balign 16
words: .quad 0, 0
.text

.balign 16
.global sled, sled_begin
sled:
  msr pmcr_el0, x0
sled_begin:
  .rept 1000
    nop
  .endr
  msr pmcr_el0, x1
  ret

.balign 16
.global branch_loop, branch_loop_begin, branch_loop_end
branch_loop:
  msr pmcr_el0, x0
branch_loop_begin:
  subs x2, x2, #1
  b.ne branch_loop_begin
branch_loop_end:
  msr pmcr_el0, x1
  ret

.balign 16
.global counted_call
counted_call:
  stp x29, x30, [sp, #-32]!
  mov x29, sp
  str x19, [sp, #16]
  mov x19, x1
  msr pmcr_el0, x0                     // 1
  blr x2                               // 1
  msr pmcr_el0, x19
  ldr x19, [sp, #16]
  ldp x29, x30, [sp], #32
  ret

// The ERET starts the steps: SPSR_EL1.SS. What follows stepped_call_end is not counted any more.
.balign 16
.global stepped_call, stepped_call_end
stepped_call:
  stp x29, x30, [sp, #-16]!
  mov x29, sp
  msr elr_el1, x0
  mrs x1, daif
  and x1, x1, #~(1 << 9)               // debug exceptions are not masked
  orr x1, x1, #1 << 21                 // SS
  mov x2, #5                           // EL1h
  orr x1, x1, x2
  adr x30, stepped_call_end
  msr spsr_el1, x1
  eret
stepped_call_end:
  ldp x29, x30, [sp], #16
  ret

.section .user.text, "ax"
.balign 16
.global user_block
user_block:
  block_setup user_words, 2f
  measured_rounds 3f
  svc #0x99
3:ret
.balign 8
user_words: .quad 0, 0
.pool

.balign 16
.global user_system_calls, user_branch_loop, user_branch_loop_end
user_system_calls:
1:svc #1
  subs x0, x0, #1
  b.ne 1b
  svc #0x99

.balign 16
user_branch_loop:
1:subs x0, x0, #1
  b.ne 1b
user_branch_loop_end:
  svc #0x99
