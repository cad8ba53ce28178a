// SPDX-License-Identifier: MIT
// For lbr_history.c: branches with known distances in time.
#include "runtime/switch_macros.h"

#define LONG_WAY 0x10100               // bytes, and cycles

// void timed_branches(struct pmu_switch start, uint64_t tsc[2]): the first record retires just
// before the first RDTSC, the last one just before the second.
.text
.balign 16
.global timed_branches
timed_branches:
  push %rbx
  push %r12
  push %r13
  mov %rdx, %r8
  start_counting
  jmp 1f
1:rdtsc
  mov %eax, %r12d
  mov %edx, %r13d
  jmp 2f                               // after RDTSC and two moves
2:jmp 3f                               // after nothing: one cycle
3:.rept 10
  nop
  .endr
  jmp 4f                               // after ten NOPs
4:mov $1000, %eax
  xor %edx, %edx
  mov $7, %r9d
  div %r9d
  imul %r9, %rax
  mov (%r8), %r10
  lock incq timed_word
  call 6f
  jmp 5f
5:rdtsc
  mov %eax, 8(%r8)
  mov %edx, 12(%r8)
  mov %r12d, 0(%r8)
  mov %r13d, 4(%r8)
  stop_counting
  pop %r13
  pop %r12
  pop %rbx
  ret
6:mov %rax, %r11
  ret

// void long_way(struct pmu_switch start): two jumps with more cycles between than a record can say.
.balign 16
.global long_way
long_way:
  start_counting
  jmp 1f
1:mov %ecx, %r9d
  mov $LONG_WAY, %ecx
  mov $timed_bytes, %edi
  rep stosb
  mov %r9d, %ecx
  jmp 2f
2:stop_counting
  ret


.section .bss
.balign 8
timed_word: .skip 8
timed_bytes: .skip LONG_WAY
