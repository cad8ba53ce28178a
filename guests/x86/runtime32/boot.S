// SPDX-License-Identifier: MIT
// For guests that stay in 32-bit protected mode without paging, with the boot loader's descriptors:
// multiboot's entry, faults that are survived, and one interrupt.

.section .multiboot, "a"
.balign 4
.long 0x1badb002
.long 0
.long -0x1badb002

.text
.code32
.global guest_entry
guest_entry:
  cli
  cld
  mov $stack_top, %esp
  xor %ebp, %ebp
  call runtime32_start
1:hlt
  jmp 1b

// unsigned faults32(void (*function)(void)): see runtime32.h
.balign 16
.global faults32
faults32:
  push %ebx
  push %esi
  push %edi
  push %ebp
  mov %esp, recovery_esp
  call *20(%esp)
  mov $NO_FAULT, %eax
1:pop %ebp
  pop %edi
  pop %esi
  pop %ebx
  ret

.global fault_ud32, fault_gp32
fault_ud32:
  mov $6, %eax
  jmp 2f
fault_gp32:
  mov $13, %eax
2:mov recovery_esp, %esp
  jmp 1b

.global interrupt32
interrupt32:
  pusha
  cld
  call on_interrupt32
  popa
  iret

.set NO_FAULT, 0xff

.section .bss
.balign 16
.skip 16384
stack_top:
recovery_esp: .skip 4
