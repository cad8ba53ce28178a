// SPDX-License-Identifier: MIT
// For pmu_counters.c: 45 instructions, of which 10 are branches, and ten loads of a line that is in
// no cache. A struct pmu_switch is in RDI and RSI.

.text
.balign 16
.global count_45
count_45:
  mov %edi, %eax
  mov %rdi, %rdx
  shr $32, %rdx
  mov %esi, %ecx
  wrmsr                                // 1
  mov $10, %ecx                        // 1
1:clflush line                         // 4 each
  mfence
  mov line, %eax
  loop 1b
  mov %esi, %ecx                       // 1
  xor %eax, %eax                       // 1
  xor %edx, %edx                       // 1
  wrmsr
  ret

.section .bss
.balign 64
line: .skip 64
