// SPDX-License-Identifier: MIT
//
// Numbers that assembly and C share: selectors, stack sizes, fixed addresses.
#pragma once

// Segment selectors. The order is what SYSCALL/SYSRET and SYSENTER/SYSEXIT compute from one base.
#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_CODE32 0x1b
#define SELECTOR_USER_DATA 0x23
#define SELECTOR_USER_CODE 0x2b
#define SELECTOR_USER_DATA_SYSEXIT 0x33
#define SELECTOR_KERNEL_CODE32 0x38
#define SELECTOR_NOT_PRESENT 0x40
#define SELECTOR_SPARE 0x48
#define SELECTOR_TSS 0x50  // of CPU 0; 16 bytes for each CPU

#define MAX_CPUS 16
#define STACK_BYTES 16384

#define USER_PAGE 0x600000  // guest.ld: user_start
#define USER_PAGE_BYTES 0x200000
#define USER_STACK_TOP 0x7ffff0

#define TRAMPOLINE 0x8000  // where an application processor starts, in real mode

// How the guest was entered.
#define BOOT_MULTIBOOT 1
#define BOOT_PVH 2
#define BOOT_ELF64 3

// Vectors that the runtime itself gives a meaning.
#define VECTOR_USER_EXIT 0x80  // INT 0x80, allowed from user mode
#define VECTOR_SYSCALL 0x100   // not a vector: how SYSCALL shows up in a trap frame
#define VECTOR_SYSENTER 0x101  // likewise
#define NO_TRAP 0x1ff
