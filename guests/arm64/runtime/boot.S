// SPDX-License-Identifier: MIT
//
// From the reset state at EL1, translation off, to C: stacks, BSS, vectors, and an identity map of
// the first 2 GiB: the lower one is devices, the upper one RAM in 2 MiB blocks.
#include "layout.h"

// Block and table descriptors.
#define TABLE 3
#define BLOCK 1
#define NORMAL (0 << 2)
#define DEVICE (1 << 2)
#define EL0 (1 << 6)
#define INNER_SHAREABLE (3 << 8)
#define ACCESSED (1 << 10)
#define PXN (1 << 53)
#define UXN (1 << 54)

.section .text.start, "ax"
.global guest_entry
guest_entry:
  mov x20, x0                          // device tree, if the loader says
  adrp x0, bss_start
  add x0, x0, :lo12:bss_start
  adrp x1, image_end
  add x1, x1, :lo12:image_end
1:cmp x0, x1
  b.hs 2f
  stp xzr, xzr, [x0], #16
  b 1b
2:ldr x0, =boot_stack_top
  bl start_el1
  mov x0, x20
  mov x29, xzr
  mov x30, xzr
  bl runtime_start
1:wfi
  b 1b

// Where PSCI CPU_ON has another CPU start; x0 is its number.
.global secondary_entry
secondary_entry:
  mov x20, x0
  ldr x0, =smp_stacks
  mov x1, #STACK_BYTES
  add x2, x20, #1
  madd x0, x1, x2, x0
  bl start_el1
  mov x0, x20
  mov x29, xzr
  mov x30, xzr
  bl smp_cpu_start
1:wfi
  b 1b

// x0: top of the stack.
start_el1:
  mov sp, x0
  ldr x0, =trap_vectors
  msr vbar_el1, x0
  mov x0, #3 << 20                     // floating point and SIMD for EL1 and EL0
  msr cpacr_el1, x0
  msr mdscr_el1, xzr
  ldr x0, =MAIR_START
  msr mair_el1, x0
  ldr x0, =TCR_START
  msr tcr_el1, x0
  ldr x0, =boot_tables
  msr ttbr0_el1, x0
  msr ttbr1_el1, xzr
  tlbi vmalle1
  dsb nsh
  ic iallu
  dsb nsh
  isb
  ldr x0, =SCTLR_START
  msr sctlr_el1, x0
  isb
  ret
.pool

.data
.balign 4096
.global boot_tables, boot_ram_table
boot_tables:                           // level 1: 1 GiB an entry
  .quad BLOCK | DEVICE | ACCESSED | PXN | UXN
  .quad boot_ram_table + TABLE
  .fill 510, 8, 0
boot_ram_table:                        // level 2: 2 MiB an entry
  .set address, RAM
  .rept 512
    .if address == USER_BLOCK
      .quad address | BLOCK | NORMAL | INNER_SHAREABLE | ACCESSED | PXN | EL0
    .else
      .quad address | BLOCK | NORMAL | INNER_SHAREABLE | ACCESSED | UXN
    .endif
    .set address, address + 0x200000
  .endr

.bss
.balign 16
.skip STACK_BYTES
.global boot_stack_top
boot_stack_top:
