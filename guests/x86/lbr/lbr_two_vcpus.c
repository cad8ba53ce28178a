// SPDX-License-Identifier: MIT
//
// Several vCPUs on fewer host CPUs, with histories and filters of their own: each finds its own
// records, all of them, and its own registers, however often the host switches. Options:
//   cpus=N    there must be as many
//   rounds=N  of each vCPU; 40 if it is not given
#include "known_loop.h"
#include "runtime/check.h"
#include "runtime/layout.h"
#include "runtime/smp.h"
#include "runtime/start.h"

enum { LOOPS = 1500, LONGER_THAN_TURNS = 60000, MARK = 0x1000 };

static unsigned rounds;
static struct vcpu {
  const struct known_loop* loop;
  void (*run)(const struct pmu_switch*, const struct pmu_switch*, uint64_t);
  uint64_t what;
  unsigned number;
  unsigned wrong_records, wrong_later, wrong_registers, wrong_tops, wrong_marks, wrong_calls;
} vcpus[MAX_CPUS];

static void take_time(void) {
  for (volatile unsigned i = 0; i < LONGER_THAN_TURNS; ++i) pause();
}

/// Records without recording: any values stay.
static void check_marks(struct vcpu* vcpu) {
  const uint64_t mark = ((uint64_t)vcpu->number + 1) * MARK * 0x100;
  for (unsigned i = 0; i < lbr.depth; ++i) {
    wrmsr(lbr.from + i, mark + i);
    wrmsr(lbr.to + i, mark + MARK + i);
    if (lbr.info != 0) wrmsr(lbr.info + i, i);
  }
  take_time();
  for (unsigned i = 0; i < lbr.depth; ++i) {
    vcpu->wrong_marks += rdmsr(lbr.from + i) != mark + i || rdmsr(lbr.to + i) != mark + MARK + i;
    if (lbr.info != 0) vcpu->wrong_marks += (rdmsr(lbr.info + i) & 0xffff) != i;
  }
}

/// With a record at each of several levels of calls, in call-stack mode, and time between them.
static __attribute__((noinline, noclone)) unsigned go_down(unsigned levels) {
  if (levels == 0) {
    take_time();
    lbr_disable();
    struct lbr_record records[LBR_MOST];
    return lbr_read_all(records);
  }
  const unsigned found = go_down(levels - 1);
  __asm__ volatile("" : : : "memory");
  return found;
}
static void check_calls(struct vcpu* vcpu) {
  const unsigned levels = 5 + vcpu->number;
  lbr_clear();
  const struct pmu_switch start = lbr_arm(LBR_CALLS | LBR_KERNEL);
  wrmsr((uint32_t)start.msr, start.value);
  const unsigned found = go_down(levels);
  // A call for each level, one of level 0, and the one of lbr_disable() if it is a function.
  vcpu->wrong_calls += found < levels + 1 || found > levels + 2;
  lbr_clear();
}

/// How many branches of so many rounds of the loop are.
static unsigned recorded(const struct vcpu* vcpu, unsigned loops) {
  unsigned per_round = 0;
  for (unsigned b = 0; b < LOOP_BRANCHES; ++b) {
    per_round += (vcpu->loop->branches[b].what & vcpu->what) != 0;
  }
  return per_round * loops - ((vcpu->what & LBR_JCC) != 0);
}

static void run(void* argument) {
  struct vcpu* vcpu = argument;
  struct lbr_record records[LBR_MOST];
  const struct pmu_switch nothing = {0, pmu.global_ctrl};
  for (unsigned round = 0; round < rounds; ++round) {
    const struct pmu_switch start = lbr_arm(vcpu->what);
    const unsigned before = lbr_tos();
    vcpu->run(&start, &nothing, LOOPS + vcpu->number);
    const unsigned tos = lbr_tos();
    vcpu->wrong_tops += lbr.kind == LBR_LEGACY &&
                        (tos - before - recorded(vcpu, LOOPS + vcpu->number)) % lbr.depth != 0;
    vcpu->wrong_records += lbr_read_all(records) != lbr.depth ||
                           !are_at_end(vcpu->loop, vcpu->what, records, lbr.depth);
    if (round % 4 == 3) {
      take_time();
      vcpu->wrong_later += lbr_read_all(records) != lbr.depth ||
                           !are_at_end(vcpu->loop, vcpu->what, records, lbr.depth);
    }
    vcpu->wrong_registers += lbr_tos() != tos;
    if (lbr.kind == LBR_LEGACY) {
      vcpu->wrong_registers += rdmsr(MSR_LBR_SELECT) != lbr_select(vcpu->what);
    }
    if (round % 8 == 5) check_marks(vcpu);
    if (round % 8 == 1) check_calls(vcpu);
  }
}

void guest_main(void) {
  pmu_start();
  lbr_start();
  rounds = (unsigned)option_number("rounds", 40);
  const unsigned cpus = smp_start();
  CHECK_EQUAL(cpus, option_number("cpus", 2), "there are as many CPUs as were asked for");
  static const uint64_t filters[] = {LBR_EVERYTHING, LBR_KERNEL | LBR_REL_CALL | LBR_JCC,
                                     LBR_KERNEL | LBR_IND_JMP, LBR_KERNEL | LBR_RET | LBR_REL_JMP};
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    vcpus[cpu] = (struct vcpu){.loop = cpu % 2 == 0 ? &kernel_loop : &second_loop,
                               .run = cpu % 2 == 0 ? run_kernel_loop : run_second_loop,
                               .what = filters[cpu % 4],
                               .number = cpu};
    if (cpu != 0) smp_run(cpu, run, &vcpus[cpu]);
  }
  run(&vcpus[0]);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    if (cpu != 0) smp_wait(cpu);
    const struct vcpu* v = &vcpus[cpu];
    CHECK_EQUAL(v->wrong_records, 0, "CPU %u: %u times, all records are its own", cpu, rounds);
    CHECK_EQUAL(v->wrong_later, 0, "CPU %u: and still are when others have run", cpu);
    CHECK_EQUAL(v->wrong_tops, 0, "CPU %u: LBR_TOS goes up by one for each of its branches", cpu);
    CHECK_EQUAL(v->wrong_registers, 0, "CPU %u: its filter and LBR_TOS stay", cpu);
    CHECK_EQUAL(v->wrong_marks, 0, "CPU %u: what it writes stays", cpu);
    CHECK_EQUAL(v->wrong_calls, 0, "CPU %u: its chain of calls stays", cpu);
  }
}
