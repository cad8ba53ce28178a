// SPDX-License-Identifier: MIT
//
// BATCH: all of it or nothing, the order of its operations, and what each bad command is answered.
#include "methods.h"
#include "offer.h"
#include "pmu/access.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

static struct pvperf_cpu* cpu;
static struct pvperf_page* page;

static void good_commands(void) {
  for (unsigned i = 0; i < pv.events; ++i) {
    pvperf_command(cpu, i, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 100 + i, 0);
  }
  for (unsigned i = 0; i < 7; ++i) page->cmd_resv[i] = 0;
  page->cmd_flags = page->cmd_pad = 0;
}

/// LOAD and START of events 0 to 3, with STOP of nothing: refused for `code`, because of `id`, and
/// no register but ERROR has changed.
static bool refused(enum pvperf_code code, unsigned id) {
  wrmsr(pv_msr(PVPERF_MSR_ERROR), 0);
  const uint64_t before = pv_fingerprint();
  unsigned who;
  const enum pvperf_code result = pvperf_start(cpu, 0xf, &who);
  const uint64_t error = rdmsr(pv_msr(PVPERF_MSR_ERROR));
  wrmsr(pv_msr(PVPERF_MSR_ERROR), 0);
  const bool as_it_was = pv_fingerprint() == before;
  const uint64_t error_id = id == PVPERF_NO_ID ? 0xff : id;
  if (result == code && who == id && error == (code | error_id << 8) && as_it_was) return true;
  print("      (%s of %u, ERROR 0x%lx, registers %s)\n", pvperf_code_name(result), who, error,
        as_it_was ? "as they were" : "changed");
  return false;
}

static void check_bad_commands(void) {
  unsigned wrong = 0;
#define REFUSED(change, code, id) (good_commands(), change, wrong += !refused(code, id))
  for (unsigned i = 0; i < 4; ++i) {
    struct pvperf_command_record* command = &page->commands[i];
    REFUSED(command->pad = 1, PVPERF_E_RESERVED, i);
    for (unsigned bit = 3; bit < 32; ++bit) {
      REFUSED(command->flags |= 1u << bit, PVPERF_E_RESERVED, i);
    }
    for (unsigned bit = 44; bit < 64; ++bit) {
      REFUSED(command->evtsel |= 1ULL << bit, PVPERF_E_RESERVED, i);
    }
    REFUSED(command->evtsel = pvperf_evtsel(PVPERF_TYPE_BREAKPOINT, 0, 0), PVPERF_E_TYPE, i);
    REFUSED(command->evtsel = 0xff, PVPERF_E_TYPE, i);
    REFUSED(command->evtsel = pvperf_evtsel(PVPERF_TYPE_GENERIC, 10, 0), PVPERF_E_CODE, i);
    for (unsigned bit = pv.width; bit < 64; ++bit) {
      REFUSED(command->count = 1ULL << bit, PVPERF_E_WIDTH, i);
      REFUSED(command->period = 1ULL << bit, PVPERF_E_WIDTH, i);
    }
    if (pv.minimum_period > 1) REFUSED(command->period = 1, PVPERF_E_PERIOD, i);
    if (!pvperf_has(&pv, PVPERF_FEATURE_AUTORELOAD)) {
      REFUSED(command->period = 100000, PVPERF_E_PERIOD, i);
    }
  }
  CHECK_EQUAL(wrong, 0, "one bad command of four, and none is loaded or started");
  REFUSED(page->cmd_flags = 1, PVPERF_E_RESERVED, PVPERF_NO_ID);
  REFUSED(page->cmd_flags = 1u << 31, PVPERF_E_RESERVED, PVPERF_NO_ID);
  REFUSED(page->cmd_pad = 1, PVPERF_E_RESERVED, PVPERF_NO_ID);
  for (unsigned i = 0; i < 7; ++i) {
    REFUSED(page->cmd_resv[i] = 1, PVPERF_E_RESERVED, PVPERF_NO_ID);
    REFUSED(page->cmd_resv[i] = 1ULL << 63, PVPERF_E_RESERVED, PVPERF_NO_ID);
  }
  CHECK_EQUAL(wrong, 0, "reserved words of the page are no event's");
  // What is wrong with an event that is not in the mask does not matter, nor what has no flag.
  good_commands();
  page->commands[4].pad = page->commands[4].flags = 0xffffffff;
  CHECK_EQUAL(pvperf_start(cpu, 0xf, 0), PVPERF_OK, "commands that are not asked for are not read");
  pvperf_stop(cpu, 0xf);
  good_commands();
  page->commands[2] = (struct pvperf_command_record){~0ULL, ~0ULL, ~0ULL, 0, 0};
  CHECK_EQUAL(pvperf_start(cpu, 0xf, 0), PVPERF_OK, "nor values without a flag");
  pvperf_stop(cpu, 0xf);
}

