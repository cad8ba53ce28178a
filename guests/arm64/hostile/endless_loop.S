// SPDX-License-Identifier: MIT
// Never ends, never waits.
.text
.global guest_entry
guest_entry:
  b guest_entry
