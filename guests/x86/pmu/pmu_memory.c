// SPDX-License-Identifier: MIT
//
// Caches and TLBs: walks over memory that nobody has touched before, of which every miss is known.
// Sizes come from CPUID.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"

enum { LINE = 64, PAGE = 4096 };
#define FRESH_MEMORY (16ULL << 20)
#define FRESH_MEMORY_END (124ULL << 20)

void read_lines(struct pmu_switch start, uint64_t steps, uint64_t distance, uint64_t at);
void write_lines(struct pmu_switch start, uint64_t steps, uint64_t distance, uint64_t at);
void flush_lines(struct pmu_switch start, uint64_t steps, uint64_t distance, uint64_t at);
typedef void (*walk_function)(struct pmu_switch start, uint64_t steps, uint64_t distance,
                              uint64_t at);

/// Memory that was never accessed, nor is near any that was.
static uint64_t fresh(uint64_t bytes) {
  static uint64_t next = FRESH_MEMORY;
  const uint64_t at = next;
  next += (bytes + 2 * PAGE - 1) & ~(uint64_t)(PAGE - 1);
  if (next > FRESH_MEMORY_END) panic("out of fresh memory");
  return at;
}

/// In lines; level 1 is the data cache.
static uint64_t cache_lines(unsigned level) {
  const uint32_t leaf = pmu.vendor == PMU_AMD ? 0x8000001d : 4;
  for (uint32_t i = 0;; ++i) {
    const struct cpuid cache = cpuid(leaf, i);
    const unsigned type = cache.eax & 0x1f;  // 1: data, 2: instructions, 3: unified
    if (type == 0) panic("CPUID does not know this cache");
    if (type == 2 || (cache.eax >> 5 & 7) != level) continue;
    return (uint64_t)((cache.ebx >> 22) + 1) * (cache.ecx + 1);
  }
}

static uint64_t count(enum pmu_event event, walk_function walk, uint64_t steps, uint64_t distance,
                      uint64_t at) {
  walk(pmu_arm(0, pmu_code(event), EVENTSEL_COUNT, 0), steps, distance, at);
  const uint64_t counted = rdpmc(0);
  pmu_arm(0, 0, 0, 0);
  return counted;
}

/// Two walks over the same fresh memory: what each must count.
static void check_twice(const char* what, enum pmu_event event, walk_function walk, uint64_t steps,
                        uint64_t distance, uint64_t first, uint64_t second) {
  if (pmu_code(event) == 0) return;
  const uint64_t at = fresh(steps * distance);
  CHECK_EQUAL(count(event, walk, steps, distance, at), first, "%s, %lu, first walk: %lu %s", what,
              steps, first, pmu_event_name(event));
  CHECK_EQUAL(count(event, walk, steps, distance, at), second, "second walk: %lu", second);
}

static void check_caches(void) {
  const uint64_t l1 = cache_lines(1), l2 = cache_lines(2), few = 100;
  check_twice("lines", EVENT_L1D_MISSES, read_lines, few, LINE, few, 0);
  check_twice("lines", EVENT_L1D_MISSES, read_lines, l1, LINE, l1, 0);
  check_twice("lines, stored", EVENT_L1D_MISSES, write_lines, few, LINE, few, 0);
  check_twice("lines", EVENT_L1D_LOAD_MISSES, read_lines, few, LINE, few, 0);
  check_twice("lines, stored", EVENT_L1D_LOAD_MISSES, write_lines, few, LINE, 0, 0);
  check_twice("twice the L1D's lines", EVENT_L1D_MISSES, read_lines, 2 * l1, LINE, 2 * l1, 2 * l1);
  check_twice("words of a line", EVENT_L1D_MISSES, read_lines, 8 * few, 8, few, 0);
  check_twice("lines", EVENT_LLC_REFERENCES, read_lines, few, LINE, few, 0);
  check_twice("twice the L1D's lines", EVENT_LLC_REFERENCES, read_lines, 2 * l1, LINE, 2 * l1, 0);
  check_twice("twice the L2's lines", EVENT_LLC_REFERENCES, read_lines, 2 * l2, LINE, 2 * l2,
              2 * l2);
  check_twice("lines", EVENT_LLC_MISSES, read_lines, few, LINE, few, 0);
  check_twice("twice the L2's lines", EVENT_LLC_MISSES, read_lines, 2 * l2, LINE, 2 * l2, 0);
}

static void check_tlbs(void) {
  const uint64_t some = 32, many = 256;  // more than any first level has, less than any second
  check_twice("pages", EVENT_DTLB_MISSES, read_lines, some, PAGE, some, 0);
  check_twice("pages", EVENT_DTLB_MISSES, read_lines, many, PAGE, many, many);
  check_twice("pages", EVENT_DTLB_WALKS, read_lines, many, PAGE, many, 0);
  check_twice("pages", EVENT_DTLB_LOAD_WALKS, read_lines, some, PAGE, some, 0);
  check_twice("pages", EVENT_DTLB_LOAD_WALKS, read_lines, many, PAGE, many, 0);
  check_twice("pages, stored", EVENT_DTLB_STORE_WALKS, write_lines, many, PAGE, many, 0);
  check_twice("pages, stored", EVENT_DTLB_LOAD_WALKS, write_lines, many, PAGE, 0, 0);
  check_twice("lines of pages", EVENT_DTLB_LOAD_WALKS, read_lines, 64 * some, LINE, some, 0);
}

static void check_flush(void) {
  if (pmu_code(EVENT_LLC_MISSES) == 0) return;
  const uint64_t lines = 100, at = fresh(lines * LINE);
  count(EVENT_LLC_MISSES, read_lines, lines, LINE, at);
  CHECK_EQUAL(count(EVENT_LLC_MISSES, read_lines, lines, LINE, at), 0, "lines that are there");
  CHECK_EQUAL(count(EVENT_LLC_MISSES, flush_lines, lines, LINE, at), 0,
              "CLFLUSH of %lu of them misses nothing", lines);
  CHECK_EQUAL(count(EVENT_LLC_MISSES, read_lines, lines, LINE, at), lines,
              "but behind it they are gone from all levels");
}

/// What a miss costs is not modelled: counting misses must not change the time.
static void check_cycles(void) {
  const uint64_t lines = 1000, cold = fresh(lines * LINE);
  const uint64_t first = count(EVENT_CYCLES, read_lines, lines, LINE, cold);
  CHECK_EQUAL(count(EVENT_CYCLES, read_lines, lines, LINE, cold), first,
              "cycles are the same with and without misses");
}

void guest_main(void) {
  pmu_start();
  check_caches();
  check_tlbs();
  check_flush();
  check_cycles();
}
