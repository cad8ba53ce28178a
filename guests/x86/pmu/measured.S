// SPDX-License-Identifier: MIT
// See measured.h: instructions here are counted by hand.
#include "runtime/switch_macros.h"

#define BLOCK_ROUNDS 100

// Instructions: 2, and 8 a round.
.macro measured_rounds word, function
  mov $2f, %r9d
  mov $BLOCK_ROUNDS, %r10d
1:mov \word, %r8                       // load
  incq \word                           // load and store
  mov %r8, \word                       // store
  call \function                       // store
  jmp *%r9
2:dec %r10d
  jnz 1b
.endm

.text
.balign 16
.global measured_block
measured_block:
  start_counting                       // 1
  measured_rounds word, 3f
  stop_counting                        // 2
  ret
3:ret                                  // load

.balign 16
.global sled, sled_begin
sled:
  start_counting
sled_begin:
  .rept 1000
    nop
  .endr
  stop_counting
  ret

.balign 16
.global branch_loop, branch_loop_begin, branch_loop_end
branch_loop:
  mov %rdx, %r8
  start_counting
branch_loop_begin:
  dec %r8
  jnz branch_loop_begin
branch_loop_end:
  stop_counting
  ret

.balign 16
.global halt_once
halt_once:
  start_counting
  sti
  hlt
  cli
  stop_counting
  ret

.balign 16
.global halt_deaf
halt_deaf:
  start_counting
  hlt
  stop_counting
  ret

.balign 16
.global counted_call
counted_call:
  push %rbx
  push %rbp
  push %r12                            // and the stack is aligned
  mov %rdx, %rbx
  mov %esi, %ebp
  start_counting                       // 1
  call *%rbx                           // 1
  mov %rax, %rbx                       // 1
  mov %ebp, %ecx                       // 1
  stop_counting                        // 2
  mov %rbx, %rax
  pop %r12
  pop %rbp
  pop %rbx
  ret

// RDI: the three; the MSRs in R8 to R10.
.macro load_three_msrs
  mov 8(%rdi), %r8
  mov 24(%rdi), %r9
  mov 40(%rdi), %r10
.endm
.balign 16
.global start_three, stop_three
start_three:
  push %rbx
  load_three_msrs
  mov 4(%rdi), %edx                    // upper halves are the same: of one event
  mov 0(%rdi), %eax
  mov 16(%rdi), %esi
  mov 32(%rdi), %ebx
  mov %r8d, %ecx
  wrmsr
  mov %r9d, %ecx
  mov %esi, %eax
  wrmsr
  mov %r10d, %ecx
  mov %ebx, %eax
  wrmsr
  pop %rbx
  ret
stop_three:
  load_three_msrs
  xor %eax, %eax
  xor %edx, %edx
  mov %r8d, %ecx
  wrmsr
  mov %r9d, %ecx
  wrmsr
  mov %r10d, %ecx
  wrmsr
  ret

.balign 16
.global short_syscall
short_syscall:
  nop
  nop
  nop
  sysretq

.section .user.text, "awx"
.balign 16
.global user_block
user_block:
  measured_rounds user_word, 3f
  int $0x80
3:ret

.balign 16
.global user_system_calls, user_branch_loop, user_branch_loop_end, user_rdpmc
user_system_calls:
1:syscall
  dec %rdi
  jnz 1b
  int $0x80

.balign 16
user_branch_loop:
1:dec %rdi
  jnz 1b
user_branch_loop_end:
  int $0x80

.balign 16
user_rdpmc:
  mov %edi, %ecx
  rdpmc
  int $0x80

.section .user.data, "aw"
.balign 8
user_word: .quad 0

.section .bss
.balign 8
word: .skip 8
