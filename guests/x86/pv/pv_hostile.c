// SPDX-License-Identifier: MIT
//
// While the first CPU works with its page and with hypercalls, all others scribble over both. The
// host may refuse, or take the old or the new: never a mixture, never a value that it has not
// checked; it writes nothing outside; and once nobody scribbles any more everything is as it
// should.
#include "offer.h"
#include "pmu/measured.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/smp.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { ROUNDS = 2000, VICTIM = 1, BYSTANDER = 5, SCRIBBLED_ID = 6 };

/// The page, between two that nobody writes.
static struct {
  uint64_t before[512];
  struct pvperf_page page;
  uint64_t behind[512];
} area __attribute__((aligned(4096)));
static struct {
  uint64_t before[64];
  struct pvperf_call_attr attr;
  struct pvperf_call_param param;
  struct pvperf_call_event event;
  uint64_t behind[64];
} calls __attribute__((aligned(4096)));

static volatile bool stop;
static volatile uint32_t scribbling;

/// Valid in each word, and different in each.
static const struct pvperf_command_record good[2] = {
    {(uint64_t)PVPERF_BRANCHES << 8 | PVPERF_EN | PVPERF_OS, 0x1111, 0x111111, 7, 0},
    {(uint64_t)PVPERF_CYCLES << 8 | PVPERF_EN | PVPERF_USR, 0x2222, 0x222222, 7, 0},
};

