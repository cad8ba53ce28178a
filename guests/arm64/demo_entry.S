// SPDX-License-Identifier: MIT
//
// Starts counters 0 to 3 with the guest's first instructions. What they miss are the eleven before
// the MSR to PMCR_EL0, which counts itself.

.macro count_event number, event
  mov x1, #\event
  msr pmevtyper\number\()_el0, x1
.endm

.text
.global demo_entry
demo_entry:
  count_event 0, 0x11                  // cycles
  count_event 1, 0x08                  // instructions
  count_event 2, 0x12                  // branches
  count_event 3, 0x09                  // exceptions
  mov x1, #0xf
  msr pmcntenset_el0, x1
  mov x1, #0x47                        // LC, C, P, E
  msr pmcr_el0, x1
  b guest_entry
