// SPDX-License-Identifier: MIT
//
// Records at the interrupt of a counter: FREEZE_LBRS_ON_PMI keeps what was before the overflow, so
// that a handler can read it. Up to version 3 of the PMU the freeze clears DEBUGCTL.LBR, from
// version 4 on it sets GLOBAL_STATUS.LBR_FRZ. Options:
//   count=N   PMIs of each long run; 50 if it is not given
//   period=N  instructions between two; 1009 if it is not given
//   nmi       PMIs are NMIs
#include "known_loop.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60 };

static uint32_t lvt;
static bool streamlined;

/// What the handler does, and what it has found.
static struct {
  uint64_t reload;  ///< of the counter; 0: it stays off
  unsigned most;    ///< PMIs after which the counter stays off
  unsigned pmis;
  unsigned wrong_state, wrong_records, wrong_places;
  uint64_t first_rip;
  const struct known_loop* loop;
  bool at_taken_branches;
  uint64_t instructions;  ///< of the loop up to the next PMI, if they are known
  uint64_t what;
  struct pmu_switch counting;
  unsigned found;
  struct lbr_record records[LBR_MOST];
} sampling;

/// What a PMI with freeze has done to the registers. Acknowledging is the handler's.
static bool is_frozen(uint64_t status) {
  const uint64_t debugctl = rdmsr(MSR_DEBUGCTL);
  const uint64_t lbr_bit = lbr.kind == LBR_LEGACY ? DEBUGCTL_LBR : 0;
  if (!streamlined)
    return debugctl == DEBUGCTL_FREEZE_LBRS_ON_PMI && (status & STATUS_LBR_FRZ) == 0;
  return debugctl == (DEBUGCTL_FREEZE_LBRS_ON_PMI | lbr_bit) && (status & STATUS_LBR_FRZ) != 0;
}

static void enable_recording(void) {
  const struct pmu_switch start = lbr_arm(sampling.what);
  if (lbr.kind == LBR_ARCHITECTURAL) {
    wrmsr(MSR_DEBUGCTL, DEBUGCTL_FREEZE_LBRS_ON_PMI);
    wrmsr((uint32_t)start.msr, start.value);
  } else {
    wrmsr(MSR_DEBUGCTL, DEBUGCTL_LBR | DEBUGCTL_FREEZE_LBRS_ON_PMI);
  }
}

/// In the order in which Linux does it: counters off, status, records, recording on again (version
/// 4: by the acknowledgement), counter, acknowledgement, counters on.
static void on_pmi(struct trap* frame) {
  wrmsr(pmu.global_ctrl, 0);
  const uint64_t status = rdmsr(pmu.status);
  if (++sampling.pmis == 1) sampling.first_rip = frame->rip;
  sampling.wrong_state += !is_frozen(status);
  sampling.found = lbr_read_all(sampling.records);
  if (sampling.loop != 0) {
    const unsigned step = step_at(sampling.loop, frame->rip);
    sampling.wrong_records +=
        sampling.found != lbr.depth || step == LOOP_STEPS ||
        !are_before(sampling.loop, sampling.what, step, sampling.records, lbr.depth);
    if (sampling.at_taken_branches) sampling.wrong_places += sampling.records[0].to != frame->rip;
    if (sampling.instructions != 0) {
      const uint64_t expected = sampling.loop->steps[sampling.instructions % LOOP_STEPS];
      sampling.wrong_places += frame->rip != expected;
      sampling.instructions -= sampling.reload;  // which is negative
    }
  }
  const bool on = sampling.reload != 0 && sampling.pmis < sampling.most;
  if (!streamlined && on) enable_recording();
  if (on) pmu_write(0, sampling.reload & pmu.gp_mask);
  wrmsr(pmu.status_clear, status);
  apic_write(APIC_LVT_PERFORMANCE, lvt);
  if ((lvt & LVT_NMI) == 0) apic_eoi();
  if (on) wrmsr(pmu.global_ctrl, sampling.counting.value);
}

static struct pmu_switch arm(enum pmu_event event, uint64_t privileges, uint64_t period) {
  __builtin_memset(&sampling, 0, sizeof sampling);
  apic_write(APIC_LVT_PERFORMANCE, lvt);
  lbr_clear();
  sampling.counting =
      pmu_arm(0, pmu_code(event), EVENTSEL_EN | EVENTSEL_INT | privileges, -period & pmu.gp_mask);
  return sampling.counting;
}

static void stop(void) {
  pmu_disable();
  lbr_disable();
  wrmsr(MSR_DEBUGCTL, 0);
  pmu_acknowledge(rdmsr(pmu.status));
}

/// The switch that starts recording with freeze.
static struct pmu_switch freezing(uint64_t what) {
  sampling.what = what;
  struct pmu_switch start = lbr_arm(what);
  if (lbr.kind == LBR_ARCHITECTURAL) {
    wrmsr(MSR_DEBUGCTL, DEBUGCTL_FREEZE_LBRS_ON_PMI);
  } else {
    start.value |= DEBUGCTL_FREEZE_LBRS_ON_PMI;
  }
  return start;
}

// ---- One PMI ------------------------------------------------------------------------------------

