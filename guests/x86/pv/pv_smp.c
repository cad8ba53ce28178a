// SPDX-License-Identifier: MIT
//
// Two CPUs or more, each with events of its own that run all the time, read each other's pages
// while the host writes them: what is read together belongs together.
#include "offer.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/smp.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { SAME = 4, READS = 3000 };

static unsigned cpus;
static volatile uint32_t finished;
static struct own {
  uint64_t torn, backwards, failed, publications, reads, impossible;
  uint64_t last[MAX_CPUS], last_ns[MAX_CPUS];
} own[MAX_CPUS];

static void start_events(void* unused) {
  (void)unused;
  struct pvperf_cpu* cpu = pv_start_cpu();
  for (unsigned i = 0; i < SAME; ++i) {
    pvperf_command(cpu, i, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 0, 0);
  }
  if (pvperf_start(cpu, (1u << SAME) - 1, 0) != PVPERF_OK) panic("events do not start");
}

/// The same event SAME times, started together: their counts and times are the same in each
/// publication, and never go back.
static void look_at(struct own* me, unsigned other) {
  struct pvperf_value values[SAME];
  uint64_t status;
  if (!pvperf_page_read_all(&pv_pages[other], SAME, values, &status)) {
    ++me->failed;
    return;
  }
  ++me->reads;
  for (unsigned i = 1; i < SAME; ++i) {
    me->torn += values[i].count != values[0].count ||
                values[i].time_enabled != values[0].time_enabled ||
                values[i].time_running != values[0].time_running;
  }
  me->impossible += values[0].time_running > values[0].time_enabled || status != 0;
  me->backwards += values[0].count < me->last[other] || values[0].time_running < me->last_ns[other];
  me->publications += values[0].count != me->last[other];
  me->last[other] = values[0].count;
  me->last_ns[other] = values[0].time_running;
}

static void read_others(void* unused) {
  (void)unused;
  const unsigned cpu = current_cpu();
  struct own* me = &own[cpu];
  for (unsigned n = 0; n < READS; ++n) {
    for (unsigned other = 0; other < cpus; ++other) look_at(me, other);
    // Publications besides the periodic ones.
    if (n % 16 == cpu) pvperf_snap(&pv_cpus[cpu]);
  }
  __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
  while (finished < cpus) pvperf_snap(&pv_cpus[cpu]);
}

static void stop_events(void* unused) {
  (void)unused;
  pvperf_cpu_stop(&pv_cpus[current_cpu()]);
}

static void on_all(void (*function)(void*)) {
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, function, 0);
  function(0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
}

void guest_main(void) {
  pv_start();
  cpus = smp_start();
  CHECK_EQUAL(cpus, option_number("cpus", smp_cpus()), "%u CPUs run", cpus);
  on_all(start_events);
  on_all(read_others);
  on_all(stop_events);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    const struct own* me = &own[cpu];
    CHECK(me->reads + me->failed == (uint64_t)READS * cpus && me->failed * 10 <= me->reads,
          "CPU %u could read: %lu of %lu", cpu, me->reads, (uint64_t)READS * cpus);
    CHECK_EQUAL(me->torn, 0, "and what it read belongs together");
    CHECK_EQUAL(me->backwards, 0, "nothing goes back");
    CHECK_EQUAL(me->impossible, 0, "or is impossible");
    CHECK(me->publications > cpus, "it saw %lu publications", me->publications);
  }
}
