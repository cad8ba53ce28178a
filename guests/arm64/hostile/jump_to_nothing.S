// SPDX-License-Identifier: MIT
// Jumps to where no memory is, without translation; the vectors are not anywhere either.
.text
.global guest_entry
guest_entry:
  movz x0, #0xd000, lsl #16
  msr vbar_el1, x0
  br x0