static uint64_t next(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void write64(void* to, uint64_t value) {
  *(volatile uint64_t*)to = value;
}

static void scribble_page(uint64_t* state) {
  uint64_t* words = (uint64_t*)(void*)&area.page;
  const uint64_t random = next(state);
  switch (random % 4) {
    case 0:  // anywhere, anything
      write64(&words[next(state) % 512], next(state));
      break;
    case 1:  // the header, seq above all
      write64(&words[next(state) % 16], random >> 8);
      break;
    case 2:  // one of the good commands, in the victim's place
    case 3: {
      struct pvperf_command_record* to = &area.page.commands[VICTIM];
      const struct pvperf_command_record* from = &good[random >> 8 & 1];
      write64(&to->evtsel, from->evtsel);
      write64(&to->count, from->count);
      write64(&to->period, from->period);
      write64(&to->flags, from->flags);
      for (unsigned i = 0; i < 8; ++i) write64(&area.page.cmd_flags + 2 * i, 0);
      break;
    }
  }
}

static void scribble_calls(uint64_t* state) {
  const uint64_t addresses[] = {(uint64_t)&calls.attr,
                                (uint64_t)&calls.event,
                                (uint64_t)&calls.event + 4,
                                0xfee00000,
                                0xd0000000,
                                ~7ULL};
  const uint64_t random = next(state);
  switch (random % 8) {
    case 0: write64(&calls.attr.type, random >> 8 & 7); break;
    case 1: write64(&calls.attr.config, random >> 8 & 15); break;
    case 2: write64(&calls.attr.flags, random >> 8 & 15); break;
    case 3: write64(&calls.attr.sample_period, random >> 8 & 0xfffffff); break;
    case 4:
      write64(&calls.param.attr_addr, addresses[(random >> 8) % 2 * (2 + (random >> 16) % 4)]);
      break;
    case 5: write64(&calls.param.event_addr, addresses[1 + (random >> 8) % 5]); break;
    case 6: write64(&calls.param.id, (random >> 8) % 4 != 0 ? SCRIBBLED_ID : random >> 16); break;
    case 7: {
      // All good again.
      const struct pvperf_call_attr attr = {.config = PVPERF_INSTRUCTIONS};
      const struct pvperf_call_param param = {
          .attr_addr = addresses[0], .event_addr = addresses[1], .id = SCRIBBLED_ID};
      for (unsigned i = 0; i < 6; ++i)
        write64((uint64_t*)&calls.attr + i, ((const uint64_t*)&attr)[i]);
      for (unsigned i = 0; i < 4; ++i) {
        write64((uint64_t*)&calls.param + i, ((const uint64_t*)&param)[i]);
      }
      break;
    }
  }
}

static void scribble(void* seed) {
  uint64_t state = 0x9e3779b97f4a7c15 * ((uint64_t)seed + 1);
  __atomic_fetch_add(&scribbling, 1, __ATOMIC_SEQ_CST);
  while (!stop) {
    scribble_page(&state);
    scribble_calls(&state);
  }
}

static unsigned loads, refusals, bad_errors, mixed, untouched_changed;

/// LOAD of the victim, which is whatever the others have just made of it.
static void load(void) {
  const uint32_t evtsel = pv_bank(VICTIM, PVPERF_BANK_EVTSEL);
  const uint32_t count = pv_bank(VICTIM, PVPERF_BANK_COUNT);
  const uint32_t period = pv_bank(VICTIM, PVPERF_BANK_PERIOD);
  const uint64_t before[] = {rdmsr(evtsel), rdmsr(count), rdmsr(period)};
  wrmsr(pv_msr(PVPERF_MSR_ERROR), 0);
  wrmsr(pv_msr(PVPERF_MSR_BATCH), PVPERF_BATCH_LOAD | 1u << VICTIM);
  const uint64_t error = rdmsr(pv_msr(PVPERF_MSR_ERROR));
  const uint64_t after[] = {rdmsr(evtsel), rdmsr(count), rdmsr(period)};
  const enum pvperf_code code = (enum pvperf_code)(error & 0xff);
  ++loads;
  if (code == PVPERF_OK) {
    // Each is what one of them wrote there, or as before: anything may have stood there with a flag
    // off, but nothing may be there that would have been refused.
    mixed += (after[1] & ~pvperf_mask(&pv)) != 0 || (after[2] & ~pvperf_mask(&pv)) != 0 ||
             (after[0] >> 44) != 0 || (after[0] & 0xff) > 3;
  } else {
    ++refusals;
    bad_errors += code != PVPERF_E_RESERVED && code != PVPERF_E_TYPE && code != PVPERF_E_CODE &&
                  code != PVPERF_E_WIDTH && code != PVPERF_E_PERIOD;
    untouched_changed += after[0] != before[0] || after[1] != before[1] || after[2] != before[2];
  }
}

static unsigned opened, open_errors, bad_results;
static void call(void) {
  const int result = pvperf_call_open(&pv, (uint64_t)&calls.param);
  if (result == 0) {
    ++opened;
  } else {
    ++open_errors;
    bad_results += result != PVPERF_CALL_EINVAL && result != PVPERF_CALL_EFAULT &&
                   result != PVPERF_CALL_EOPNOTSUPP;
  }
  // Whichever it was.
  for (unsigned id = 0; id < pv.events; ++id) {
    if (id == BYSTANDER || id == VICTIM) continue;
    const int enabled = pvperf_call_enable(&pv, id);
    if (enabled == PVPERF_CALL_EINVAL) continue;
    bad_results += enabled != 0 || pvperf_call_read(&pv, id) != 0;
    bad_results += pvperf_call_disable(&pv, id) != 0 || pvperf_call_close(&pv, id) != 0;
  }
}

static void check_after(struct pvperf_cpu* cpu, uint64_t counted) {
  CHECK(pvperf_snap(cpu) == PVPERF_OK && (area.page.seq & 1) == 0, "the page works as before");
  CHECK_EQUAL(area.page.abi, pv.version, "and is written in full");
  CHECK_EQUAL(area.page.events[BYSTANDER].count, counted,
              "an event that nobody touched has counted right");
  struct pvperf_value value;
  CHECK(pvperf_page_read(&area.page, BYSTANDER, &value) && value.count == counted,
        "and can be read by the driver");
  unsigned outside = 0;
  for (unsigned i = 0; i < 512; ++i) {
    outside += area.before[i] != 0x5a5a5a5a5a5a5a5a || area.behind[i] != 0x5a5a5a5a5a5a5a5a;
  }
  for (unsigned i = 0; i < 64; ++i) {
    outside += calls.before[i] != 0x5a5a5a5a5a5a5a5a || calls.behind[i] != 0x5a5a5a5a5a5a5a5a;
  }
  CHECK_EQUAL(outside, 0, "nothing around the page and the structures was written");
}

void guest_main(void) {
  pv_start();
  const unsigned cpus = smp_start();
  if (cpus < 2) panic("this guest needs two CPUs");
  __builtin_memset(area.before, 0x5a, sizeof area.before);
  __builtin_memset(area.behind, 0x5a, sizeof area.behind);
  __builtin_memset(calls.before, 0x5a, sizeof calls.before);
  __builtin_memset(calls.behind, 0x5a, sizeof calls.behind);
  struct pvperf_cpu* cpu = &pv_cpus[0];
  if (pvperf_cpu_start(cpu, &pv, &area.page, (uint64_t)&area.page) != PVPERF_OK) panic("no page");
  pvperf_program(&pv, BYSTANDER, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_USR), 0);

  for (unsigned other = 1; other < cpus; ++other) smp_run(other, scribble, (void*)(uint64_t)other);
  while (scribbling < cpus - 1) pause();
  const uint64_t rounds = option_number("rounds", ROUNDS);
  for (uint64_t n = 0; n < rounds; ++n) {
    load();
    if (pvperf_has(&pv, PVPERF_FEATURE_HYPERCALLS)) call();
    wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 1u << BYSTANDER);
    run_user((struct user_entry){.rip = (uint64_t)user_branch_loop, .rdi = 10});
    wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0);
    wrmsr(pv_msr(PVPERF_MSR_BATCH), PVPERF_BATCH_SNAP | 1);
  }
  stop = true;
  for (unsigned other = 1; other < cpus; ++other) smp_wait(other);

  CHECK(loads == rounds && refusals != 0 && refusals != loads, "%u of %u loads were refused",
        refusals, loads);
  CHECK_EQUAL(bad_errors, 0, "for what was in them");
  CHECK_EQUAL(untouched_changed, 0, "and changed nothing then");
  CHECK_EQUAL(mixed, 0, "otherwise they are what may be loaded");
  CHECK(opened != 0 && open_errors != 0, "%u calls opened an event, %u did not", opened,
        open_errors);
  CHECK_EQUAL(bad_results, 0, "with the errors that there are");
  CHECK((rdmsr(pv_msr(PVPERF_MSR_AREA)) & ~1ULL) == (uint64_t)&area.page,
        "the page is where it was");
  check_after(cpu, rounds * 21);
  pv_clear();
}
