// SPDX-License-Identifier: MIT
// See branches.h. TAKEN lines stand behind what they describe, in the order of execution.
#include "runtime/layout.h"
#include "runtime/switch_macros.h"

#define JCC (1 << 16)
#define REL_JMP (1 << 17)
#define IND_JMP (1 << 18)
#define REL_CALL (1 << 19)
#define IND_CALL (1 << 20)
#define RET (1 << 21)
#define OTHER (1 << 22)
#define KERNEL (1 << 1)
#define USER (1 << 2)
#define NEVER 0
#define ALWAYS 1
#define PERHAPS 2
#define UNMAPPED 0x8000000000          // nothing is mapped from 512 GiB on

.macro taken from, to, what, ends_in=KERNEL, mispredicted=NEVER
  .pushsection .rodata.taken, "a"
  .quad \from, \to
  .long \what, \ends_in, \mispredicted, 0
  .popsection
.endm
.macro table name
  .pushsection .rodata.taken, "a"
  .balign 8
  .global \name
\name:
  .popsection
.endm

// ---- Near branches ------------------------------------------------------------------------------

.text
.balign 16
.global near_branches
near_branches:
  push %rbx
  start_counting
table near_begin
  xor %eax, %eax
  jnz near_wrong                       // not taken
n1: jz n2
  taken n1, n2, JCC, KERNEL, PERHAPS
  ud2
n2: jnz near_wrong
  mov %ecx, %ebx                       // the MSR
  xor %ecx, %ecx
n3: jrcxz n4
  taken n3, n4, JCC, KERNEL, PERHAPS
near_wrong_too:
  ud2
n4: mov $2, %ecx
  jrcxz near_wrong_too                 // not taken
n5: nop
n6: loop n5                            // taken once
  taken n6, n5, JCC, KERNEL, PERHAPS
n7: jmp n8
  taken n7, n8, REL_JMP
  .skip 20, 0xcc
n8: jmp n9                             // with 32 bits of displacement
  taken n8, n9, REL_JMP
  .skip 200, 0xcc
n9: mov $n11, %r9d
n10: jmp *%r9
  taken n10, n11, IND_JMP, KERNEL, ALWAYS
  ud2
n11: jmp *near_pointer
  taken n11, n12, IND_JMP, KERNEL, ALWAYS
  ud2
n12: call near_function
  taken n12, near_function, REL_CALL
  taken near_function, n13, RET
n13: mov $near_function, %r9d
n14: call *%r9
  taken n14, near_function, IND_CALL, KERNEL, ALWAYS
  taken near_function, n15, RET
n15: push $0x1234
n16: call *near_function_pointer
  taken n16, near_function_pops, IND_CALL, KERNEL, ALWAYS
  taken near_function_pops_ret, n17, RET
n17: push $n19
n18: ret                               // nobody has called
  taken n18, n19, RET, KERNEL, ALWAYS
  ud2
n19: call n20                          // gets the address
  taken n19, n20, REL_CALL
n20: pop %rax
n21: jmp n22                           // a branch to where it would go anyway
  taken n21, n22, REL_JMP
n22: cmp $n20, %eax
  jne near_wrong
  mov %ebx, %ecx
  stop_counting
table near_end
  pop %rbx
  ret
near_function:
  ret
near_function_pops:
  nop
near_function_pops_ret:
  ret $8
near_wrong:
  ud2

// ---- More branches than records -----------------------------------------------------------------

.balign 16
.global many_branches
many_branches:
  start_counting
table many_begin
many_code:
.set round, 0
.rept 40                               // 32 bytes each
  jmp 1f
  taken many_code+32*round, many_code+32*round+24, REL_JMP
  .skip 22, 0xcc
1:call many_function
  taken many_code+32*round+24, many_function, REL_CALL
  taken many_function+1, many_code+32*round+29, RET
  .skip 3, 0x90
  .set round, round + 1
.endr
  stop_counting
table many_end
  ret
.balign 16
many_function:
  nop
  ret

// ---- Far branches in the kernel -----------------------------------------------------------------
// Each handler begins with a NOP, so that the record of getting there and the next one differ.

.balign 16
.global far_branches
far_branches:
  push %rbx
  mov %rsp, %rbx
  start_counting
table far_begin
f1: int $0x84
  taken f1, return_handler, OTHER
  taken return_handler_iret, f2, OTHER
f2: int3
  taken f2, return_handler, OTHER
  taken return_handler_iret, f3, OTHER
f3: ud2
  taken f3, skip_two_handler, OTHER
  taken skip_two_handler_iret, f4, OTHER
f4: movabs UNMAPPED, %al
f4_end:
  taken f4, skip_fault_handler, OTHER
  taken skip_fault_handler_iret, f4_end, OTHER
f5: rex.w lcall *far_function_pointer
  taken f5, far_function, OTHER
  taken far_function_ret, f6, OTHER
f6: ljmp *far_pointer
  taken f6, f7, OTHER
  ud2
f7: sti                                // an interrupt waits
  nop
f8: nop
  taken f8, interrupt_handler, OTHER
  taken interrupt_handler_iret, f8, OTHER
  cli
  pushq $SELECTOR_KERNEL_DATA          // IRET without an interrupt
  pushq %rbx
  pushfq
  pushq $SELECTOR_KERNEL_CODE
  pushq $f10
