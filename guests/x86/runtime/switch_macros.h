// SPDX-License-Identifier: MIT
//
// For assembly: the two WRMSRs of a struct pmu_switch in RDI and RSI, without a branch or an access
// to memory. What starts and stops with them is counted, or recorded, from the one to the other.
#pragma once

.macro start_counting
  mov %edi, %eax
  mov %rdi, %rdx
  shr $32, %rdx
  mov %esi, %ecx
  wrmsr
.endm

// Two instructions counted. ECX is still the MSR.
.macro stop_counting
  xor %eax, %eax
  xor %edx, %edx
  wrmsr
.endm
