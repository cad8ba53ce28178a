// SPDX-License-Identifier: MIT
//
// The same piece of code, of which every instruction and branch is known, counted in every way that
// PV perf has, and read in every way: exact each time. Also in user mode, and scaled.
#include "methods.h"
#include "offer.h"
#include "pmu/measured.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { COUNTED = 4 };
/// Events 0 to 3 of every method.
static const struct {
  enum pvperf_generic_event event;
  uint64_t count;
} counted[COUNTED] = {
    {PVPERF_INSTRUCTIONS, PV_MSR_INSTRUCTIONS},
    {PVPERF_BRANCHES, PV_BRANCHES},
    {PVPERF_INSTRUCTIONS, PV_MSR_INSTRUCTIONS},
    {PVPERF_BRANCHES, PV_BRANCHES},
};

static void check_counts(const char* method, uint64_t (*read)(unsigned), const uint64_t* from) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < COUNTED; ++i) {
    const uint64_t count = (read(i) - from[i]) & pvperf_mask(&pv);
    if (count == counted[i].count) continue;
    ++wrong;
    print("      (event %u: %lu, not %lu)\n", i, count, counted[i].count);
  }
  CHECK_EQUAL(wrong, 0, "%s", method);
}

static uint64_t by_register(unsigned i) {
  return pvperf_read_register(&pv, i);
}
static uint64_t by_rdpmc(unsigned i) {
  return pvperf_read_rdpmc(i);
}
static uint64_t by_page(unsigned i) {
  struct pvperf_value value;
  pvperf_read(&pv_cpus[0], i, &value);
  return value.count;
}
static uint64_t by_best(unsigned i) {
  return pvperf_read_exact(&pv_cpus[0], i);
}
static void check_readings(const char* method, const uint64_t* from) {
  print("      %s\n", method);
  check_counts("read by RDMSR", by_register, from);
  if (pvperf_has(&pv, PVPERF_FEATURE_RDPMC_TRAP)) check_counts("read by RDPMC", by_rdpmc, from);
  if (pv_cpus[0].page != 0) check_counts("read from the page, without an exit", by_page, from);
  check_counts("read as pvperf_read_exact() does", by_best, from);
}

static void program(const uint64_t* from) {
  for (unsigned i = 0; i < COUNTED; ++i) {
    pvperf_program(&pv, i, pvperf_generic(counted[i].event, PVPERF_OS), from[i]);
  }
}

static void check_registers(const uint64_t* from) {
  program(from);
  const struct pv_by_msr by = {pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0, 0xf, 0};
  pv_block_by_msr(&by);
  check_readings("registers: GLOBAL_CTRL starts and stops", from);
  pv_clear();
}

static void check_batch(const uint64_t* from) {
  struct pvperf_cpu* cpu = pv_start_cpu();
  for (unsigned i = 0; i < COUNTED; ++i) {
    pvperf_command(cpu, i, pvperf_generic(counted[i].event, PVPERF_OS), from[i], 0);
  }
  const struct pv_by_msr by = {pv_msr(PVPERF_MSR_BATCH), 0,
                               PVPERF_BATCH_LOAD | PVPERF_BATCH_START | 0xf,
                               PVPERF_BATCH_STOP | 0xf};
  pv_block_by_msr(&by);
  CHECK(cpu->page->batch_code == PVPERF_OK && cpu->page->batch_id == PVPERF_NO_ID,
        "both batches are in order");
  check_readings("batch: LOAD and START start, STOP stops", from);

  // Going on, without LOAD.
  const struct pv_by_msr again = {pv_msr(PVPERF_MSR_BATCH), 0, PVPERF_BATCH_START | 0xf,
                                  PVPERF_BATCH_STOP | 0xf};
  uint64_t twice[COUNTED];
  for (unsigned i = 0; i < COUNTED; ++i) twice[i] = by_page(i);
  pv_block_by_msr(&again);
  check_readings("batch: START alone goes on", twice);
  cpu->page = 0;
  pv_clear();
}

static struct pvperf_call_attr attrs[COUNTED];
static struct pvperf_call_event events[COUNTED];
static struct pvperf_call_param params[COUNTED];
static uint64_t by_call(unsigned i) {
  return events[i].count;
}

static void check_calls(void) {
  static const uint64_t from[COUNTED];
  print("      hypercalls: ENABLE starts, DISABLE stops\n");
  unsigned wrong = 0;
  for (unsigned i = 0; i < COUNTED; ++i) {
    attrs[i] = (struct pvperf_call_attr){.type = PVPERF_TYPE_GENERIC,
                                         .config = counted[i].event,
                                         .read_format = 3,
                                         .flags = PVPERF_CALL_EXCLUDE_USER};
    params[i] = (struct pvperf_call_param){
        .attr_addr = (uint64_t)&attrs[i], .event_addr = (uint64_t)&events[i], .id = i};
    wrong += pvperf_call_open(&pv, (uint64_t)&params[i]) != 0;
  }
  CHECK_EQUAL(wrong, 0, "OPEN works");
  // One at a time: each call starts one event only.
  for (unsigned i = 0; i < COUNTED; ++i) {
    const struct pv_by_call by = {PVPERF_CALL_ENABLE, PVPERF_CALL_DISABLE, i, pv.amd};
    wrong += pv_block_by_call(&by) != 0;
  }
  CHECK_EQUAL(wrong, 0, "ENABLE and DISABLE work");
  check_counts("what DISABLE writes", by_call, from);
  check_counts("read by RDMSR, too", by_register, from);
  for (unsigned i = 0; i < COUNTED; ++i) {
    wrong += events[i].time_running == 0 || events[i].time_running != events[i].time_enabled;
    events[i].count = 0;
    wrong += pvperf_call_read(&pv, i) != 0;
  }
  CHECK_EQUAL(wrong, 0, "the events ran all the time that they were enabled; READ works");
  check_counts("what READ writes", by_call, from);
  for (unsigned i = 0; i < COUNTED; ++i) wrong += pvperf_call_close(&pv, i) != 0;
  CHECK(wrong == 0 && rdmsr(pv_bank(0, PVPERF_BANK_EVTSEL)) == 0 &&
            rdmsr(pv_bank(0, PVPERF_BANK_COUNT)) == 0,
        "CLOSE works, and leaves an empty event");
  pv_clear();
}

