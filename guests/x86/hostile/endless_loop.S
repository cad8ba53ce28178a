// SPDX-License-Identifier: MIT
// Never ends, never halts.
.section .multiboot, "a"
.balign 4
.long 0x1badb002, 0, -0x1badb002

.text
.code32
.global guest_entry
guest_entry:
  jmp guest_entry