static void check_one(void) {
  enum { FEW = 40 };  // instructions of the loop
  const struct pmu_switch counting = arm(EVENT_INSTRUCTIONS, EVENTSEL_OS, FEW + 1);
  const struct pmu_switch recording = freezing(LBR_EVERYTHING);
  sti();
  run_kernel_loop(&recording, &counting, 100);
  cli();
  const uint64_t next = kernel_loop.steps[FEW % LOOP_STEPS];
  CHECK(sampling.pmis == 1 && sampling.first_rip == next,
        "a PMI comes behind the instruction that overflows");
  CHECK_EQUAL(sampling.wrong_state, 0, "it says that records are frozen: %s",
              streamlined ? "GLOBAL_STATUS.LBR_FRZ" : "DEBUGCTL.LBR is cleared");
  // Three rounds, and the branches of steps 1, 2 and 4.
  const unsigned all = 3 * LOOP_BRANCHES + 3;
  CHECK(sampling.found == (all < lbr.depth ? all : lbr.depth) &&
            are_before(&kernel_loop, LBR_EVERYTHING, FEW % LOOP_STEPS, sampling.records,
                       sampling.found),
        "the handler finds all branches before the overflow, and none behind it");
  struct lbr_record later[LBR_MOST];
  const unsigned found = lbr_read_all(later);
  if (streamlined) {
    CHECK(found == lbr.depth && later[0].from == kernel_loop.branches[3].from,
          "the acknowledgement of LBR_FRZ goes on recording");
  } else {
    CHECK(found == sampling.found && later[0].from == sampling.records[0].from,
          "nothing is recorded behind the handler, which has not gone on recording");
  }
  stop();
}

/// Records are frozen when the counter overflows, not when somebody takes the interrupt.
static void check_waiting(void) {
  enum { FEW = 33 };
  if ((lvt & LVT_NMI) != 0) return;
  const struct pmu_switch counting = arm(EVENT_INSTRUCTIONS, EVENTSEL_OS, FEW + 1);
  const struct pmu_switch recording = freezing(LBR_EVERYTHING);
  run_kernel_loop(&recording, &counting, 100);
  struct lbr_record records[LBR_MOST];
  const unsigned found = lbr_read_all(records);
  CHECK(found == 3 * LOOP_BRANCHES && are_before(&kernel_loop, LBR_EVERYTHING, 0, records, found),
        "with interrupts off, records are those before the overflow");
  stop();
  sti();
  __asm__ volatile("nop");
  cli();
}

static void check_without_freeze(void) {
  const struct pmu_switch counting = arm(EVENT_INSTRUCTIONS, EVENTSEL_OS, 40);
  const struct pmu_switch recording = lbr_arm(LBR_EVERYTHING);
  sampling.what = LBR_EVERYTHING;
  wrmsr(MSR_DEBUGCTL, 0);
  sti();
  run_kernel_loop(&recording, &counting, 100);
  cli();
  CHECK(sampling.pmis == 1 && sampling.wrong_state == 1 && sampling.found != 0 &&
            step_at(&kernel_loop, sampling.records[0].from) == LOOP_STEPS,
        "without freeze, a handler records its own branches");
  stop();
}

// ---- Many ---------------------------------------------------------------------------------------

static void check_kernel(unsigned count, uint64_t period) {
  const struct pmu_switch counting = arm(EVENT_INSTRUCTIONS, EVENTSEL_OS, period);
  const struct pmu_switch recording = freezing(LBR_EVERYTHING);
  sampling.reload = -period;
  sampling.most = count;
  sampling.loop = &kernel_loop;
  sti();
  run_kernel_loop(&recording, &counting, count * period / LOOP_STEPS + 100);
  cli();
  CHECK_EQUAL(sampling.pmis, count, "in the kernel: %u PMIs, %lu instructions apart", count,
              period);
  CHECK_EQUAL(sampling.wrong_state, 0, "each has frozen the records");
  CHECK_EQUAL(sampling.wrong_records, 0, "all records are the loop's before the interrupt");
  stop();
}

static void check_user(unsigned count, uint64_t period, enum pmu_event event) {
  arm(event, EVENTSEL_USR, period);
  freezing(LBR_USER | LBR_ALL_KINDS);
  sampling.reload = -period;
  sampling.most = count;
  sampling.loop = &user_loop;
  if (event == EVENT_INSTRUCTIONS) {
    sampling.instructions = period - USER_LOOP_SETUP;
  } else {
    sampling.at_taken_branches = true;
  }
  enable_recording();
  wrmsr(pmu.global_ctrl, sampling.counting.value);
  const uint64_t per_round = event == EVENT_INSTRUCTIONS ? LOOP_STEPS : LOOP_BRANCHES;
  run_user(
      (struct user_entry){.rip = (uint64_t)run_user_loop, .rdi = count * period / per_round + 100});
  CHECK_EQUAL(sampling.pmis, count, "in user mode: %u PMIs, %lu %s apart", count, period,
              pmu_event_name(event));
  CHECK_EQUAL(sampling.wrong_places, 0, "each where it has to be");
  CHECK_EQUAL(sampling.wrong_state, 0, "each has frozen the records");
  CHECK_EQUAL(sampling.wrong_records, 0, "all records are the loop's before the interrupt");
  stop();
}

void guest_main(void) {
  pmu_start();
  lbr_start();
  apic_start();
  streamlined = pmu.version >= 4;
  lvt = option_flag("nmi") ? (uint32_t)LVT_NMI : (uint32_t)VECTOR_PMI;
  set_handler(option_flag("nmi") ? (unsigned)VECTOR_NMI : (unsigned)VECTOR_PMI, on_pmi);
  const unsigned count = (unsigned)option_number("count", 50);
  const uint64_t period = option_number("period", 1009);
  check_one();
  check_waiting();
  check_without_freeze();
  check_kernel(count, period);
  check_user(count, period, EVENT_INSTRUCTIONS);
  check_user(count, period, EVENT_TAKEN_BRANCHES);
  lbr_clear();
}
