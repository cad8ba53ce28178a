// SPDX-License-Identifier: MIT
//
// What counts at which exception level: PMEVTYPER's P and U, exceptions and their returns, and that
// both levels together are the sum.
#include "machine/attempts.h"
#include "measured.h"
#include "runtime/check.h"
#include "runtime/start.h"

enum { CALLS = 50, EXCEPTION_CYCLES = 16 };

/// Runs user code with counters 0 to 2 on an event: EL0 only, EL1 only, both.
static void count_levels(unsigned event, void (*code)(void), uint64_t argument, uint64_t* counts) {
  pmu_clear();
  const uint64_t filters[] = {PMEVTYPER_P, PMEVTYPER_U, 0};
  for (unsigned i = 0; i < 3; ++i) pmu_arm(i, event | filters[i], 0);
  pmu_enable();
  run_user((struct user_entry){.pc = (uint64_t)code, .x0 = argument});
  pmu_disable();
  for (unsigned i = 0; i < 3; ++i) counts[i] = pmu_read(i);
}

static void check_block(void) {
  for (unsigned e = 0; e < BLOCK_COUNTS; ++e) {
    const unsigned event = block_counts[e].event;
    if (!pmu_has(event)) continue;
    uint64_t counts[3];
    count_levels(event, user_block, 0, counts);
    const bool per_instruction = block_counts[e].count == BLOCK_INSTRUCTIONS;
    // The kernel's block has one MSR, the user's a set-up and an SVC.
    uint64_t expected = per_instruction ? USER_BLOCK_INSTRUCTIONS : block_counts[e].count;
    // The literal of the set-up is a load.
    if (event == EVENT_MEM_ACCESS || event == EVENT_L1D_CACHE || event == EVENT_LD_RETIRED) {
      ++expected;
    }
    if (event == EVENT_EXC_TAKEN || event == EVENT_EXC_RETURN) continue;
    CHECK_EQUAL(counts[0], expected, "%s at EL0", block_counts[e].name);
    CHECK_EQUAL(counts[0] + counts[1], counts[2], "%s: EL0 and EL1 are all there is",
                block_counts[e].name);
  }
}

static volatile uint64_t calls;
static void on_call(struct trap* frame) {
  if ((frame->esr & 0xffff) == USER_SURVIVED) {
    set_handler(EC_SVC, 0);
    frame->elr -= 4;
    return;
  }
  ++calls;
}

static void check_exceptions(void) {
  uint64_t taken[3], returned[3], instructions[3], cycles[3];
  uint64_t* results[] = {taken, returned, instructions, cycles};
  const unsigned events[] = {EVENT_EXC_TAKEN, EVENT_EXC_RETURN, EVENT_INST_RETIRED,
                             EVENT_CPU_CYCLES};
  for (unsigned e = 0; e < 4; ++e) {
    set_handler(EC_SVC, on_call);
    count_levels(events[e], user_system_calls, CALLS, results[e]);
  }
  // Two more SVCs: the one at the end is made twice. And the ERET that begins, the one that
  // recovers.
  if (pmu_has(EVENT_EXC_TAKEN)) {
    CHECK_EQUAL(taken[2], CALLS + 2, "EXC_TAKEN: each SVC");
    CHECK_EQUAL(returned[2], CALLS + 3, "EXC_RETURN: each ERET");
  }
  CHECK_EQUAL(instructions[0], 3 * CALLS + 2, "an SVC retires at EL0");
  CHECK_EQUAL(instructions[0] + instructions[1], instructions[2], "and its handler at EL1");
  CHECK_EQUAL(cycles[2] - instructions[2], EXCEPTION_CYCLES * (CALLS + 2ULL),
              "an exception costs cycles in which nothing retires");
}

static void check_faults(void) {
  uint64_t counts[3];
  count_levels(EVENT_INST_RETIRED, (void (*)(void))user_undefined, 0, counts);
  CHECK_EQUAL(counts[0], 0, "an undefined instruction does not retire");
  count_levels(EVENT_INST_RETIRED, (void (*)(void))user_breakpoint, 0, counts);
  CHECK_EQUAL(counts[0], 0, "nor does BRK");
  count_levels(EVENT_INST_RETIRED, (void (*)(void))user_read_64, 0x80000000, counts);
  CHECK_EQUAL(counts[0], 0, "nor does a load that faults");
  count_levels(EVENT_INST_RETIRED, (void (*)(void))user_supervisor_call, 0, counts);
  CHECK_EQUAL(counts[0], 1, "SVC does");
  count_levels(EVENT_INST_RETIRED, (void (*)(void))user_jump, 0x80000000, counts);
  CHECK_EQUAL(counts[0], 1, "so does a branch to where nothing is");
}

static void check_cycle_filter(void) {
  const uint64_t filters[] = {0, PMEVTYPER_P, PMEVTYPER_U, PMEVTYPER_P | PMEVTYPER_U};
  uint64_t counts[4];
  for (unsigned f = 0; f < 4; ++f) {
    pmu_clear();
    pmu_arm(PMU_CYCLE_COUNTER, filters[f], 0);
    pmu_enable();
    run_user((struct user_entry){.pc = (uint64_t)user_block});
    pmu_disable();
    counts[f] = pmu_read(PMU_CYCLE_COUNTER);
  }
  CHECK_EQUAL(counts[1], USER_BLOCK_INSTRUCTIONS, "PMCCFILTR.P: cycles at EL0");
  CHECK_EQUAL(counts[1] + counts[2], counts[0], "EL0 and EL1 are all cycles");
  CHECK_EQUAL(counts[3], 0, "with both there are none");
}

void guest_main(void) {
  pmu_start();
  check_block();
  check_exceptions();
  check_faults();
  check_cycle_filter();
}
