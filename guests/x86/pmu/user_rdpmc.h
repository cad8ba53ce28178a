// SPDX-License-Identifier: MIT
//
// RDPMC in user mode.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "measured.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static inline struct trap user_reads(uint32_t index) {
  return run_user((struct user_entry){.rip = (uint64_t)user_rdpmc, .rdi = index});
}
/// It is refused, with #GP(0).
static inline bool user_faults(uint32_t index) {
  const struct trap trap = user_reads(index);
  return trap.vector == VECTOR_GP && trap.error == 0 && trap.rip == (uint64_t)user_rdpmc + 2;
}
/// It gives `value`, in the low halves of RAX and RDX.
static inline bool user_gets(uint32_t index, uint64_t value) {
  const struct trap trap = user_reads(index);
  return trap.vector == VECTOR_USER_EXIT && trap.rax == (uint32_t)value && trap.rdx == value >> 32;
}
