// SPDX-License-Identifier: MIT
//
// The 256 ways into trap_dispatch(), the way into user mode, and the guarded call with which faults
// are survived. A trap frame is struct trap in traps.h.
#include "layout.h"

.text
.code64

.balign 16
.global trap_entries
trap_entries:
.set vector, 0
.rept 256
  .balign 16
  .if vector != 8 && vector != 17 && vector != 21 && (vector < 10 || vector > 14)
    pushq $0
  .endif
  pushq $vector
  jmp trap_common
  .set vector, vector + 1
.endr

.balign 16
trap_common:
  push %rax
  push %rcx
  push %rdx
  push %rbx
  push %rbp
  push %rsi
  push %rdi
  push %r8
  push %r9
  push %r10
  push %r11
  push %r12
  push %r13
  push %r14
  push %r15
  cld
  mov %rsp, %rdi
  call trap_dispatch
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rdi
  pop %rsi
  pop %rbp
  pop %rbx
  pop %rdx
  pop %rcx
  pop %rax
  add $16, %rsp
  iretq

// SYSCALL and SYSENTER: makes them look like an interrupt from user mode. CPU 0 only.
.global syscall_entry, sysenter_entry
syscall_entry:
  mov %rsp, syscall_user_rsp
  mov $syscall_stack_top, %rsp
  pushq $SELECTOR_USER_DATA
  pushq syscall_user_rsp
  push %r11
  pushq $SELECTOR_USER_CODE
  push %rcx
  pushq $0
  pushq $VECTOR_SYSCALL
  jmp trap_common

sysenter_entry:
  mov $syscall_stack_top, %rsp
  pushq $SELECTOR_USER_DATA
  push %rcx                            // by convention of our callers
  pushfq
  pushq $SELECTOR_USER_CODE
  push %rdx                            // likewise
  pushq $0
  pushq $VECTOR_SYSENTER
  jmp trap_common

// bool guarded_call(void (*function)(void*), void* argument, uint64_t* stack_at_recovery)
.global guarded_call, guarded_recovery
guarded_call:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdx)
  sub $8, %rsp
  mov %rdi, %rax
  mov %rsi, %rdi
  call *%rax
  xor %eax, %eax
  add $8, %rsp
1:pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret
guarded_recovery:
  mov $1, %eax
  jmp 1b

// void enter_user(const struct user_entry*): never returns; what it does ends in a trap.
.global enter_user
enter_user:
  mov %rdi, %rax
  pushq 0(%rax)                        // ss
  pushq 8(%rax)                        // rsp
  pushq 16(%rax)                       // rflags
  pushq 24(%rax)                       // cs
  pushq 32(%rax)                       // rip
  mov 40(%rax), %rdi
  mov 48(%rax), %rsi
  mov 56(%rax), %rdx
  xor %ebx, %ebx
  xor %ecx, %ecx
  xor %ebp, %ebp
  xor %eax, %eax
  iretq

.section .bss
.balign 16
.skip STACK_BYTES
syscall_stack_top:
syscall_user_rsp: .skip 8
