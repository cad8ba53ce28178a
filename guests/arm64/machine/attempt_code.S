// SPDX-License-Identifier: MIT
// See attempts.h.

.macro attempt name, instruction:vararg
  .text
  .balign 16
  .global \name
\name:
  \instruction
  ret
  .section .user.text, "ax"
  .balign 16
  .global user_\name
user_\name:
  \instruction
  svc #0x99
.endm

attempt undefined, udf #0x1234
attempt halting_debug, hlt #0x1234
attempt supervisor_call, svc #0x1234
attempt breakpoint, brk #0xabcd
attempt unknown_register, mrs x1, s3_7_c15_c15_7
attempt read_8, ldrb w1, [x0]
attempt read_32, ldr w1, [x0]
attempt write_8, strb wzr, [x0]
attempt write_32, str w1, [x0]
attempt read_64, ldr x1, [x0]
attempt write_64, str xzr, [x0]
attempt read_pair, ldp x1, x0, [x0]
attempt read_and_increment, ldr x1, [x0], #8
attempt read_quad, ldr q0, [x0]
attempt read_exclusive, ldxr x1, [x0]
attempt write_exclusive, stxr w1, x2, [x0]
attempt read_acquire, ldar x1, [x0]
attempt write_release, stlr x1, [x0]
attempt jump, br x0
attempt float_move, fmov d0, x0
attempt simd_add, add v0.4s, v0.4s, v0.4s
attempt zero_block, dc zva, x0
attempt clean_data, dc civac, x0
attempt invalidate_code, ic ivau, x0
attempt prefetch, prfm pldl1keep, [x0]
attempt read_cache_type, mrs x5, ctr_el0
attempt read_daif, mrs x7, daif
attempt mask_interrupts, msr daifset, #2
attempt wait_for_interrupt, wfi
attempt wait_for_event, wfe
attempt read_control, mrs x1, sctlr_el1
attempt write_control, msr tpidr_el1, x0
attempt exception_return, eret
attempt hypervisor_call, hvc #0
attempt invalidate_tlb, tlbi vmalle1
attempt read_stack, ldr x1, [sp]
attempt read_virtual_counter, mrs x1, cntvct_el0
attempt read_physical_counter, mrs x1, cntpct_el0
attempt read_virtual_timer, mrs x1, cntv_ctl_el0
attempt read_physical_timer, mrs x1, cntp_cval_el0
attempt read_pmcr, mrs x1, pmcr_el0
attempt read_pmccntr, mrs x1, pmccntr_el0
attempt read_pmevcntr1, mrs x1, pmevcntr1_el0
attempt read_pmxevcntr, mrs x1, pmxevcntr_el0
attempt write_pmswinc, msr pmswinc_el0, x0
attempt write_pmcntenset, msr pmcntenset_el0, x0
attempt read_debug_control, mrs x1, mdscr_el1
