// SPDX-License-Identifier: MIT
// For pmu_replay.c: a loop whose every state can be told apart, with branches that alternate and a
// string instruction. RDI: rounds, of which R8 counts down; RDX: bytes to move. Then INT 0x80.

.section .user.text, "awx"
.balign 16
.global user_replay_loop
user_replay_loop:
  mov %rdi, %r8
1:mov %rdx, %rcx
  mov $user_from, %esi
  mov $user_to, %edi
  rep movsb
  test $1, %r8b
  jz 2f
  nop
2:test $2, %r8b
  jnz 3f
  add $1, %rax
3:dec %r8
  jnz 1b
  int $0x80

.section .user.data, "aw"
user_from: .fill 128, 1, 0x55
user_to: .skip 128
