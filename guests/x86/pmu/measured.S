// SPDX-License-Identifier: MIT
// See measured.h: instructions here are counted by hand.

#define GLOBAL_CTRL 0x38f

.macro start_counting                  // RDI: what to enable
  mov %edi, %eax
  mov %rdi, %rdx
  shr $32, %rdx
  mov $GLOBAL_CTRL, %ecx
  wrmsr
.endm
.macro stop_counting                   // two instructions counted; ECX is still the MSR
  xor %eax, %eax
  xor %edx, %edx
  wrmsr
.endm

.text
.balign 16
.global measured_block
measured_block:
  mov $2f, %r9d
  start_counting                       // 1
  mov $100, %esi                       // 1
1:mov word, %r8                        // load
  mov %r8, word                        // store
  call 3f                              // store
  jmp *%r9
2:dec %esi
  jnz 1b
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
  start_counting
branch_loop_begin:
  dec %rsi
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
.global counted_call
counted_call:
  push %rbx
  mov %rsi, %rbx
  start_counting                       // 1
  call *%rbx                           // 1
  mov %rax, %rbx                       // 1
  mov $GLOBAL_CTRL, %ecx               // 1
  stop_counting                        // 2
  mov %rbx, %rax
  pop %rbx
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
.global user_system_calls, user_branch_loop, user_rdpmc
user_system_calls:
1:syscall
  dec %rdi
  jnz 1b
  int $0x80

.balign 16
user_branch_loop:
1:dec %rdi
  jnz 1b
  int $0x80

.balign 16
user_rdpmc:
  mov %edi, %ecx
  rdpmc
  int $0x80

.section .bss
.balign 8
word: .skip 8
