// SPDX-License-Identifier: MIT
// Jumps, in 32-bit protected mode without an interrupt table, to an address with no memory behind it.
.section .multiboot, "a"
.balign 4
.long 0x1badb002, 0, -0x1badb002

.text
.code32
.global guest_entry
guest_entry:
  mov $0xd0000000, %eax
  jmp *%eax