f9: iretq
  taken f9, f10, OTHER
  ud2
f10: jmp f11
  taken f10, f11, REL_JMP
f11: stop_counting
table far_end
  pop %rbx
  ret

.global return_handler, skip_two_handler, skip_fault_handler, interrupt_handler
.balign 16
return_handler:
  nop
return_handler_iret:
  iretq
.balign 16
skip_two_handler:
  addq $2, (%rsp)
skip_two_handler_iret:
  iretq
// #PF of the one instruction that accesses UNMAPPED.
.balign 16
skip_fault_handler:
  add $8, %rsp
  addq $(f4_end - f4), (%rsp)
skip_fault_handler_iret:
  iretq
.balign 16
interrupt_handler:
  push %rax
  mov $0xfee000b0, %eax
  movl $0, (%rax)                      // EOI
  pop %rax
interrupt_handler_iret:
  iretq
.balign 16
far_function:
  nop
far_function_ret:
  rex.w lret

// ---- Between kernel and user mode ---------------------------------------------------------------

// From the kernel's IRETQ to user_end's; whoever calls it has an interrupt pending.
.macro to_user entry
  push %rbx
  push %rbp
  mov %rsp, kernel_stack
  start_counting
  mov %ecx, %ebx
  pushq $SELECTOR_USER_DATA
  pushq $USER_STACK_TOP
  pushq $0x202                         // interrupts on
  pushq $SELECTOR_USER_CODE
  pushq $\entry
.endm

.balign 16
.global kernel_and_user
kernel_and_user:
  to_user u1
table both_begin
k1: iretq
  taken k1, u1, OTHER, USER
  // The interrupt comes before user mode executes anything.
  taken u1, interrupt_handler, OTHER, KERNEL
  taken interrupt_handler_iret, u1, OTHER, USER

.section .user.text, "awx"
.balign 16
u1: jmp u2
  taken u1, u2, REL_JMP, USER
  ud2
u2: call user_function
  taken u2, user_function, REL_CALL, USER
  taken user_function, u3, RET, USER
u3: mov $u5, %r9d
u4: jmp *%r9
  taken u4, u5, IND_JMP, USER, ALWAYS
  ud2
u5: xor %eax, %eax
u6: jz u7
  taken u6, u7, JCC, USER, PERHAPS
  ud2
u7: syscall
  taken u7, syscall_handler, OTHER, KERNEL
  taken syscall_handler_ret, u8, OTHER, USER
u8: mov $user_function, %r9d
u9: call *%r9
  taken u9, user_function, IND_CALL, USER, ALWAYS
  taken user_function, u10, RET, USER
u10: int $0x84
  taken u10, return_handler, OTHER, KERNEL
  taken return_handler_iret, u11, OTHER, USER
u11: ud2
  taken u11, skip_two_handler, OTHER, KERNEL
  taken skip_two_handler_iret, u12, OTHER, USER
u12: int3
  taken u12, return_handler, OTHER, KERNEL
  taken return_handler_iret, u13, OTHER, USER
u13: mov %rsp, %rcx
  mov $u15, %edx
u14: sysenter
  taken u14, sysenter_handler, OTHER, KERNEL
  taken sysenter_handler_exit, u15, OTHER, USER
  ud2
u15: int $0x85
  taken u15, user_end, OTHER, KERNEL
user_function:
  ret

.text
.balign 16
.global syscall_handler, sysenter_handler, user_end
syscall_handler:
  nop
syscall_handler_ret:
  sysretq
.balign 16
sysenter_handler:
  nop
sysenter_handler_exit:
  rex.w sysexit
.balign 16
user_end:
  nop
  mov %ebx, %ecx
  stop_counting
  mov kernel_stack, %rsp
  pop %rbp
  pop %rbx
  ret
table both_end

// Calls and returns in both, to tell filters by privilege apart from those by kind.
.balign 16
.global calls_in_both
calls_in_both:
  to_user v1
table calls_begin
  call near_function                   // before the IRETQ, with the frame on the stack
  taken c1-5, near_function, REL_CALL
  taken near_function, c1, RET
c1: iretq
  taken c1, v1, OTHER, USER
  taken v1, interrupt_handler, OTHER, KERNEL
  taken interrupt_handler_iret, v1, OTHER, USER

.section .user.text
.balign 16
v1: call user_function
  taken v1, user_function, REL_CALL, USER
  taken user_function, v2, RET, USER
v2: int $0x86
  taken v2, calling_handler, OTHER, KERNEL
  taken h0, near_function, REL_CALL, KERNEL
  taken near_function, h1, RET, KERNEL
  taken h1, h2, REL_JMP, KERNEL
  taken h2_iret, v3, OTHER, USER
v3: jmp v4
  taken v3, v4, REL_JMP, USER
v4: int $0x85
  taken v4, user_end, OTHER, KERNEL
table calls_end

.text
.balign 16
.global calling_handler
calling_handler:
  nop
h0: call near_function
h1: jmp h2
h2: nop
h2_iret:
  iretq

.section .rodata.pointers, "a"
.balign 8
near_pointer: .quad n12
near_function_pointer: .quad near_function_pops
far_function_pointer:
  .quad far_function
  .word SELECTOR_KERNEL_CODE
.balign 8
far_pointer:
  .long f7
  .word SELECTOR_KERNEL_CODE

.section .bss
.balign 8
kernel_stack: .skip 8
