// SPDX-License-Identifier: MIT
//
// A guest whose profile is known. Of all instructions 10 % are in work::tenth(), 20 % in
// work::fifth(), both in kernel mode, and 70 % in user::most(), in user mode; all else is below
// 0.2 % (a little more if there are several CPUs: CPU 0 waits for the others). Stacks, the
// innermost first:
//
//   work::tenth  leaf  branch  kernel_work  part  run_parts  guest_main  runtime_start
//       start64 (x86-64) or guest_entry (AArch64)
//   work::fifth  Tree::descend (depth + 1 times)  branch  kernel_work  ... (as above)
//   user::most   inner  middle (depth + 1 times)  user_work  user_begin
//
// (on CPUs but the first run_parts is called by smp_ap_start). All of it has frame pointers and
// DWARF. Options:
//   parts=N    how often all of it is done: 10; a part is 1,000,000 instructions
//   depth=N    of the recursions, at most 100: 10
// With --smp N every CPU does the same.
#include "profile/user_call.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/smp.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { ROUNDS = 50000, USER_STACK = 0x10000, MOST_DEPTH = 100 };

void kernel_work(uint64_t rounds, uint64_t depth);
void user_begin(uint64_t rounds, uint64_t depth);

static uint64_t parts, depth;
static uint64_t user_exits[MAX_CPUS];

static __attribute__((noinline)) void part(unsigned cpu) {
  kernel_work(ROUNDS, depth);
  if (user_call(user_begin, USER_STACK_TOP - cpu * USER_STACK, ROUNDS, depth)) ++user_exits[cpu];
}

static __attribute__((noinline)) void run_parts(void* unused) {
  (void)unused;
  const unsigned cpu = current_cpu();
  for (uint64_t p = 0; p < parts; ++p) part(cpu);
}

void guest_main(void) {
  parts = option_number("parts", 10);
  depth = option_number("depth", 10);
  if (depth > MOST_DEPTH) panic("depth is at most 100");
  const unsigned cpus = smp_start();
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, run_parts, 0);
  run_parts(0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    CHECK_EQUAL(user_exits[cpu], parts, "CPU %u has been in user mode %lu times", cpu, parts);
  }
}
