// SPDX-License-Identifier: MIT
// Plain ELF64: entered in long mode with an identity map, RDI = boot information (docs/abi/boot.md).
// The guest takes over at once with page tables and descriptors of its own.
#include "layout.h"

.text
.code64
.global guest_entry
guest_entry:
  cli
  cld
  mov %rdi, %rbx
  mov $BOOT_ELF64, %edi
  mov $boot_stack_top, %esp
  call build_page_tables64
  mov %cr4, %rax
  or $0x620, %eax                      // PAE, OSFXSR, OSXMMEXCPT
  mov %rax, %cr4
  mov $boot_pml4, %eax
  mov %rax, %cr3
  mov $0xc0000080, %ecx                // EFER: NXE
  rdmsr
  or $0x800, %eax
  wrmsr
  mov $0x80010033, %eax                // PG, WP, NE, ET, MP, PE
  mov %rax, %cr0
  lgdt gdt_pointer
  pushq $SELECTOR_KERNEL_CODE
  pushq $start64
  lretq
