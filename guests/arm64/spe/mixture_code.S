// SPDX-License-Identifier: MIT
//
// Operations of all kinds that records tell apart, one after the other: see spe_mixture.c. Loads and
// stores in all the ways in which addresses are computed, exclusive, ordered, of vectors, across lines;
// branches of all kinds; selects and compares.

// name(x0: data, 64 KiB, on a cache line; x1: rounds; x2: wander through so many bytes less 1, a
// mask; x3: in steps of so many)
.macro mixture name
.global \name
\name:
  stp x29, x30, [sp, #-32]!
  str x19, [sp, #16]
  mov x29, sp
  mov x4, #0
1:// Addresses.
  add x5, x0, x4
  ldr x6, [x5]
  str x6, [x5, #8]
  ldrb w7, [x0, #1]
  ldrh w7, [x0, #2]
  ldrsb x7, [x0, #3]
  ldrsw x7, [x0, #4]
  mov x8, #2
  ldr x7, [x0, x8, lsl #3]
  mov w9, #-4
  add x10, x0, #128
  ldr w7, [x10, w9, sxtw #2]
  strb w7, [x0, w8, uxtw]
  str x7, [x10], #24
  ldr x7, [x10, #-16]!
  ldur x7, [x10, #-7]
  ldr x7, 7f
  ldrsw x7, 7f
  ldp x11, x12, [x0, #16]
  stp w11, w12, [x0, #-8]
  ldpsw x11, x12, [x0, #8]
  ldnp x11, x12, [x0, #32]
  stnp x11, x12, [x0, #48]
  stp x11, x12, [sp, #-16]!
  ldp x11, x12, [sp], #16
  ldr x7, [x0, #60]       // across a line
  str x7, [x0, #61]
  ldrh w7, [x0, #63]
  strh w7, [x0, #1]       // misaligned, in a line
  prfm pldl1keep, [x5]
  // Vectors.
  ldr q0, [x0, #16]
  ldr d1, [x0, #8]
  ldr s2, [x0, x8, lsl #2]
  str h2, [x0, #66]
  ldp q2, q3, [x0, #32]
  stp d2, d3, [x0, #48]!
  sub x0, x0, #48
  mov x13, x0
  ld1 {v0.16b-v3.16b}, [x13], #64
  st1 {v0.8b}, [x13]
  ld3 {v4.4s-v6.4s}, [x13], #48
  ld3 {v4.4s-v6.4s}, [x0]
  st2 {v0.b, v1.b}[3], [x13], x8
  ld4r {v4.8h-v7.8h}, [x0]
  ldr q7, 7f
  // Exclusive and ordered.
2:ldxr x14, [x0]
  stxr w15, x14, [x0]
  cbnz w15, 2b
3:ldaxrb w14, [x0]
  stlxrb w15, w14, [x0]
  cbnz w15, 3b
4:ldxp x14, x16, [x0]
  stlxp w15, x14, x16, [x0]
  cbnz w15, 4b
  ldar x14, [x0]
  stlr w14, [x0]
  ldarh w14, [x0, #0]
  // Conditions.
  add x17, x17, x4, lsr #3
  ands x14, x17, #3
  csel x15, x14, x17, eq
  csinc x15, x14, x17, hi
  cset w15, ne
  cneg x15, x14, mi
  ccmp x14, #1, #4, ne
  ccmn w14, #2, #0, vs
  fcmp d1, #0.0
  fcsel d1, d2, d3, gt
  fccmp d1, d2, #8, le
  // Branches.
  tbz x17, #2, 5f
  nop
5:b.eq 6f
  nop
6:cbz x14, 6f
  nop
6:bl 8f
  adr x15, 8f
  blr x15
  adr x15, 6f
  br x15
  nop
6:b 6f
7:.quad 0x1234567890abcdef, 0
8:ret
6:add x4, x4, x3
  and x4, x4, x2
  subs x1, x1, #1
  b.ne 1b
  ldr x19, [sp, #16]
  ldp x29, x30, [sp], #32
.endm

.text
.balign 16
mixture mixture
  ret

.balign 16
.global without_tlb
without_tlb:
  mov x4, #0
1:tlbi vmalle1
  dsb nsh
  ldr x5, [x0, x4]
  str x5, [x0, x4]
  add x4, x4, x3
  and x4, x4, x2
  subs x1, x1, #1
  b.ne 1b
  ret

.section .user.text, "ax", @progbits
.balign 16
mixture user_mixture
  // With EL0's rights, which it has anyhow.
  ldtr x4, [x0]
  ldtrsh w5, [x0, #-2]
  sttrb w4, [x0, #3]
  svc #0x99
