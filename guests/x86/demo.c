// SPDX-License-Identifier: MIT
//
// A guest that measures itself. It sorts, hashes and branches; four general-purpose counters run
// from its first instructions to its last and are read around each piece of work through RDPMC;
// another counter overflows every SAMPLE_PERIOD instructions, and its interrupt notes which piece
// it interrupted. The last four lines are the counters' values at the very end of the run: the same
// numbers that the machine reports as retired.
#include "demo_pieces.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum {
  COUNTERS = PIECE_COUNTERS,
  SAMPLER = 4,  // the counter that samples where there are no fixed ones
  VECTOR_PMI = 0x60,
  COM1 = 0x3f8,
  DEBUG_EXIT = 0xf4,
  UNUSED_PORT = 0x80,
  PROLOGUE_INSTRUCTIONS = 21 + 4,  // demo_counters.S
};

uint64_t demo_prologue_cycles(void);
void demo_finish(const uint64_t* to_come, unsigned console_port, unsigned exit_port,
                 uint64_t reads[2][COUNTERS]);

// ---- Sampling
// ---------------------------------------------------------------------------------------

static uint64_t reload;

static void on_pmi(struct trap* frame) {
  sample_piece(frame->rip);
  if (pmu.fixed != 0) {
    wrmsr(MSR_FIXED_CTR0, reload);
    pmu_acknowledge(1ULL << 32);
  } else {
    pmu_write(SAMPLER, reload);
    pmu_acknowledge(1ULL << SAMPLER);
  }
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_eoi();
}

static void start_sampling(void) {
  apic_start();
  set_handler(VECTOR_PMI, on_pmi);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  reload = -(uint64_t)SAMPLE_PERIOD & pmu.gp_mask;
  struct pmu_switch start;
  if (pmu.fixed != 0) {
    start = pmu_arm_fixed(0, FIXED_OS | FIXED_USR | FIXED_PMI, reload);
  } else {
    start = pmu_arm(SAMPLER, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT | EVENTSEL_INT, reload);
  }
  if (pmu.global_ctrl != 0) start.value |= rdmsr(pmu.global_ctrl);
  wrmsr((uint32_t)start.msr, start.value);
  sti();
}

static void stop_sampling(void) {
  cli();
  wrmsr(pmu.fixed != 0 ? MSR_FIXED_CTR_CTRL : pmu_select_msr(SAMPLER), 0);
}

// ---- The report
// -------------------------------------------------------------------------------------

/// What the counters do not see: before they were started, and after the last read.
static void account_for_the_ends(uint64_t* to_come) {
  static uint64_t reads[2][COUNTERS];
  const uint64_t nothing[COUNTERS] = {0};
  // Twice: the first call may also train the branch predictor.
  demo_finish(nothing, UNUSED_PORT, UNUSED_PORT, reads);
  demo_finish(nothing, UNUSED_PORT, UNUSED_PORT, reads);
  for (unsigned i = 0; i < COUNTERS; ++i) to_come[i] = reads[1][i] - reads[0][i];
  to_come[1] -= 4;  // the four instructions that read counter 0 for the second time
  to_come[0] += demo_prologue_cycles();
  to_come[1] += PROLOGUE_INSTRUCTIONS;
}

static uint64_t read_counter(unsigned i) {
  return rdpmc(i);
}

void guest_main(void) {
  if (!pmu_probe() || pmu.gp < COUNTERS || (pmu.fixed == 0 && pmu.gp <= SAMPLER)) {
    panic("this machine has no PMU, or one of fewer than five counters");
  }
  print(
      "A guest that measures itself: %s PMU version %u, %u counters of %u bits,\n"
      "read around each piece of work through RDPMC.\n\n",
      pmu.vendor == PMU_AMD ? "AMD" : "architectural", pmu.version, pmu.gp,
      (unsigned)__builtin_ctzll(pmu.gp_mask + 1));
  start_sampling();
  run_pieces(read_counter);
  stop_sampling();
  print_pieces("mispredicts", "RDPMC");

  uint64_t to_come[COUNTERS];
  account_for_the_ends(to_come);
  print("Its counters at its very last instruction:\n");
  static uint64_t reads[2][COUNTERS];
  demo_finish(to_come, COM1, DEBUG_EXIT, reads);
}
