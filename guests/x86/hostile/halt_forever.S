// SPDX-License-Identifier: MIT
// Halts with interrupts off: nothing can wake it.
.section .multiboot, "a"
.balign 4
.long 0x1badb002, 0, -0x1badb002

.text
.code32
.global guest_entry
guest_entry:
  cli
  hlt
  jmp guest_entry