static void check_exclusion(void) {
  for (unsigned i = 0; i < COUNTED; ++i) {
    const uint64_t flags = (i & 1 ? PVPERF_USR : 0) | (i & 2 ? PVPERF_OS : 0);
    pvperf_program(&pv, i, pvperf_generic(PVPERF_INSTRUCTIONS, flags), 0);
  }
  pvperf_enable(&pv, 0xf);
  run_user((struct user_entry){.rip = (uint64_t)user_block});
  pvperf_enable(&pv, 0);
  const uint64_t user = by_register(1), kernel = by_register(2);
  CHECK_EQUAL(by_register(0), 0, "neither USR nor OS counts nothing");
  CHECK_EQUAL(user, 8 * BLOCK_ROUNDS + 3, "USR counts user mode");
  CHECK(kernel > 50 && kernel < 5000, "OS counts kernel mode: %lu", kernel);
  CHECK_EQUAL(by_register(3), user + kernel, "both count both");
  pv_clear();

  pvperf_program(&pv, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS) & ~PVPERF_EN, 0);
  pvperf_program(&pv, 1, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 0);
  const struct pv_by_msr by = {pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0, 1, 0};
  pv_block_by_msr(&by);
  CHECK(by_register(0) == 0 && by_register(1) == 0,
        "both EN and GLOBAL_CTRL are needed for an event to count");
  CHECK(rdmsr(pv_bank(1, PVPERF_BANK_TIME_EN)) == 0, "or for its time to pass");
  pv_clear();
}

static void check_times(void) {
  pvperf_program(&pv, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 0);
  pvperf_enable(&pv, 1);
  const uint64_t before = rdmsr(pv_bank(0, PVPERF_BANK_TIME_EN));
  for (unsigned i = 0; i < 1000; ++i) pause();
  const uint64_t after = rdmsr(pv_bank(0, PVPERF_BANK_TIME_EN));
  pvperf_enable(&pv, 0);
  struct pvperf_value value;
  pvperf_read_registers(&pv, 0, &value);
  CHECK(before < after && after <= value.time_enabled, "TIME_EN passes: %lu ns", after - before);
  CHECK_EQUAL(value.time_running, value.time_enabled, "TIME_RUN with it");
  CHECK_EQUAL(value.state, 0, "nothing is wrong with a stopped event");
  const uint64_t still = rdmsr(pv_bank(0, PVPERF_BANK_TIME_EN));
  for (unsigned i = 0; i < 1000; ++i) pause();
  CHECK_EQUAL(rdmsr(pv_bank(0, PVPERF_BANK_TIME_EN)), still, "both stand when it is off");
  pv_clear();
}

static void check_wrap(void) {
  const uint64_t from[COUNTED] = {pvperf_mask(&pv), pvperf_mask(&pv) - 99, 5, 0};
  program(from);
  const struct pv_by_msr by = {pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0, 0xf, 0};
  pv_block_by_msr(&by);
  CHECK_EQUAL(rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)), 3, "two of four events wrap");
  check_readings("and go on from 0", from);
  pv_clear();
}

static void check_software(void) {
  if ((pv.software_events >> PVPERF_EXITS & 1) == 0) {
    check_skip("exits as an event");
    return;
  }
  pvperf_program(&pv, 0, pvperf_software(PVPERF_EXITS, PVPERF_OS), 0);
  pvperf_enable(&pv, 1);
  const uint64_t first = by_register(0);
  for (unsigned i = 0; i < 10; ++i) cpuid(0, 0);
  const uint64_t second = by_register(0);
  pvperf_enable(&pv, 0);
  CHECK_EQUAL(second - first, 11, "ten CPUIDs and an RDMSR are eleven exits");
  pv_clear();
}

void guest_main(void) {
  pv_start();
  static const uint64_t zeroes[COUNTED];
  const uint64_t anything[COUNTED] = {1, 1000, 0x123456789abc, 0xfffffffe};
  check_registers(zeroes);
  check_registers(anything);
  if (pvperf_has(&pv, PVPERF_FEATURE_BATCH)) {
    check_batch(zeroes);
    check_batch(anything);
  } else {
    check_skip("batch");
  }
  if (pvperf_has(&pv, PVPERF_FEATURE_HYPERCALLS)) {
    check_calls();
  } else {
    CHECK_EQUAL(pvperf_hypercall(pv.amd, PVPERF_HYPERCALL, PVPERF_CALL_READ, 0, 0),
                PVPERF_CALL_ENOSYS, "there are no hypercalls");
  }
  check_exclusion();
  check_times();
  check_wrap();
  check_software();
}
