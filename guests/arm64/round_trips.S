// SPDX-License-Identifier: MIT
//
// A million of one thing, for benchmarks, with the MMU off; ROUND_TRIP says which:
//   0  SVC from EL0, ERET back
//   1  WFI until the virtual timer interrupts, which acknowledges it and sets the timer again
//   2  a read of the serial port's flags
.set ROUNDS, 1000000
.set GICD, 0x08000000
.set GICR, 0x080a0000
.set GICR_SGI, 0x080b0000
.set UART_FLAGS, 0x09000018
.set EXIT_DEVICE, 0x090f0000
.set TIMER_PPI, 27
.set TICKS, 100

.text
.global guest_entry
guest_entry:
  adr x0, vectors
  msr vbar_el1, x0
  ldr x19, =ROUNDS

#if ROUND_TRIP == 0
  mov x0, #0x3c0  // EL0, everything masked
  msr spsr_el1, x0
  adr x0, user
  msr elr_el1, x0
  eret
user:
  svc #0
  subs x19, x19, #1
  b.ne user
#elif ROUND_TRIP == 1
  ldr x0, =GICD
  mov w1, #0x12  // affinity routing, group 1
  str w1, [x0]
  ldr x0, =GICR
  str wzr, [x0, #0x14]  // GICR_WAKER: awake
  ldr x0, =GICR_SGI
  mov w1, #(1 << TIMER_PPI)
  str w1, [x0, #0x80]   // GICR_IGROUPR0
  str w1, [x0, #0x100]  // GICR_ISENABLER0
  mov x1, #0xff
  msr S3_0_C4_C6_0, x1  // ICC_PMR_EL1
  mov x1, #1
  msr S3_0_C12_C12_7, x1  // ICC_IGRPEN1_EL1
  mov x2, #TICKS
  msr cntv_tval_el0, x2
  msr cntv_ctl_el0, x1
  isb
  msr daifclr, #2
1:wfi
  cbnz x19, 1b
#else
  ldr x0, =UART_FLAGS
1:ldr w1, [x0]
  subs x19, x19, #1
  b.ne 1b
#endif

  ldr x0, =EXIT_DEVICE
  str wzr, [x0]
  b .

.balign 2048
vectors:
.org vectors + 0x280  // IRQ at EL1 with its own stack pointer
#if ROUND_TRIP == 1
  mrs x3, S3_0_C12_C12_0  // ICC_IAR1_EL1
  sub x19, x19, #1
  msr cntv_tval_el0, x2
  msr S3_0_C12_C12_1, x3  // ICC_EOIR1_EL1
  eret
#endif
.org vectors + 0x400  // synchronous, from EL0
  eret
.org vectors + 0x800
