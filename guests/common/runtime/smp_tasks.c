// SPDX-License-Identifier: MIT
#include "runtime/cpu.h"
#include "runtime/layout.h"
#include "smp.h"

struct task {
  void (*volatile function)(void*);
  void* volatile argument;
};

static struct task tasks[MAX_CPUS];

void smp_serve(unsigned cpu) {
  for (;;) {
    while (tasks[cpu].function == 0) pause();
    tasks[cpu].function(tasks[cpu].argument);
    tasks[cpu].function = 0;
  }
}

void smp_run(unsigned cpu, void (*function)(void*), void* argument) {
  tasks[cpu].argument = argument;
  tasks[cpu].function = function;
}

void smp_wait(unsigned cpu) {
  while (tasks[cpu].function != 0) pause();
}

void smp_forget(unsigned cpu) {
  tasks[cpu].function = 0;
}
