// SPDX-License-Identifier: MIT
// For pmu_user_kernel.c: user code that enters the kernel again and again, and the kernel's shortest
// answers. Numbers of instructions are in pmu_user_kernel.c.

.text
// #UD: goes on behind the UD2. 2 instructions.
.balign 16
.global skip_ud2
skip_ud2:
  addq $2, (%rsp)
  iretq

// #PF: makes the page present, and the instruction starts again. 6 instructions.
.balign 16
.global make_present, make_absent
make_present:
  push %rax
  mov faulting_entry, %rax
  orb $1, (%rax)
  pop %rax
  add $8, %rsp                         // the error code
  iretq

// INT 0x82: takes the page at RSI away again. 6 instructions.
.balign 16
make_absent:
  push %rax
  mov faulting_entry, %rax
  andb $0xfe, (%rax)
  pop %rax
  invlpg (%rsi)
  iretq

// An interrupt of the APIC's timer, xAPIC mode. 6 instructions.
.balign 16
.global tick
tick:
  push %rax
  mov $0xfee000b0, %eax
  movl $0, (%rax)
  pop %rax
  incq ticks
  iretq

.section .bss
.balign 8
.global faulting_entry, ticks
faulting_entry: .skip 8
ticks: .skip 8

.section .user.text, "awx"
.balign 16
.global user_invalid_opcodes, user_page_faults
user_invalid_opcodes:
1:ud2
  dec %rdi
  jnz 1b
  int $0x80

.balign 16
user_page_faults:
1:mov (%rsi), %rax
  int $0x82
  dec %rdi
  jnz 1b
  int $0x80
