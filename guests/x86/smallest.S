// SPDX-License-Identifier: MIT
// The smallest guest: ends the run with its second instruction. What is left is the cost of starting
// the machine.
.section .multiboot, "a"
.balign 4
.long 0x1badb002
.long 0
.long -0x1badb002

.text
.code32
.global guest_entry
guest_entry:
  xor %eax, %eax
  out %eax, $0xf4
1:hlt
  jmp 1b
