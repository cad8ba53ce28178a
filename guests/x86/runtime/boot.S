// SPDX-License-Identifier: MIT
//
// From 32-bit protected mode without paging into long mode: identity map of the low 4 GiB in 2 MiB
// pages, our own descriptors, SSE enabled, then C. In: EDI = how we were entered, EBX = boot
// information.
#include "layout.h"

.section .bss
.balign 4096
.global boot_pml4
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4 * 4096
.balign 16
           .skip STACK_BYTES
.global boot_stack_top
boot_stack_top:

.text
.code32
.global boot32
boot32:
  cli
  cld
  mov $boot_stack_top, %esp
  call build_page_tables
  mov %cr4, %eax
  or $0x620, %eax                      // PAE, OSFXSR, OSXMMEXCPT
  mov %eax, %cr4
  mov $boot_pml4, %eax
  mov %eax, %cr3
  mov $0xc0000080, %ecx                // EFER: LME, NXE
  rdmsr
  or $0x900, %eax
  wrmsr
  mov $0x80010033, %eax                // PG, WP, NE, ET, MP, PE
  mov %eax, %cr0
  lgdt gdt_pointer
  ljmp $SELECTOR_KERNEL_CODE, $start64

// The map, built by instructions that mean the same in 32-bit and in 64-bit code. Keeps EBX, EDI.
.macro page_tables
  movl $boot_pdpt + 7, boot_pml4       // present, writable, user: the last level decides
  movl $boot_pd + 7, boot_pdpt
  movl $boot_pd + 0x1007, boot_pdpt + 8
  movl $boot_pd + 0x2007, boot_pdpt + 16
  movl $boot_pd + 0x3007, boot_pdpt + 24
  mov $0x83, %eax                      // present, writable, 2 MiB
  mov $0, %ecx
1:
  mov %eax, boot_pd(,%ecx,8)
  add $0x200000, %eax
  add $1, %ecx
  cmp $2048, %ecx
  jne 1b
  orl $4, boot_pd + 8 * (USER_PAGE / 0x200000)
.endm

build_page_tables:
  page_tables
  ret

.code64
.global build_page_tables64
build_page_tables64:
  page_tables
  ret

.global start64
start64:
  mov $SELECTOR_KERNEL_DATA, %eax
  mov %eax, %ss
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %fs
  mov %eax, %gs
  mov $boot_stack_top, %esp
  mov %ebx, %esi
  mov %edi, %edi
  xor %ebp, %ebp
  call runtime_start
1:hlt
  jmp 1b

.section .rodata
.balign 4
.global gdt_pointer
gdt_pointer:
  .word gdt_end - gdt - 1
  .quad gdt

.data
.balign 16
.global gdt
gdt:
  .quad 0
  .quad 0x00af9b000000ffff             // 0x08 kernel code, 64-bit
  .quad 0x00cf93000000ffff             // 0x10 kernel data
  .quad 0x00cffb000000ffff             // 0x18 user code, 32-bit
  .quad 0x00cff3000000ffff             // 0x20 user data
  .quad 0x00affb000000ffff             // 0x28 user code, 64-bit
  .quad 0x00cff3000000ffff             // 0x30 user data once more: where SYSEXIT finds it
  .quad 0x00cf9b000000ffff             // 0x38 kernel code, 32-bit
  .quad 0x00cf13000000ffff             // 0x40 kernel data, not present
  .quad 0                              // 0x48 for tests
  .skip 16 * MAX_CPUS                  // 0x50 task state segments
gdt_end:
