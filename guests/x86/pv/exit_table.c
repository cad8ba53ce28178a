// SPDX-License-Identifier: MIT
//
// What four events cost in exits: every step of counting them, one after another, in the way that
// the command line says, each between two writes that tell the host which step it is
// (exit_phases.h). The host has the numbers; the guest only sees that what it did has counted.
//   column=NAME   see columns[]
#include "exit_column.h"
#include "exit_phases.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static const struct exit_column* const columns[] = {&general_counters, &fixed_counters, &pv_calls,
                                                    &pv_registers, &pv_batch};
static const struct exit_column* column;

static void phase(enum exit_phase phase) {
  outl(PHASE_PORT, phase);
}

static void step(enum exit_phase which, void (*action)(void)) {
  if (action == 0) return;
  phase(which);
  action();
  phase(PHASE_NONE);
}

static void step_with_counts(enum exit_phase which, void (*action)(uint64_t*), uint64_t* counts) {
  if (action == 0) return;
  phase(which);
  action(counts);
  phase(PHASE_NONE);
}

enum { WORK_ROUNDS = 1000 };
static void work(void) {
  for (volatile unsigned i = 0; i < WORK_ROUNDS; ++i) {
  }
}

static void check_counts(const uint64_t before[], const uint64_t after[], const char* what) {
  unsigned standing = 0;
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) standing += after[i] < before[i] + WORK_ROUNDS;
  CHECK(standing == 0, "%s: %lu instructions, %lu cycles, %lu branches, %lu loads", what, after[0],
        after[1], after[2], after[3]);
}

/// Everything that one `perf stat` does, and some more in between.
static void count(void) {
  uint64_t nothing[EXIT_EVENTS] = {0}, running[EXIT_EVENTS] = {0}, exact[EXIT_EVENTS] = {0},
           stopped[EXIT_EVENTS] = {0};
  step(PHASE_CREATE, column->create);
  step(PHASE_START, column->start);
  work();
  step_with_counts(PHASE_READ_EXACT, column->read_exact, exact);
  step_with_counts(PHASE_READ_RUNNING, column->read_running, running);
  check_counts(nothing, running, "while they run");
  if (column->read_exact != 0) CHECK(exact[0] > WORK_ROUNDS, "exact: %lu instructions", exact[0]);
  work();
  step_with_counts(PHASE_STOP, column->stop, stopped);
  step_with_counts(PHASE_READ_STOPPED, column->read_stopped, stopped);
  check_counts(running, stopped, "when they are stopped");
}

static void switch_tasks(void) {
  uint64_t before[EXIT_EVENTS] = {0}, after[EXIT_EVENTS] = {0};
  column->start();
  work();
  phase(PHASE_TASK_SWITCH);
  column->switch_out(before);
  column->switch_in(before);
  phase(PHASE_NONE);
  work();
  column->stop(after);
  if (column->read_stopped != 0) column->read_stopped(after);
  check_counts(before, after, "a task that was away");
}

static volatile unsigned samples;
static void on_nmi(struct trap* frame) {
  (void)frame;
  if (column->on_nmi()) ++samples;
}

static void sample(void) {
  set_handler(VECTOR_NMI, on_nmi);
  column->sample();
  while (samples < 1) pause();
  phase(PHASE_OVERFLOW);
  while (samples < 2) {
    // PAUSE may be an exit
  }
  phase(PHASE_NONE);
  while (samples < 3) pause();
  column->end_sampling();
  CHECK_EQUAL(samples, 3, "three overflows, three interrupts");
}

static bool same(const char* text, const char* name) {
  while (*name != 0 && *text == *name) ++text, ++name;
  return *name == 0 && (*text == 0 || *text == ' ');
}

void guest_main(void) {
  const char* wanted = option_text("column");
  for (unsigned i = 0; i < sizeof columns / sizeof *columns; ++i) {
    if (wanted != 0 && same(wanted, columns[i]->name)) column = columns[i];
  }
  if (column == 0) panic("say which column: column=NAME");
  if (!column->discover()) panic("this machine does not have what the column is about");
  apic_start();
  phase(PHASE_EMPTY);
  phase(PHASE_NONE);
  step(PHASE_SET_UP, column->set_up);
  count();
  switch_tasks();
  sample();
  step(PHASE_DESTROY, column->destroy);
}
