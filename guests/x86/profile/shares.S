// SPDX-License-Identifier: MIT
//
// Functions that execute exactly 2 * rounds + 4 instructions and keep frame pointers: where the
// instructions of `profiled` go. Names are those of the C++ functions in work.hpp.

.macro spinning name
.balign 16
.global \name
.type \name, @function
\name:
  push %rbp
  mov %rsp, %rbp
1:dec %rdi
  jnz 1b
  pop %rbp
  ret
.size \name, . - \name
.endm

.text
.code64
spinning _ZN4work5tenthEm              // work::tenth(unsigned long)
spinning _ZN4work5fifthEm              // work::fifth(unsigned long)

.section .user.text, "awx"
spinning _ZN4user4mostEm               // user::most(unsigned long)

// void user_begin(uint64_t rounds, uint64_t depth): where ring 3 starts; its frame is the last of
// every stack there.
.balign 16
.global user_begin
.type user_begin, @function
user_begin:
  push %rbp
  mov %rsp, %rbp
  call user_work
  int $0x80
.size user_begin, . - user_begin
