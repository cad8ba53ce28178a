// SPDX-License-Identifier: MIT
// Waits for an interrupt that never comes.
.text
.global guest_entry
guest_entry:
  wfi
  b guest_entry
