// SPDX-License-Identifier: MIT
//
// Numbers that assembly and C share: stack sizes, addresses, the kinds of exceptions.
#pragma once

#define MAX_CPUS 8
#define STACK_BYTES 16384

// The machine, as QEMU's "virt" has it.
#define GICD 0x08000000
#define GICR 0x080a0000  // 128 KiB for each CPU
#define GICR_STRIDE 0x20000
#define UART 0x09000000
#define UART_INTID 33
#define EXIT_DEVICE 0x090f0000  // only vpmu's machine has it
#define RAM 0x40000000

#define USER_BLOCK 0x40800000  // guest.ld: user_start
#define USER_BLOCK_BYTES 0x200000
#define USER_STACK_TOP 0x409ffff0

// How SCTLR_EL1 stands while guests run: RES1 bits of ARMv8.0, M, C, SA, I.
#define SCTLR_START 0x30d0180d
// TCR_EL1: T0SZ 25, inner and outer write-back, inner shareable, T1SZ 25, TTBR1 off, 4 KiB, 40-bit
// addresses.
#define TCR_START 0x280993519
// MAIR_EL1: 0 normal write-back, 1 Device-nGnRE, 2 normal non-cacheable, 3 Device-nGnRnE.
#define MAIR_START 0x004404ff

// What a trap frame says about how the exception came: exception class of ESR_EL1, or
#define TRAP_IRQ 64
#define TRAP_FIQ 65
#define TRAP_SERROR 66
#define TRAP_KINDS 67
#define NO_TRAP 0x1ff

#define TRAP_FRAME_BYTES 304
