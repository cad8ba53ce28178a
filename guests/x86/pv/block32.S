// SPDX-License-Identifier: MIT
// For pv32.c: instructions here are counted by hand.

.text
.code32

// void block32(uint32_t msr, uint64_t start, uint64_t stop): WRMSR, 100 rounds of two instructions,
// three, and WRMSR: 1 + 1 + 200 + 3 are counted, 100 of them branches.
.balign 16
.global block32
block32:
  push %ebx
  push %esi
  push %edi
  mov 16(%esp), %ecx
  mov 20(%esp), %eax
  mov 24(%esp), %edx
  mov 28(%esp), %esi
  mov 32(%esp), %edi
  wrmsr                                // 1
  mov $100, %ebx                       // 1
1:dec %ebx
  jnz 1b                               // 2 a round
  mov %esi, %eax                       // 1
  mov %edi, %edx                       // 1
  nop                                  // 1
  wrmsr
  pop %edi
  pop %esi
  pop %ebx
  ret
