// SPDX-License-Identifier: MIT
#include "profile/user_call.h"

#include "runtime/cpu.h"
#include "runtime/traps.h"

bool user_call(void (*code)(uint64_t, uint64_t), uint64_t stack, uint64_t first, uint64_t second) {
  const struct trap trap = run_user((struct user_entry){
      .rip = (uint64_t)code, .rsp = stack, .rflags = RFLAGS_FIXED, .rdi = first, .rsi = second});
  return trap.vector == VECTOR_USER_EXIT;
}
