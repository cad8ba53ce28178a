// SPDX-License-Identifier: MIT
// See methods.h: instructions here are counted by hand.

#define PV_ROUNDS 100

// Two instructions, and seven a round. Uses R8 to R10.
.macro block_rounds function
  mov $2f, %r9d
  mov $PV_ROUNDS, %r10d
1:mov pv_word, %r8
  incq pv_word
  call \function
  jmp *%r9
2:dec %r10d
  jnz 1b
.endm

.text
.balign 16
pv_return:
  ret

.balign 16
.global pv_block_by_msr
pv_block_by_msr:
  mov 0(%rdi), %ecx
  mov 8(%rdi), %eax
  mov 12(%rdi), %edx
  mov 16(%rdi), %esi
  mov 20(%rdi), %edi
  wrmsr                                // 1
  block_rounds pv_return               // 2 + 7 a round
  mov %esi, %eax                       // 1
  mov %edi, %edx                       // 1
  nop                                  // 1
  wrmsr
  ret

.balign 16
.global pv_loop_by_msr
pv_loop_by_msr:
  mov %rsi, %r8
  mov 0(%rdi), %ecx
  mov 8(%rdi), %eax
  mov 12(%rdi), %edx
  mov 16(%rdi), %esi
  mov 20(%rdi), %edi
  wrmsr                                // 1
1:dec %r8
  jnz 1b                               // 2 a round
  mov %esi, %eax                       // 1
  mov %edi, %edx                       // 1
  nop                                  // 1
  nop                                  // 1
  wrmsr
  ret

.macro block_by_call instruction
  mov 0(%rdi), %ebx
  mov 8(%rdi), %ecx
  mov 4(%rdi), %esi
  xor %edx, %edx
  mov $0x5650, %eax
  \instruction                         // 1
  block_rounds pv_return               // 2 + 7 a round
  mov %rax, %rdi                       // 1
  mov %esi, %ebx                       // 1
  mov $0x5650, %eax                    // 1
  \instruction
  add %rdi, %rax
  pop %rbx
  ret
.endm
.balign 16
.global pv_block_by_call
pv_block_by_call:
  push %rbx
  cmpl $0, 12(%rdi)
  jne 3f
  block_by_call vmcall
3:block_by_call vmmcall

.section .bss
.balign 8
pv_word: .skip 8