static void check_flags(void) {
  unsigned wrong = 0;
  for (unsigned flags = 0; flags < 8; ++flags) {
    pv_clear();
    cpu = pv_start_cpu();
    pvperf_program(&pv, 1, pvperf_generic(PVPERF_BRANCHES, PVPERF_USR), 11);
    page->commands[1] = (struct pvperf_command_record){
        pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_USR), 22,
        pvperf_has(&pv, PVPERF_FEATURE_AUTORELOAD) ? 0x7fffffff : 0, flags, 0};
    wrong += pvperf_start(cpu, 2, 0) != PVPERF_OK;
    wrong += rdmsr(pv_bank(1, PVPERF_BANK_EVTSEL)) !=
             pvperf_generic(flags & 1 ? PVPERF_INSTRUCTIONS : PVPERF_BRANCHES, PVPERF_USR);
    wrong += rdmsr(pv_bank(1, PVPERF_BANK_COUNT)) != (flags & 2 ? 22 : 11);
    wrong += rdmsr(pv_bank(1, PVPERF_BANK_PERIOD)) != (flags & 4 ? page->commands[1].period : 0);
    wrong += rdmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL)) != 2;
  }
  CHECK_EQUAL(wrong, 0, "LOAD sets what its flags say, and nothing else");
}

static void check_order(void) {
  pv_clear();
  cpu = pv_start_cpu();
  good_commands();
  CHECK_EQUAL(pvperf_start(cpu, 0xff, 0), PVPERF_OK, "eight events run");
  uint32_t batches = page->batch_seq;
  page->commands[1].pad = 1;
  CHECK_EQUAL(pvperf_batch(cpu, 3, PVPERF_BATCH_STOP | PVPERF_BATCH_LOAD, 0), PVPERF_E_RESERVED,
              "STOP and a LOAD that is refused");
  CHECK_EQUAL(rdmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL)), 0xfc, "STOP stays applied");
  CHECK_EQUAL(page->batch_seq, batches + 1, "and it was one batch");
  CHECK_EQUAL(page->global_ctrl, 0xfc, "the page has it");
  page->commands[1].pad = 0;
  CHECK_EQUAL(pvperf_batch(cpu, 3, PVPERF_BATCH_STOP | PVPERF_BATCH_LOAD | PVPERF_BATCH_SNAP, 0),
              PVPERF_OK, "STOP, LOAD and SNAP in one go");
  CHECK(page->events[0].count == 100 && page->events[1].count == 101 &&
            page->events[0].evtsel == pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS),
        "show what was loaded");
  CHECK(page->batch_code == PVPERF_OK && page->batch_id == PVPERF_NO_ID, "and that all is well");
  CHECK_EQUAL(pvperf_batch(cpu, 0, PVPERF_BATCH_STOP, 0), PVPERF_OK, "an empty batch is one, too");
  CHECK_EQUAL(pvperf_stop(cpu, 0xfc), PVPERF_OK, "STOP");
  unsigned wrong = 0;
  for (unsigned i = 0; i < 8; ++i) {
    wrong += page->events[i].count != rdmsr(pv_bank(i, PVPERF_BANK_COUNT));
    wrong += page->events[i].time_running != rdmsr(pv_bank(i, PVPERF_BANK_TIME_RUN));
  }
  CHECK_EQUAL(wrong, 0, "leaves the page exact");

  // While some run SNAP is one instant for all of them: the same event twice is the same.
  for (unsigned i = 0; i < 4; ++i) {
    pvperf_command(cpu, i, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 0, 0);
  }
  pvperf_start(cpu, 0xf, 0);
  for (unsigned n = 0; n < 100; ++n) {
    pvperf_snap(cpu);
    wrong += page->events[1].count != page->events[0].count ||
             page->events[3].count != page->events[0].count;
  }
  pvperf_stop(cpu, 0xf);
  CHECK_EQUAL(wrong, 0, "SNAP is one instant");
}

void guest_main(void) {
  pv_start();
  if (pv.events < 8 || !pvperf_has(&pv, PVPERF_FEATURE_BATCH)) panic("needs BATCH and 8 events");
  page = &pv_pages[0];
  cpu = pv_start_cpu();
  check_bad_commands();
  check_flags();
  check_order();
}
