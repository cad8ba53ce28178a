// SPDX-License-Identifier: MIT
#include "profile/user_call.h"

#include "runtime/traps.h"

bool user_call(void (*code)(uint64_t, uint64_t), uint64_t stack, uint64_t first, uint64_t second) {
  const struct trap trap = run_user((struct user_entry){
      .pc = (uint64_t)code, .sp = stack, .spsr = SPSR_I | SPSR_F, .x0 = first, .x1 = second});
  return trap.kind == EC_SVC;
}
