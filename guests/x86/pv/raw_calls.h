// SPDX-License-Identifier: MIT
//
// Hypercalls with every register as wanted, by either vendor's instruction.
#pragma once

#include <stdint.h>

struct raw_call {
  uint64_t rax, rbx, rcx, rdx, rsi;
};
/// All registers are loaded, and stored back as the hypercall left them.
void raw_vmcall(struct raw_call* call);
void raw_vmmcall(struct raw_call* call);

/// User code: the hypercall with RAX = RDI, RBX = RSI, RCX = RDX; then INT 0x80.
void user_vmcall(void);
void user_vmmcall(void);
