// SPDX-License-Identifier: MIT
// What privilege.c needs in assembly: system call entries that return the fast way, user code for
// each way in, and 32-bit user code.
#include "runtime/layout.h"

.text
.code64
// Adds one to RAX and returns with SYSRET. Interrupts are off, so the user's stack does no harm.
.global fast_syscall
fast_syscall:
  inc %rax
  mov %rcx, syscall_saw_rcx
  mov %r11, syscall_saw_r11
  pushfq
  popq syscall_saw_rflags
  sysretq

// Adds two to RAX; the user passes its return address in RDX and its stack in RCX.
.global fast_sysenter
fast_sysenter:
  add $2, %rax
  rex.w sysexit

.section .bss
.balign 8
.global syscall_saw_rcx, syscall_saw_r11, syscall_saw_rflags
syscall_saw_rcx: .skip 8
syscall_saw_r11: .skip 8
syscall_saw_rflags: .skip 8

.section .user.text, "awx"
.global user_syscall, user_plain_syscall, user_after_syscall
user_syscall:
  mov $41, %eax
user_plain_syscall:
  syscall
user_after_syscall:
  mov %cs, %r8d
  mov %ss, %r9d
  int $0x80

.global user_sysenter
user_sysenter:
  mov $40, %eax
  mov $1f, %edx
  mov %rsp, %rcx
  sysenter
1:mov %cs, %r8d
  mov %ss, %r9d
  int $0x80

.global user_int
user_int:
  int $0x82
  int $0x80

.code32
.global user32_compute, user32_into, user32_bound, user32_memory
user32_compute:
  mov $0x7fffffff, %eax
  .byte 0x40                           // INC EAX; a REX prefix in 64-bit mode
  int $0x80
user32_into:
  mov $0x7fffffff, %eax
  inc %eax
  into
  int $0x80
user32_bound:
  mov $5, %eax
  bound %eax, limits
  int $0x80
user32_memory:                         // PUSHA, stack of 32-bit words, absolute addresses
  mov $7, %ecx
  pusha
  movl 24(%esp), %eax
  add counter, %eax
  popal
  int $0x80
limits: .long 0, 4
counter: .long 1
