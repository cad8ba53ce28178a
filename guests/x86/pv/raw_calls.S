// SPDX-License-Identifier: MIT
// See raw_calls.h.

.macro raw name, instruction
.text
.balign 16
.global raw_\name
raw_\name:
  push %rbx
  mov 0(%rdi), %rax
  mov 8(%rdi), %rbx
  mov 16(%rdi), %rcx
  mov 24(%rdi), %rdx
  mov 32(%rdi), %rsi
  \instruction
  mov %rax, 0(%rdi)
  mov %rbx, 8(%rdi)
  mov %rcx, 16(%rdi)
  mov %rdx, 24(%rdi)
  mov %rsi, 32(%rdi)
  pop %rbx
  ret

.section .user.text, "awx"
.balign 16
.global user_\name
user_\name:
  mov %rdi, %rax
  mov %rsi, %rbx
  mov %rdx, %rcx
  xor %edx, %edx
  \instruction
  int $0x80
.endm
raw vmcall, vmcall
raw vmmcall, vmmcall
