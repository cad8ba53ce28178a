// SPDX-License-Identifier: MIT
//
// Several CPUs. CPU 0 is the one that booted; the others are numbered as they come up.
#pragma once

#include <stdint.h>

/// How many CPUs the machine says it has, 1 if it does not say.
unsigned smp_cpus(void);
/// Starts all other CPUs; returns how many run, CPU 0 included.
unsigned smp_start(void);
/// Runs function(argument) on another CPU, without waiting. It must have finished its last one.
void smp_run(unsigned cpu, void (*function)(void*), void* argument);
/// Waits until that CPU has finished.
void smp_wait(unsigned cpu);

/// What another CPU does once it runs: the functions it is given, for ever.
_Noreturn void smp_serve(unsigned cpu);
/// That CPU has been turned off while it ran a function.
void smp_forget(unsigned cpu);
