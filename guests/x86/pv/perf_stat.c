// SPDX-License-Identifier: MIT
//
// `perf stat` of four events, the same work in each of the ways that there are to count it: through
// the architectural PMU, PV perf's calls, its registers, its batch register with the shared page.
// Each way counts the same, to the instruction, and takes another number of exits, which the guest
// counts with PV perf's own event for that. Command line:
//   way=NAME    that way only: general, calls, registers, batch, exact
//   times=N     N times, and the guest counts no exits: for who counts them from outside
#include "exit_column.h"
#include "exit_phases.h"
#include "pvperf/pvperf.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "workload_core.h"

/// perf stat reads its events once while they count.
static const struct way {
  const char* name;
  const char* title;
  const struct exit_column* column;
  bool exact;  ///< the page is brought up to date before it is read
} ways[PHASE_WAYS] = {
    {"general", "architectural PMU", &general_counters, false},
    {"calls", "PV perf, hypercalls", &pv_calls, false},
    {"registers", "PV perf, registers", &pv_registers, false},
    {"batch", "PV perf, batch + page", &pv_batch, false},
    {"exact", "the same, read exactly", &pv_batch, true},
};

struct result {
  bool counted;
  uint64_t counts[EXIT_EVENTS];  ///< of the work
  uint64_t own[EXIT_EVENTS];     ///< of starting, reading and stopping
  uint64_t exits;                ///< of all that
};
static struct result results[PHASE_WAYS];

static uint32_t keys[WORKLOAD_KEYS];
static void work(void) {
  workload_round(keys, 1);
}
static void no_work(void) {}

// ---- Exits, as the guest counts them ------------------------------------------------------------

static struct pvperf_info info;
static unsigned exits_event;

static void start_counting_exits(void) {
  if (pvperf_discover(&info) != PVPERF_OK) panic("this machine has no PV perf; say --pv-perf on");
  exits_event = info.events - 1;
  if (exits_event <= EXIT_EVENTS || (info.software_events >> PVPERF_EXITS & 1) == 0)
    panic("PV perf has too few events here, or none that counts exits");
  other_pv_events = 1u << exits_event;
  pvperf_program(&info, exits_event, pvperf_software(PVPERF_EXITS, PVPERF_USR | PVPERF_OS), 0);
  pvperf_enable(&info, other_pv_events);
}

static uint64_t exits(void) {
  return pvperf_read_register(&info, exits_event);
}

// ---- perf stat ----------------------------------------------------------------------------------

static void perf_stat(const struct way* way, void (*what)(void), uint64_t counts[EXIT_EVENTS]) {
  const struct exit_column* column = way->column;
  if (column->create != 0) column->create();
  column->start();
  what();
  (way->exact ? column->read_exact : column->read_running)(counts);
  column->stop(counts);
  if (column->read_stopped != 0) column->read_stopped(counts);
  if (column->destroy != 0) column->destroy();
}

/// The exits of all that, or if `way` is null of nothing; with the two of the marks, and one of
/// those of reading the event that counts them.
static uint64_t exits_of(const struct way* way, unsigned mark, uint64_t counts[EXIT_EVENTS]) {
  const uint64_t before = exits();
  outl(PHASE_PORT, mark);
  if (way != 0) perf_stat(way, work, counts);
  outl(PHASE_PORT, PHASE_NONE);
  return exits() - before;
}

static void measure(unsigned n, struct result* result) {
  perf_stat(&ways[n], no_work, result->own);
  result->exits =
      exits_of(&ways[n], PHASE_FIRST_WAY + n, result->counts) - exits_of(0, PHASE_NONE, 0);
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) result->counts[i] -= result->own[i];
  result->counted = true;
}

// ---- The tables ---------------------------------------------------------------------------------

static void print_head(const char* title) {
  print("%-24s%13s%12s%12s%12s", title, "instructions", "cycles", "branches", "loads");
}
static void print_counts(const struct way* way, const uint64_t counts[EXIT_EVENTS]) {
  print("  %-22s%'13lu", way->title, counts[0]);
  for (unsigned i = 1; i < EXIT_EVENTS; ++i) print("%'12lu", counts[i]);
}

static void print_tables(void) {
  print("\n");
  print_head("perf stat of 4 events");
  print("%6s\n", "exits");
  for (unsigned n = 0; n < PHASE_WAYS; ++n) {
    if (!results[n].counted) continue;
    print_counts(&ways[n], results[n].counts);
    print("%6lu\n", results[n].exits);
  }
  print("\n");
  print_head("its own, not in these");
  print("\n");
  for (unsigned n = 0; n < PHASE_WAYS; ++n) {
    if (!results[n].counted) continue;
    print_counts(&ways[n], results[n].own);
    print("\n");
  }
  print("\n");
}

static void compare(void) {
  const struct result* first = 0;
  for (unsigned n = 0; n < PHASE_WAYS; ++n) {
    if (!results[n].counted) continue;
    if (first == 0) {
      first = &results[n];
      CHECK(first->counts[0] > WORKLOAD_KEYS, "%s: in %lu exits", ways[n].title, first->exits);
      continue;
    }
    unsigned different = 0;
    for (unsigned i = 0; i < EXIT_EVENTS; ++i)
      different += results[n].counts[i] != first->counts[i];
    CHECK(different == 0, "%s: the same counts, to the instruction, in %lu exits", ways[n].title,
          results[n].exits);
  }
}

static bool wanted(const struct way* way) {
  const char* text = option_text("way");
  if (text == 0) return true;
  const char* name = way->name;
  while (*name != 0 && *text == *name) ++text, ++name;
  return *name == 0 && (*text == 0 || *text == ' ');
}

void guest_main(void) {
  apic_start();
  start_counting_exits();
  print("PV perf %u.%u: %u events of %u bits\n", info.version >> 16, info.version & 0xffff,
        info.events, info.width);
  const uint64_t times = option_number("times", 0);
  for (unsigned n = 0; n < PHASE_WAYS; ++n) {
    if (!wanted(&ways[n])) continue;
    if (!ways[n].column->discover()) {
      print("%s: not on this machine\n", ways[n].title);
      continue;
    }
    if (ways[n].column->set_up != 0) ways[n].column->set_up();
    if (times == 0) measure(n, &results[n]);
    uint64_t unused[EXIT_EVENTS];
    for (uint64_t time = 0; time < times; ++time) perf_stat(&ways[n], no_work, unused);
  }
  if (times != 0) guest_exit(0);
  print_tables();
  compare();
}
