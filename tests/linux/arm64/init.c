// SPDX-License-Identifier: MIT
//
// The only program of a Linux guest: has the kernel count and sample its own loops on every CPU
// with perf_event_open(), says what it found, a line each that begins with PASS or FAIL, and powers
// off.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static void report(bool passed, const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  // In one piece: other CPUs write, too.
  dprintf(STDOUT_FILENO, "%s: %s\n", passed ? "PASS" : "FAIL", line);
}

// ---- The loop -----------------------------------------------------------------------------------

enum { kInstructionsPerTurn = 2 };
extern const char loop_begin[], loop_end[];

/// Two instructions in each turn, one of them a branch.
__attribute__((noinline)) static void loop(uint64_t turns) {
  __asm__ volatile(
      ".global loop_begin, loop_end\n"
      "loop_begin:\n"
      "  subs %0, %0, #1\n"
      "  b.ne loop_begin\n"
      "loop_end:\n"
      : "+r"(turns)
      :
      : "cc");
}

// ---- Counting -----------------------------------------------------------------------------------

static int open_event(struct perf_event_attr* attributes) {
  attributes->size = sizeof *attributes;
  attributes->disabled = 1;
  attributes->exclude_kernel = 1;
  attributes->exclude_hv = 1;
  const int this_process = 0, any_cpu = -1, no_group = -1;
  return (int)syscall(SYS_perf_event_open, attributes, this_process, any_cpu, no_group, 0UL);
}

static uint64_t count_of(int event) {
  uint64_t count = 0;
  return read(event, &count, sizeof count) == sizeof count ? count : 0;
}

static uint64_t counted(int event, uint64_t turns) {
  ioctl(event, PERF_EVENT_IOC_RESET, 0);
  ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
  loop(turns);
  ioctl(event, PERF_EVENT_IOC_DISABLE, 0);
  return count_of(event);
}

struct expectation {
  const char* name;
  uint32_t type;
  uint64_t config;
  uint64_t per_turn;
};

static const struct expectation kExpected[] = {
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, 2},
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 2},
    {"branches", PERF_TYPE_RAW, 0x21, 1},  // BR_RETIRED
    {"loads", PERF_TYPE_RAW, 0x70, 0},     // LD_SPEC
};

/// What is round the loop is in both counts: their difference is the loop's alone.
static void check_count(int cpu, const struct expectation* expected) {
  enum { kTurns = 1000000 };
  struct perf_event_attr attributes = {.type = expected->type, .config = expected->config};
  const int event = open_event(&attributes);
  if (event < 0) {
    report(false, "cpu %d: %s: perf_event_open: %m", cpu, expected->name);
    return;
  }
  const uint64_t one = counted(event, kTurns), two = counted(event, 2 * kTurns);
  close(event);
  report(two - one == expected->per_turn * kTurns, "cpu %d: %s of %d turns: %lu", cpu,
         expected->name, kTurns, two - one);
}

// ---- Sampling -----------------------------------------------------------------------------------

enum { kPeriod = 100000, kSamplingTurns = 5000000 };
enum { kPage = 4096, kRingPages = 8 };

struct samples {
  unsigned all;
  unsigned in_loop;
  unsigned lost;
};

/// The ring is larger than what is written into it.
static struct samples read_ring(const struct perf_event_mmap_page* ring) {
  struct samples found = {0, 0, 0};
  const char* data = (const char*)ring + ring->data_offset;
  for (uint64_t at = ring->data_tail; at < ring->data_head;) {
    const struct perf_event_header* record = (const void*)(data + at);
    if (record->type == PERF_RECORD_SAMPLE) {
      const uint64_t address = *(const uint64_t*)(record + 1);
      ++found.all;
      if (address >= (uint64_t)loop_begin && address < (uint64_t)loop_end) ++found.in_loop;
    } else {
      ++found.lost;
    }
    at += record->size;
  }
  return found;
}

static void check_samples(int cpu) {
  struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                       .config = PERF_COUNT_HW_INSTRUCTIONS,
                                       .sample_type = PERF_SAMPLE_IP,
                                       .sample_period = kPeriod};
  const int event = open_event(&attributes);
  void* ring = mmap(NULL, (1 + kRingPages) * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
  if (event < 0 || ring == MAP_FAILED) {
    report(false, "cpu %d: sampling: %m", cpu);
    return;
  }
  const uint64_t count = counted(event, kSamplingTurns);
  const struct samples found = read_ring(ring);
  report(found.all == count / kPeriod && found.lost == 0,
         "cpu %d: %u samples, one in %d of %lu instructions", cpu, found.all, kPeriod, count);
  report(found.in_loop == found.all && found.all != 0, "cpu %d: %u of %u samples are in the loop",
         cpu, found.in_loop, found.all);
  close(event);
}

// ---- Every CPU ----------------------------------------------------------------------------------

static void check_cpu(int cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  const bool moved = sched_setaffinity(0, sizeof only, &only) == 0 && sched_getcpu() == cpu;
  report(moved, "cpu %d: runs a process", cpu);
  for (unsigned n = 0; n < sizeof kExpected / sizeof kExpected[0]; ++n) {
    check_count(cpu, &kExpected[n]);
  }
  check_samples(cpu);
}

static void check_driver(void) {
  char type[16] = "";
  const int file = open("/sys/bus/event_source/devices/armv8_pmuv3/type", O_RDONLY);
  const ssize_t length = file < 0 ? -1 : read(file, type, sizeof type - 1);
  type[strcspn(type, "\n")] = '\0';
  report(length > 0, "armv8_pmuv3 has event type %s", type);
}

int main(void) {
  struct utsname kernel;
  uname(&kernel);
  const int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
  mount("none", "/sys", "sysfs", 0, NULL);
  report(true, "Linux %s has started its init, %d CPUs", kernel.release, cpus);
  check_driver();
  for (int cpu = 0; cpu < cpus; ++cpu) {
    if (fork() == 0) {
      check_cpu(cpu);
      _exit(0);
    }
  }
  while (wait(NULL) > 0) {
  }
  report(true, "all CPUs are done");
  reboot(RB_POWER_OFF);
  return 0;
}
