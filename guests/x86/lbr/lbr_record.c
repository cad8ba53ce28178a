// SPDX-License-Identifier: MIT
//
// What `perf record -b` makes a guest's kernel do, step by step, while a program sorts in user
// mode; and what tools that read such a profile rely on. Options:
//   count=N   samples; 100 if it is not given
//   any       LBR_SELECT is 0: branches of the kernel too; otherwise 1, as for -j any,u
#include "recursion.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/lbr.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { PERIOD = 997, LONGEST_RANGE = 512 };

static uint64_t what;
static unsigned samples, wanted;
static unsigned not_full, no_branch, no_range, not_here, wrong_freeze;

// ---- The kernel's driver ------------------------------------------------------------------------

/// Version 4 and later: what a PMI has frozen goes on with its acknowledgement.
static void driver_enable_lbr(bool in_pmi) {
  if (in_pmi && pmu.version >= 4) return;
  if (lbr.kind == LBR_LEGACY && !in_pmi) wrmsr(MSR_LBR_SELECT, lbr_select(what));
  const uint64_t before = rdmsr(MSR_DEBUGCTL);
  uint64_t debugctl = before | DEBUGCTL_FREEZE_LBRS_ON_PMI;
  if (lbr.kind == LBR_LEGACY) debugctl |= DEBUGCTL_LBR;
  if (debugctl != before) wrmsr(MSR_DEBUGCTL, debugctl);
  if (lbr.kind == LBR_ARCHITECTURAL) wrmsr(MSR_ARCH_LBR_CTL, what | LBR_ENABLE);
}

static void driver_disable_lbr(void) {
  if (lbr.kind == LBR_ARCHITECTURAL) {
    wrmsr(MSR_ARCH_LBR_CTL, 0);
  } else {
    wrmsr(MSR_DEBUGCTL,
          rdmsr(MSR_DEBUGCTL) & ~(uint64_t)(DEBUGCTL_LBR | DEBUGCTL_FREEZE_LBRS_ON_PMI));
  }
}

// ---- What a reader of the profile relies on -----------------------------------------------------

static bool on_user_page(uint64_t address) {
  return address - USER_PAGE < USER_PAGE_BYTES;
}

/// The opcode of a branch, as far as the program has any. Elsewhere: whatever.
static bool is_branch(uint64_t from) {
  if (!on_user_page(from)) return true;
  const uint8_t* code = (const uint8_t*)from;
  if (*code == 0x41) ++code;
  if (*code == 0x0f) return (code[1] & 0xf0) == 0x80 || code[1] == 0x05;
  return (*code & 0xf0) == 0x70 || *code == 0xe8 || *code == 0xe9 || *code == 0xeb ||
         *code == 0xc3 || *code == 0xff || *code == 0xcd;
}

static void look_through(const struct lbr_record* records, unsigned count, uint64_t rip) {
  not_full += count != lbr.depth;
  // Straight from the newest record's end to the interrupt.
  not_here +=
      on_user_page(records[0].to) && on_user_page(rip) && rip - records[0].to > LONGEST_RANGE;
  for (unsigned age = 0; age < count; ++age) {
    no_branch += !is_branch(records[age].from);
    // And from each record's end to the next one's beginning, but for what was not recorded.
    if (age == 0 || !on_user_page(records[age].to) || !on_user_page(records[age - 1].from))
      continue;
    no_range += records[age - 1].from - records[age].to > LONGEST_RANGE;
  }
}

static void on_pmi(struct trap* frame) {
  static struct lbr_record records[LBR_MOST];
  wrmsr(pmu.global_ctrl, 0);
  const uint64_t status = rdmsr(pmu.status);
  if (pmu.version >= 4) {
    wrong_freeze += (status & STATUS_LBR_FRZ) == 0;
  } else {
    wrong_freeze += (rdmsr(MSR_DEBUGCTL) & DEBUGCTL_LBR) != 0;
  }
  look_through(records, lbr_read_all(records), frame->rip);
  ++samples;
  pmu_write(0, -(uint64_t)PERIOD & pmu.gp_mask);
  wrmsr(pmu.status_clear, status);
  driver_enable_lbr(true);
  apic_write(APIC_LVT_PERFORMANCE, LVT_NMI);
  if (samples < wanted) wrmsr(pmu.global_ctrl, 1);
}

static void on_look(struct trap* frame) {
  (void)frame;
}

void guest_main(void) {
  pmu_start();
  lbr_start();
  apic_start();
  wanted = (unsigned)option_number("count", 100);
  what = option_flag("any") ? (uint64_t)LBR_EVERYTHING : (uint64_t)(LBR_ALL_KINDS | LBR_USER);
  set_handler(VECTOR_NMI, on_pmi);
  set_handler(VECTOR_LOOK, on_look);
  set_gate(VECTOR_LOOK, 3, 0);
  apic_write(APIC_LVT_PERFORMANCE, LVT_NMI);
  const uint64_t flags = EVENTSEL_EN | EVENTSEL_INT | EVENTSEL_USR;
  const struct pmu_switch start =
      pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), flags, -(uint64_t)PERIOD & pmu.gp_mask);
  driver_enable_lbr(false);
  if (lbr.kind == LBR_LEGACY) {
    CHECK_EQUAL(rdmsr(MSR_LBR_SELECT), option_flag("any") ? 0 : 1,
                "LBR_SELECT is as perf wants it");
    CHECK_EQUAL(rdmsr(MSR_DEBUGCTL), 0x801, "DEBUGCTL is 0x801");
  }
  wrmsr((uint32_t)start.msr, start.value);
  unsigned unsorted = 0, runs = 0;
  while (samples < wanted && runs++ < 10000) {
    const struct trap trap = run_user((struct user_entry){.rip = (uint64_t)user_sort});
    unsorted += trap.vector != VECTOR_USER_EXIT || trap.rax != 1;
  }
  pmu_disable();
  driver_disable_lbr();
  CHECK(samples == wanted && unsorted == 0, "%u samples of %u runs, which all sort", samples, runs);
  CHECK_EQUAL(wrong_freeze, 0, "each has frozen the records");
  CHECK_EQUAL(not_full, 0, "each has all records");
  CHECK_EQUAL(no_branch, 0, "each record comes from a branch");
  CHECK_EQUAL(no_range, 0, "from where a record leads, straight code leads to the next one");
  CHECK_EQUAL(not_here, 0, "and from the newest one to the interrupt");
  wrmsr(MSR_DEBUGCTL, 0);
}
