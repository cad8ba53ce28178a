// SPDX-License-Identifier: MIT
//
// Functions that execute exactly 2 * rounds + 4 instructions and keep frame pointers: where the
// instructions of `profiled` go. Names are those of the C++ functions in work.hpp.

.macro spinning name
.balign 16
.global \name
.type \name, @function
\name:
  stp x29, x30, [sp, #-16]!
  mov x29, sp
1:subs x0, x0, #1
  b.ne 1b
  ldp x29, x30, [sp], #16
  ret
.size \name, . - \name
.endm

.text
spinning _ZN4work5tenthEm              // work::tenth(unsigned long)
spinning _ZN4work5fifthEm              // work::fifth(unsigned long)

.section .user.text, "ax"
spinning _ZN4user4mostEm               // user::most(unsigned long)

// void user_begin(uint64_t rounds, uint64_t depth): where EL0 starts; its frame is the last of every
// stack there.
.balign 16
.global user_begin
.type user_begin, @function
user_begin:
  stp x29, x30, [sp, #-16]!
  mov x29, sp
  bl user_work
  svc #0
.size user_begin, . - user_begin
