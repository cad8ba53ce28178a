// SPDX-License-Identifier: MIT
//
// The only program of a Linux guest. It does what its argument says, prints a line for each check
// that begins with PASS or FAIL, and powers off:
//   counting (or nothing)   the kernel counts and samples on every CPU
//   processes               processes, threads, signals, faults, debuggers
//   spe                     the kernel's driver for SPE, on every CPU
//   spe-seldom              what users of that driver seldom do, on two CPUs
//   spe-records             prints the records that it gets
//   kallsyms                prints the kernel's symbols
//   status N                not init: ends with that status
#include "checks.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

void report(bool passed, const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  // In one piece: other CPUs write, too.
  dprintf(STDOUT_FILENO, "%s: %s\n", passed ? "PASS" : "FAIL", line);
}

static void check_driver(void) {
  char type[16] = "";
  const int file = open("/sys/bus/event_source/devices/armv8_pmuv3/type", O_RDONLY);
  const ssize_t length = file < 0 ? -1 : read(file, type, sizeof type - 1);
  type[strcspn(type, "\n")] = '\0';
  report(length > 0, "armv8_pmuv3 has event type %s", type);
}

static void check_every_cpu(int cpus) {
  check_driver();
  for (int cpu = 0; cpu < cpus; ++cpu) {
    if (fork() == 0) {
      check_counting(cpu);
      _exit(0);
    }
  }
  while (wait(NULL) > 0) {
  }
}

static void print_file(const char* name) {
  char piece[4096];
  const int file = open(name, O_RDONLY);
  for (ssize_t got; (got = read(file, piece, sizeof piece)) > 0;) {
    if (write(STDOUT_FILENO, piece, (size_t)got) != got) break;
  }
  close(file);
}

int main(int count, char** arguments) {
  const char* const what = count > 1 ? arguments[1] : "counting";
  if (count > 2 && strcmp(what, "status") == 0) return atoi(arguments[2]);
  struct utsname kernel;
  uname(&kernel);
  const int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
  mount("none", "/sys", "sysfs", 0, NULL);
  mount("none", "/proc", "proc", 0, NULL);
  report(true, "Linux %s has started its init, %d CPUs", kernel.release, cpus);
  if (strcmp(what, "counting") == 0) check_every_cpu(cpus);
  if (strcmp(what, "processes") == 0) check_processes();
  if (strcmp(what, "spe") == 0) check_spe(cpus);
  if (strcmp(what, "spe-seldom") == 0) check_spe_seldom(cpus);
  if (strcmp(what, "spe-records") == 0) print_spe(cpus);
  if (strcmp(what, "kallsyms") == 0) print_file("/proc/kallsyms");
  report(true, "done");
  reboot(RB_POWER_OFF);
  return 0;
}
