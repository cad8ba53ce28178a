// SPDX-License-Identifier: MIT
//
// perf_event_open(): the kernel counts and samples a loop whose instructions are known.
#define _GNU_SOURCE
#include "checks.h"

#include <linux/perf_event.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// ---- The loop -----------------------------------------------------------------------------------

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

// ---- On one CPU ---------------------------------------------------------------------------------

void check_counting(int cpu) {
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
