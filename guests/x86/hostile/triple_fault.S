// SPDX-License-Identifier: MIT
// Crashes in long mode: with no interrupt table, UD2 becomes a double and then a triple fault.
.text
.code64
.global guest_main
guest_main:
  pushq $0
  pushq $0
  lidt 6(%rsp)
  ud2
