// SPDX-License-Identifier: MIT
// See known_loop.h.

#define JCC (1 << 16)
#define REL_JMP (1 << 17)
#define IND_JMP (1 << 18)
#define REL_CALL (1 << 19)
#define RET (1 << 21)

// R8: rounds. R9: address of step 8. Steps are numbered in the order of execution.
.macro known_loop name
\name\()_0: nop
\name\()_1: jmp \name\()_2
  ud2
\name\()_2: call \name\()_3
\name\()_5: cmp $0, %r8
\name\()_6: jl \name\()_wrong          // never taken
\name\()_7: jmp *%r9
\name\()_wrong:
  ud2
\name\()_8: add $1, %rax
\name\()_9: dec %r8
\name\()_10: jnz \name\()_0
.endm
.macro known_function name
\name\()_3: nop
\name\()_4: ret
.endm
.macro known_table name
  .global \name
\name:
  .quad \name\()_0, \name\()_1, \name\()_2, \name\()_3, \name\()_4, \name\()_5
  .quad \name\()_6, \name\()_7, \name\()_8, \name\()_9, \name\()_10
  .quad 1, \name\()_1, \name\()_2, REL_JMP
  .quad 2, \name\()_2, \name\()_3, REL_CALL
  .quad 4, \name\()_4, \name\()_5, RET
  .quad 7, \name\()_7, \name\()_8, IND_JMP
  .quad 10, \name\()_10, \name\()_0, JCC
.endm

.macro runner name, loop
.balign 16
.global \name
\name:
  push %rbx
  push %rbp
  mov %rdx, %r8
  mov 8(%rdi), %ebx                    // MSRs
  mov 8(%rsi), %ebp
  mov (%rsi), %rsi
  mov 0(%rdi), %eax
  mov 4(%rdi), %edx
  mov %ebx, %ecx
  wrmsr
  mov $\loop\()_8, %r9d
  mov %esi, %eax
  mov %rsi, %rdx
  shr $32, %rdx
  mov %ebp, %ecx
  wrmsr
  known_loop \loop
  xor %eax, %eax
  xor %edx, %edx
  mov %ebp, %ecx
  wrmsr
  mov %ebx, %ecx
  wrmsr
  pop %rbp
  pop %rbx
  ret
  known_function \loop
.endm

.text
runner run_kernel_loop, kernel_loop
runner run_second_loop, second_loop

.section .user.text, "awx"
.balign 16
.global run_user_loop
run_user_loop:
  mov $user_loop_8, %r9d
  mov %rdi, %r8
  known_loop user_loop
  int $0x80
  known_function user_loop

.section .rodata
.balign 8
  known_table kernel_loop
  known_table second_loop
  known_table user_loop
