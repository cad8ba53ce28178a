// SPDX-License-Identifier: MIT
//
// What the parts of the guest's init share.
#pragma once

#include <stdbool.h>

/// Prints a line that begins with PASS or FAIL.
__attribute__((format(printf, 2, 3))) void report(bool passed, const char* format, ...);

/// The kernel's perf events on one CPU, where this process moves to.
void check_counting(int cpu);

/// Processes, threads, signals, faults, code that changes, debuggers.
void check_processes(void);

/// Linux's driver for the Statistical Profiling Extension, which is loaded first.
void check_spe(int cpus);

/// The same driver, with two CPUs: buffers that are overwritten, CPUs that go and come, unloaded and loaded again.
void check_spe_seldom(int cpus);

/// The same driver, as a profiler of all CPUs has it: prints every record for the host to compare.
void print_spe(int cpus);
