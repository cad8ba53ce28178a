// SPDX-License-Identifier: MIT
// For pmu_memory.c: RDX steps of RCX bytes from R8 on, one access each. A struct pmu_switch is in RDI
// and RSI. Between start and stop there is no other access to memory.

.macro walk name, access:vararg
.balign 16
.global \name
\name:
  mov %rdx, %r9
  mov %rcx, %r10
  mov %edi, %eax
  mov %rdi, %rdx
  shr $32, %rdx
  mov %esi, %ecx
  wrmsr
1:\access
  add %r10, %r8
  dec %r9
  jnz 1b
  xor %eax, %eax
  xor %edx, %edx
  wrmsr
  ret
.endm

.text
walk read_lines, mov (%r8), %rax
walk write_lines, mov %rax, (%r8)
walk flush_lines, clflush (%r8)
