// SPDX-License-Identifier: MIT
// See filter_mailbox.h: what is measured is counted by hand. A counter's value is that before its
// RDPMC; nothing between two of them goes through memory that is not meant to.

.macro read_counter n, value           // 5 instructions: 1 before the RDPMC, 4 from it on
  mov $\n, %ecx
  rdpmc
  shl $32, %rdx
  or %rdx, %rax
  mov %rax, \value
.endm

.text
// RDI: two results.
.balign 16
.global measure_branches
measure_branches:
  read_counter 0, %r8
  read_counter 1, %r9                  // 4
  mov $42, %ecx                        // 1
1:loop 1b                              // 42 branches
  read_counter 0, %r10                 // 5
  read_counter 1, %r11                 // 1
  sub %r8, %r10
  sub %r9, %r11
  mov %r10, 0(%rdi)
  mov %r11, 8(%rdi)
  ret

// RDI: three results.
.balign 16
.global measure_memory
measure_memory:
  read_counter 0, %r8
  read_counter 1, %r9
  read_counter 2, %r10
  movl $0, word(%rip)                  // store
  movl word(%rip), %eax                // load
  incl word(%rip)                      // both
  read_counter 0, %r11
  sub %r8, %r11
  read_counter 1, %r8
  sub %r9, %r8
  read_counter 2, %r9
  sub %r10, %r9
  mov %r11, 0(%rdi)
  mov %r8, 8(%rdi)
  mov %r9, 16(%rdi)
  ret

.section .bss
.balign 8
word: .skip 8
