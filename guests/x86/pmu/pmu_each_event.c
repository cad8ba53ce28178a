// SPDX-License-Identifier: MIT
//
// Every event of the model, by the list on the command line: on each counter alone, on all counters
// that can count it at once, and as many different events at once as there are counters. Whatever
// an event means, each counter must count the same of it, user and kernel must be the whole, and a
// counter that is off must stand still.
//   events=CODE:COUNTERS,...   in hexadecimal: event select and unit mask as in a select register,
//                              and the set of counters that can count it at the same time
#include "measured.h"
#include "runtime/check.h"
#include "runtime/layout.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"
#include "split.h"

enum { MOST_EVENTS = 64, WARM_UP = 12 };
#define USER (EVENTSEL_EN | EVENTSEL_USR)

static struct event {
  uint64_t code, counters;
  uint64_t alone;  ///< over user_mix()
} events[MOST_EVENTS];
static unsigned event_count;

static void read_events(void) {
  const char* at = option_text("events");
  while (at != 0 && *at != 0 && *at != ' ' && event_count < MOST_EVENTS) {
    struct event* event = &events[event_count++];
    event->code = parse_hexadecimal(&at);
    if (*at == ':') ++at;
    event->counters = parse_hexadecimal(&at) & ((1ULL << pmu.gp) - 1);
    if (*at == ',') ++at;
  }
}

/// Some of everything in user mode: the measured block, and every page of 64 KiB read and written.
static uint8_t pages[16][4096] USER_DATA = {{0}};
USER_CODE static void user_mix(uint64_t unused, uint8_t* at) {
  (void)unused;
  for (unsigned i = 0; i < sizeof pages / 64; ++i) at[64 * i] += 3;
  user_block();
}
static void run_mix(void* unused) {
  (void)unused;
  run_user((struct user_entry){.rip = (uint64_t)user_mix, .rsi = (uint64_t)pages});
}

/// What the counters in a set count of their events, already programmed, in user mode.
static void count_mix(uint64_t counters) {
  pmu_enable(counters);
  run_mix(0);
  pmu_disable();
}

static uint64_t count_alone(unsigned i, uint64_t code) {
  const struct pmu_switch start = pmu_arm(i, code, USER, 0);
  wrmsr((uint32_t)start.msr, start.value);
  run_mix(0);
  wrmsr((uint32_t)start.msr, 0);
  const uint64_t counted = rdpmc(i);
  pmu_arm(i, 0, 0, 0);
  return counted;
}

static unsigned popcount(uint64_t set) {
  unsigned count = 0;
  for (; set != 0; set &= set - 1) ++count;
  return count;
}

static void check_alone(struct event* event) {
  // Predictor, caches and TLB learn the code first.
  for (unsigned i = 0; i < WARM_UP; ++i) event->alone = count_alone(0, event->code);
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    const uint64_t counted = count_alone(i, event->code);
    if (counted == event->alone) continue;
    if (++wrong == 1) print("      (counter %u: %lu, not %lu)\n", i, counted, event->alone);
  }
  CHECK_EQUAL(wrong, 0, "%04lx: each of %u counters counts %lu", event->code, pmu.gp, event->alone);
}

/// Without a global control, counters that start one after another see different branches of the
/// kernel's before user mode begins: the predictor has learnt something else then.
static bool depends_on_start(const struct event* event) {
  return pmu.global_ctrl == 0 && event->code == pmu_code(EVENT_MISPREDICTS);
}

static void check_at_once(const struct event* event) {
  for (unsigned i = 0; i < pmu.gp; ++i) {
    if ((event->counters >> i & 1) != 0) pmu_arm(i, event->code, USER, 0);
  }
  count_mix(event->counters);
  const uint64_t counted = depends_on_start(event) ? rdpmc(0) : event->alone;
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    const uint64_t expected = (event->counters >> i & 1) != 0 ? counted : 0;
    if (rdpmc(i) == expected) continue;
    if (++wrong == 1) print("      (counter %u: %lu, not %lu)\n", i, rdpmc(i), expected);
  }
  CHECK_EQUAL(wrong, 0, "%04lx: %u counters at once count the same", event->code,
              popcount(event->counters));
  pmu_clear();
}

static void check_off(const struct event* event) {
  for (unsigned i = 0; i < pmu.gp; ++i) pmu_arm(i, event->code, EVENTSEL_OS | EVENTSEL_USR, 7);
  if (pmu.global_ctrl != 0) wrmsr(pmu.global_ctrl, pmu_all());
  run_mix(0);
  unsigned moved = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) moved += rdpmc(i) != 7;
  pmu_clear();
  CHECK_EQUAL(moved, 0, "%04lx: counters that are off stand still", event->code);
}

static void check_split(const struct event* event) {
  if (popcount(event->counters) < 3) return;  // three at a time
  const struct split split = count_split(event->code, run_mix, 0);
  CHECK_EQUAL(split.user + split.kernel, split.both, "%04lx: user %lu + kernel %lu = both",
              event->code, split.user, split.kernel);
}

/// Event `first` on the first counter that can have it, and so on until every counter is taken.
static bool mixed_right(unsigned first) {
  const struct event* at[PMU_MOST_COUNTERS] = {0};
  uint64_t taken = 0;
  for (unsigned k = 0; k < event_count; ++k) {
    const struct event* event = &events[(first + k) % event_count];
    const uint64_t free = event->counters & ~taken;
    if (free == 0) continue;
    const unsigned i = (unsigned)__builtin_ctzll(free);
    at[i] = event;
    taken |= 1ULL << i;
    pmu_arm(i, event->code, USER, 0);
  }
  for (unsigned i = 0; i < WARM_UP; ++i) count_mix(taken);
  for (unsigned i = 0; i < pmu.gp; ++i) pmu_write(i, 0);
  count_mix(taken);
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    if (at[i] == 0 || rdpmc(i) == at[i]->alone || depends_on_start(at[i])) continue;
    ++wrong;
    print("      (counter %u, %04lx: %lu, not %lu)\n", i, at[i]->code, rdpmc(i), at[i]->alone);
  }
  pmu_clear();
  return wrong == 0;
}

void guest_main(void) {
  pmu_start();
  read_events();
  CHECK(event_count >= 7, "there is a list of %u events", event_count);
  for (unsigned e = 0; e < event_count; ++e) {
    check_alone(&events[e]);
    check_at_once(&events[e]);
    check_off(&events[e]);
    check_split(&events[e]);
  }
  unsigned wrong = 0;
  for (unsigned e = 0; e < event_count; ++e) wrong += !mixed_right(e);
  CHECK_EQUAL(wrong, 0, "%u events, as many at once as there are counters, count as alone",
              event_count);
}
