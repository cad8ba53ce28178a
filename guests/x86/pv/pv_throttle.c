// SPDX-License-Identifier: MIT
//
// The shortest period that there is: the host interrupts only so often ("limit" times a
// millisecond, 20 if not said), says so in STATE, and goes on counting. For "ms" milliseconds of
// guest time, 50 if not said.
#include "offer.h"
#include "pmu/measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60 };

static volatile uint64_t pmis;
static volatile uint64_t throttled_seen;

static void unmask(void* unused) {
  (void)unused;
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
}
static void on_overflow(void* unused, unsigned i, const struct pvperf_value* value) {
  (void)unused;
  (void)i;
  throttled_seen += (value->state & PVPERF_STATE_THROTTLED) != 0;
}
static void on_pmi(struct trap* frame) {
  (void)frame;
  ++pmis;
  static const struct pvperf_pmi_calls calls = {on_overflow, unmask, 0};
  pvperf_pmi(&pv_cpus[0], &calls);
  apic_eoi();
}

static uint64_t now_ns(void) {
  pvperf_snap(&pv_cpus[0]);
  return pv_pages[0].pub_ns;
}

void guest_main(void) {
  pv_start();
  set_handler(VECTOR_PMI, on_pmi);
  apic_start();
  unmask(0);
  const uint64_t limit = option_number("limit", 20), ms = option_number("ms", 50);
  const uint64_t period = pv.minimum_period > 1 ? pv.minimum_period : 1;
  struct pvperf_cpu* cpu = pv_start_cpu();
  pvperf_command(cpu, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_USR | PVPERF_INT), 0, period);
  pvperf_command(cpu, 1, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_USR), 0, 0);

  const uint64_t begin = now_ns();
  CHECK_EQUAL(pvperf_start(cpu, 3, 0), PVPERF_OK, "a period of %lu is taken", period);
  uint64_t rounds = 0, throttled = 0, all = 0;
  do {
    run_user((struct user_entry){.rip = (uint64_t)user_branch_loop, .rdi = 10000});
    ++rounds;
    all += 2 * 10000 + 1;
    struct pvperf_value value;
    pvperf_read_registers(&pv, 0, &value);
    throttled += (value.state & PVPERF_STATE_THROTTLED) != 0;
  } while (now_ns() - begin < ms * 1000000);
  pvperf_stop(cpu, 3);
  const uint64_t passed_ms = (pv_pages[0].pub_ns - begin) / 1000000 + 1;
  struct pvperf_value counted;
  pvperf_read(cpu, 1, &counted);

  CHECK(pmis >= ms * limit / 2, "there were interrupts: %lu in %lu ms", pmis, passed_ms);
  CHECK(pmis <= (passed_ms + 1) * limit, "but no more than %lu a millisecond", limit);
  CHECK(throttled != 0 || throttled_seen != 0, "STATE says that the event is throttled: %lu of %lu",
        throttled, rounds);
  CHECK_EQUAL(counted.count, all, "counting goes on: %lu instructions", all);
  struct pvperf_value last;
  pvperf_read(cpu, 0, &last);
  CHECK_EQUAL((last.count + period) & pvperf_mask(&pv), all % period,
              "for the throttled event, too");
  wrmsr(pv_msr(PVPERF_MSR_STATUS_RESET), pv_all());
  const uint64_t then = now_ns();
  while (now_ns() - then < 3000000) pause();
  pvperf_program(&pv, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_USR), 0);
  CHECK_EQUAL(rdmsr(pv_bank(0, PVPERF_BANK_STATE)) & PVPERF_STATE_THROTTLED, 0,
              "it is over when the event is");
}
