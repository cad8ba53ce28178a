// SPDX-License-Identifier: MIT
//
// The two ends of the demo, where every instruction is accounted for.
//
// demo_entry starts counters 0 to 3 with the guest's first instructions. What they miss before they
// run is known: see PROLOGUE_INSTRUCTIONS, and demo_prologue_cycles(), which runs the same
// instructions again.
//
// demo_finish() reads the counters, adds what is still to come, prints the sums and ends the run.
// It is one straight line without a branch, so what is to come is always the same; a rehearsal that
// prints to an unused port has measured it. What it prints is what the machine has retired when it
// stops.

#define PERFEVTSEL0 0x186
#define K7_EVNTSEL0 0xc0010000
#define COUNT_ALL 0x430000             // EN, OS, USR
#define NAME_BYTES 25
#define FS_BASE 0xc0000100             // this and the next three take the writes where there are no four counters
#define AUTH 0x68747541                // CPUID.0:EBX of "AuthenticAMD"

// Up to the WRMSR that starts counter 0. Leaves the first event select's MSR in EDI, and ZF says
// that the CPU is AMD's. Clobbers EAX, ECX, EDX, EBP; keeps EBX.
.macro prepare_first_counter
  mov %ebx, %ebp
  mov $0xa, %eax
  xor %ecx, %ecx
  cpuid
  mov $FS_BASE, %edi
  mov $PERFEVTSEL0, %ecx
  cmp $4, %ah                          // counters
  cmovae %ecx, %edi
  xor %eax, %eax
  xor %ecx, %ecx
  cpuid
  mov $K7_EVNTSEL0, %ecx
  cmp $AUTH, %ebx
  cmove %ecx, %edi
  mov %ebp, %ebx
  mov $0, %edx                         // MOV, LEA and WRMSR leave the flags of CMP
  mov $COUNT_ALL + 0x003c, %eax        // cycles
  mov $COUNT_ALL + 0x0076, %ecx
  cmove %ecx, %eax
  mov %edi, %ecx
.endm
.macro start_next_counter number, intel, amd
  mov $COUNT_ALL + \intel, %eax
  mov $COUNT_ALL + \amd, %ecx
  cmove %ecx, %eax
  lea \number(%edi), %ecx
  wrmsr
.endm

.text
.code32
.global demo_entry
demo_entry:
  prepare_first_counter
  wrmsr                                // counts itself
  start_next_counter 1, 0x00c0, 0x00c0 // instructions: not counted are the 21 + 4 before its WRMSR
  start_next_counter 2, 0x00c4, 0x00c2 // branches: not counted are none
  start_next_counter 3, 0x00c5, 0x00c3 // mispredicted branches: likewise
  jmp guest_entry

.code64
// uint64_t demo_prologue_cycles(void): of the instructions before counter 0 runs.
.global demo_prologue_cycles
demo_prologue_cycles:
  push %rbp
  push %rbx
  xor %ecx, %ecx
  rdpmc
  mov %eax, %esi
  xor %ecx, %ecx
  rdpmc
  sub %esi, %eax                       // what reading costs
  mov %eax, %r8d
  xor %ecx, %ecx
  rdpmc
  mov %eax, %esi
  prepare_first_counter
  xor %ecx, %ecx
  rdpmc
  sub %esi, %eax
  sub %r8d, %eax
  pop %rbx
  pop %rbp
  ret

// Counter `number` to `to`: always four instructions.
.macro read_counter number, to
  rdpmc
  mov %eax, \to
  mov %edx, 4 + \to
  mov $\number + 1, %ecx               // for the next
.endm

// RAX in 15 columns with commas, to `buffer`. R8 = 10, R9D = ' '.
.macro decimal buffer
  .set column, 14
  .set digit, 0
  .rept 12
    .if digit != 0 && digit % 3 == 0
      mov $',', %edx
      test %rax, %rax
      cmovz %r9d, %edx
      mov %dl, \buffer + column
      .set column, column - 1
    .endif
    mov %rax, %rcx
    xor %edx, %edx
    div %r8
    add $'0', %edx
    .if digit != 0
      test %rcx, %rcx
      cmovz %r9d, %edx
    .endif
    mov %dl, \buffer + column
    .set column, column - 1
    .set digit, digit + 1
  .endr
.endm

// Memory to the port in DX.
.macro send memory, bytes
  .set column, 0
  .rept \bytes
    mov \memory + column, %al
    out %al, %dx
    .set column, column + 1
  .endr
.endm

// void demo_finish(const uint64_t to_come[4], unsigned console_port, unsigned exit_port,
//                  uint64_t reads[2][4])
// Returns if exit_port is not the debug-exit port; `reads` is what the counters were at its
// beginning and behind its end.
.global demo_finish
demo_finish:
  push %rbx
  mov %rcx, %rbx
  mov %edx, %r10d
  mov %esi, %r11d
  mov $10, %r8d
  mov $32, %r9d
  xor %ecx, %ecx
  read_counter 0, 0(%rbx)
  read_counter 1, 8(%rbx)
  read_counter 2, 16(%rbx)
  read_counter 3, 24(%rbx)
  mov 0(%rbx), %rax
  add 0(%rdi), %rax
  decimal line0
  mov 8(%rbx), %rax
  add 8(%rdi), %rax
  decimal line1
  mov 16(%rbx), %rax
  add 16(%rdi), %rax
  decimal line2
  mov 24(%rbx), %rax
  add 24(%rdi), %rax
  decimal line3
  mov %r11d, %edx
  send name0, NAME_BYTES
  send line0, 16
  send name1, NAME_BYTES
  send line1, 16
  send name2, NAME_BYTES
  send line2, 16
  send name3, NAME_BYTES
  send line3, 16
  mov %r10d, %edx
  xor %eax, %eax
  xor %ecx, %ecx
  out %eax, %dx                        // the last instruction of the run
  read_counter 0, 32(%rbx)
  read_counter 1, 40(%rbx)
  read_counter 2, 48(%rbx)
  read_counter 3, 56(%rbx)
  pop %rbx
  ret

.section .rodata
name0: .ascii "  cycles                 "
name1: .ascii "  instructions           "
name2: .ascii "  branches               "
name3: .ascii "  mispredicted branches  "

.data                                  // 15 columns and the end of the line
line0: .ascii "               \n"
line1: .ascii "               \n"
line2: .ascii "               \n"
line3: .ascii "               \n"
