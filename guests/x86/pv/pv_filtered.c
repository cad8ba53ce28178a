// SPDX-License-Identifier: MIT
//
// What the operator forbids counts nothing and says so, but faults nowhere. Command line: what is
// tried, `code:evtsel` in hexadecimal each, joined by commas: try=0:60000000100,6:60000000400;
// `code` is what STATE is to say.
#include "methods.h"
#include "offer.h"
#include "pmu/access.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

static void check_event(unsigned i, uint64_t evtsel, uint64_t code) {
  pv_clear();
  const bool page = pvperf_has(&pv, PVPERF_FEATURE_BATCH);
  struct pvperf_cpu* cpu = page ? pv_start_cpu() : 0;
  CHECK(keeps(pv_bank(i, PVPERF_BANK_EVTSEL), evtsel), "0x%lx is taken", evtsel);
  const uint64_t early = rdmsr(pv_bank(i, PVPERF_BANK_STATE));
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 1ULL << i);
  const uint64_t state = rdmsr(pv_bank(i, PVPERF_BANK_STATE));
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0);
  CHECK_EQUAL(state >> 8 & 0xff, code, "STATE says %s", pvperf_code_name((enum pvperf_code)code));
  if (code != PVPERF_E_BUSY) {
    CHECK_EQUAL(early >> 8 & 0xff, code, "as soon as EVTSEL is written");
  }
  const struct pv_by_msr by = {pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0, 1ULL << i, 0};
  pv_block_by_msr(&by);
  const uint64_t count = pvperf_read_register(&pv, i);
  const uint64_t enabled = rdmsr(pv_bank(i, PVPERF_BANK_TIME_EN));
  const uint64_t running = rdmsr(pv_bank(i, PVPERF_BANK_TIME_RUN));
  if (code == PVPERF_OK) {
    CHECK_EQUAL(state & 0xf, PVPERF_STATE_RUNNING, "and that it is on a counter");
    CHECK(count != 0, "it counts: %lu", count);
    CHECK_EQUAL(running, enabled, "all the time");
    return;
  }
  CHECK_EQUAL(state & 0xf,
              code == PVPERF_E_FILTERED ? PVPERF_STATE_REFUSED : PVPERF_STATE_NOT_STARTED,
              "and which kind of trouble");
  const uint64_t error = rdmsr(pv_msr(PVPERF_MSR_ERROR));
  CHECK_EQUAL(error, code | (uint64_t)i << 8, "ERROR has the code and the event");
  CHECK_EQUAL(rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)) >> 62, code != PVPERF_E_FILTERED,
              "GLOBAL_STATUS says whether the host could not run it");
  CHECK_EQUAL(count, 0, "it counts nothing");
  CHECK(running == 0 && enabled != 0, "though it was enabled for %lu ns", enabled);
  if (!page) return;
  pvperf_command(cpu, i, evtsel, 0, 0);
  unsigned refused;
  CHECK_EQUAL(pvperf_start(cpu, 1u << i, &refused), PVPERF_OK, "a batch with it is in order");
  CHECK_EQUAL(cpu->page->events[i].state, state, "the page has the same STATE");
  pvperf_stop(cpu, 1u << i);
  CHECK_EQUAL(cpu->page->events[i].count, 0, "and it counts nothing there, either");
}

void guest_main(void) {
  pv_start();
  const char* at = option_text("try");
  if (at == 0) panic("try= is missing");
  for (unsigned i = 0;; ++i) {
    const uint64_t code = parse_hexadecimal(&at);
    if (*at != ':') break;
    ++at;
    const uint64_t evtsel = parse_hexadecimal(&at);
    check_event(i % pv.events, evtsel, code);
    if (*at != ',') break;
    ++at;
  }
}
