// SPDX-License-Identifier: MIT
//
// Where an application processor wakes up after INIT and SIPI: 16-bit real mode, copied to
// TRAMPOLINE. It takes over CR3, CR4 and the descriptors of the CPU that started it.
#include "layout.h"

#define IN_PLACE(symbol) (symbol - trampoline + TRAMPOLINE)

.text
.code16
.balign 16
.global trampoline
trampoline:
  cli
  cld
  xor %ax, %ax
  mov %ax, %ds
  lgdtl IN_PLACE(trampoline_gdt_pointer)
  mov %cr0, %eax
  or $1, %al
  mov %eax, %cr0
  ljmpl $SELECTOR_KERNEL_CODE32, $IN_PLACE(trampoline32)

.code32
trampoline32:
  mov $SELECTOR_KERNEL_DATA, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov IN_PLACE(trampoline_cr4), %eax
  mov %eax, %cr4
  mov IN_PLACE(trampoline_cr3), %eax
  mov %eax, %cr3
  mov $0xc0000080, %ecx                // EFER: LME, NXE
  rdmsr
  or $0x900, %eax
  wrmsr
  mov $0x80010033, %eax
  mov %eax, %cr0
  ljmp $SELECTOR_KERNEL_CODE, $ap_start64

.balign 4
.global trampoline_cr3, trampoline_cr4, trampoline_end
trampoline_cr3: .long 0
trampoline_cr4: .long 0
trampoline_gdt_pointer:
  .word SELECTOR_TSS + 16 * MAX_CPUS - 1
  .long gdt
trampoline_end:

.code64
ap_start64:
  mov $SELECTOR_KERNEL_DATA, %eax
  mov %eax, %ss
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %fs
  mov %eax, %gs
  mov $1, %edi
  lock xadd %edi, smp_next_cpu         // our number
  mov %edi, %eax
  inc %eax
  imul $STACK_BYTES, %eax, %eax
  lea smp_stacks(%rax), %rsp
  xor %ebp, %ebp
  call smp_ap_start
1:hlt
  jmp 1b
