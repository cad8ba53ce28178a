// SPDX-License-Identifier: MIT
//
// Tasks that take turns, with events of their own: each counts what it does itself, on whichever
// CPU, in two exits a turn.
#include "offer.h"
#include "pmu/measured.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/smp.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { TASKS = 3, TURNS = 30 };

static struct pvperf_task tasks[TASKS];
static uint64_t done[TASKS], turns[TASKS];
static unsigned wrong;

static void turn(void* argument) {
  const uint64_t task = (uint64_t)argument;
  const unsigned cpu = current_cpu();
  struct pvperf_cpu* here = &pv_cpus[cpu];
  const uint64_t rounds = 100 * (task + 1) + turns[task]++;
  wrong += pvperf_task_in(here, &tasks[task]) != PVPERF_OK;
  run_user((struct user_entry){.rip = (uint64_t)user_branch_loop,
                               .rdi = rounds,
                               .rsp = USER_STACK_TOP - cpu * 4096,
                               .rflags = RFLAGS_FIXED});
  wrong += pvperf_task_out(here, &tasks[task]) != PVPERF_OK;
  done[task] += rounds;
}

static void start_cpu(void* unused) {
  (void)unused;
  pv_start_cpu();
}

static void check_tasks(unsigned cpus) {
  for (uint64_t task = 0; task < TASKS; ++task) {
    pvperf_task_start(&tasks[task]);
    done[task] = turns[task] = 0;
    // Task t has the events t to t + 2.
    const struct pvperf_cpu* cpu = &pv_cpus[0];
    const unsigned first = (unsigned)task;
    pvperf_task_add(&tasks[task], cpu, first, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_USR), 0,
                    0);
    pvperf_task_add(&tasks[task], cpu, first + 1, pvperf_generic(PVPERF_BRANCHES, PVPERF_USR), 7,
                    0);
    pvperf_task_add(&tasks[task], cpu, first + 2, pvperf_generic(PVPERF_BRANCHES, PVPERF_USR), 0,
                    1000);
  }
  wrong = 0;
  for (unsigned n = 0; n < TASKS * TURNS; ++n) {
    const unsigned cpu = n % cpus;
    void* task = (void*)(uint64_t)(n % TASKS);
    if (cpu == 0) {
      turn(task);
    } else {
      smp_run(cpu, turn, task);
      smp_wait(cpu);
    }
  }
  CHECK_EQUAL(wrong, 0, "%u turns on %u CPUs", TASKS * TURNS, cpus);
  for (unsigned task = 0; task < TASKS; ++task) {
    const struct pvperf_task_event* event = &tasks[task].event[task];
    CHECK_EQUAL(event[0].count, 2 * done[task] + TURNS, "task %u has counted its own instructions",
                task);
    CHECK_EQUAL(event[1].count, 7 + done[task] + TURNS, "and branches");
    const uint64_t branches = done[task] + TURNS;
    CHECK_EQUAL((event[2].count + 1000) & pvperf_mask(&pv), branches % 1000,
                "those with a period go on within it");
    CHECK_EQUAL(tasks[task].overflowed, branches >= 1000 ? 1u << (task + 2) : 0,
                "and it is known whether that was over once");
    CHECK(event[0].time_enabled != 0 && event[0].time_running == event[0].time_enabled,
          "they have run all the time that the task did: %lu ns", event[0].time_enabled);
  }
}

void guest_main(void) {
  pv_start();
  const unsigned cpus = smp_start();
  for (unsigned cpu = 1; cpu < cpus; ++cpu) {
    smp_run(cpu, start_cpu, 0);
    smp_wait(cpu);
  }
  struct pvperf_cpu* cpu = pv_start_cpu();
  check_tasks(1);
  if (cpus > 1) check_tasks(cpus);

  if ((pv.software_events >> PVPERF_EXITS & 1) == 0) {
    check_skip("exits as an event");
    return;
  }
  pvperf_program(&pv, 15 % pv.events, pvperf_software(PVPERF_EXITS, PVPERF_OS), 0);
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 1ULL << 15 % pv.events);
  pvperf_task_start(&tasks[0]);
  pvperf_task_add(&tasks[0], cpu, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_USR), 0, 0);
  const uint64_t before = pvperf_read_register(&pv, 15 % pv.events);
  pvperf_task_in(cpu, &tasks[0]);
  pvperf_task_out(cpu, &tasks[0]);
  const uint64_t after = pvperf_read_register(&pv, 15 % pv.events);
  CHECK_EQUAL(after - before - 1, 2, "a turn costs two exits");
}
