// SPDX-License-Identifier: MIT
//
// How PMIs are delivered as interrupts: masks, pending ones, one for many overflows, waking HLT,
// sampling at even distance. As NMIs: pmu_nmi.c.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60 };

static volatile unsigned pmis;
static volatile uint64_t pmi_overflows, reload;
static volatile uint32_t lvt_in_handler;
static volatile bool leave_lvt;

static void on_pmi(struct trap* frame) {
  (void)frame;
  ++pmis;
  pmi_overflows = pmu_overflows(1);
  lvt_in_handler = apic_read(APIC_LVT_PERFORMANCE);
  pmu_acknowledge(pmi_overflows);
  if (reload != 0) pmu_write(0, reload);
  if (!leave_lvt) apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_eoi();
}

static struct pmu_switch arm(uint64_t n, uint64_t flags) {
  pmis = 0;
  pmi_overflows = 0;
  reload = 0;
  leave_lvt = false;
  pmu_acknowledge(pmu_overflows(0));
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  return pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), flags, -n & pmu.gp_mask);
}
static void open_window(void) {
  sti();
  __asm__ volatile("nop");
  cli();
}
static bool in_irr(void) {
  return (apic_read(APIC_IRR + VECTOR_PMI / 32 * 0x10) >> VECTOR_PMI % 32 & 1) != 0;
}

static void check_masks(void) {
  struct pmu_switch start = arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  sti();
  sled(start);
  cli();
  CHECK(pmis == 1 && pmi_overflows == 1,
        "an overflow interrupts once; the handler sees which counter it was");
  CHECK_EQUAL((lvt_in_handler & LVT_MASKED) != 0, pmu.masks_lvt,
              pmu.masks_lvt ? "a PMI masks LVTPC" : "a PMI leaves LVTPC as it is");

  start = arm(50, EVENTSEL_COUNT);
  sti();
  sled(start);
  cli();
  CHECK(pmis == 0 && pmu_overflows(1) == 1, "without INT the counter only overflows");

  start = arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  apic_write(APIC_LVT_PERFORMANCE, LVT_MASKED | VECTOR_PMI);
  sti();
  sled(start);
  cli();
  CHECK(pmis == 0 && pmu_overflows(1) == 1, "with LVTPC masked, too");
  CHECK(!in_irr(), "nothing is pending then");
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  open_window();
  CHECK(pmis == 0, "a PMI that met the mask does not come later");

  start = arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  sled(start);
  CHECK(pmis == 0 && in_irr(), "with interrupts off it waits in the APIC");
  CHECK_EQUAL((apic_read(APIC_LVT_PERFORMANCE) & LVT_MASKED) != 0, pmu.masks_lvt,
              "LVTPC is as after a PMI");
  open_window();
  CHECK(pmis == 1 && !in_irr(), "and comes when they are on");
}

/// A second overflow behind a handler that left LVTPC alone.
static void check_left_mask(void) {
  struct pmu_switch start = arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  leave_lvt = true;
  sti();
  sled(start);
  start =
      pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT | EVENTSEL_INT, -50ULL & pmu.gp_mask);
  sled(start);
  cli();
  CHECK_EQUAL(pmis, pmu.masks_lvt ? 1 : 2,
              pmu.masks_lvt ? "a handler that does not open LVTPC gets no second PMI"
                            : "a handler need not touch LVTPC to get a second PMI");
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  open_window();
  CHECK_EQUAL(pmis, pmu.masks_lvt ? 1 : 2, "nor any later");
}

static void check_many_at_once(void) {
  if (pmu.global_ctrl == 0) {
    check_skip("counters that start with the same instruction");
    return;
  }
  arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  for (unsigned i = 1; i < pmu.gp; ++i) {
    pmu_arm(i, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT | EVENTSEL_INT, -50ULL & pmu.gp_mask);
  }
  if (pmu.fixed != 0) pmu_arm_fixed(0, FIXED_OS | FIXED_PMI, -50ULL & pmu.fixed_mask);
  const uint64_t all = ((1ULL << pmu.gp) - 1) | (pmu.fixed != 0 ? 1ULL << 32 : 0);
  sti();
  sled((struct pmu_switch){all, pmu.global_ctrl});
  cli();
  CHECK(pmis == 1 && pmi_overflows == all,
        "%u counters that overflow with the same instruction are one PMI", pmu.gp);
  pmu_clear();
}

static void check_halt(void) {
  // WRMSR, STI, HLT: the overflow is with the HLT
  halt_once(arm(3, EVENTSEL_COUNT | EVENTSEL_INT));
  CHECK_EQUAL(pmis, 1, "a PMI of the HLT itself wakes the CPU");
  // With the STI, whose shadow covers the HLT.
  halt_once(arm(2, EVENTSEL_COUNT | EVENTSEL_INT));
  CHECK_EQUAL(pmis, 1, "so does one that was pending when it halted");
}

static void check_sampling(void) {
  // User mode is sampled, so that the handler does not count: 2 * 10,000 + 1 instructions.
  static const uint64_t periods[] = {10, 33, 100, 1000, 9999};
  unsigned wrong = 0;
  for (unsigned p = 0; p < sizeof periods / sizeof *periods; ++p) {
    const uint64_t period = periods[p];
    arm(period, EVENTSEL_EN | EVENTSEL_USR | EVENTSEL_INT);
    reload = -period & pmu.gp_mask;
    pmu_enable(1);
    run_user((struct user_entry){.rip = (uint64_t)user_branch_loop, .rdi = 10000});
    pmu_disable();
    const uint64_t counted = pmis * period + ((rdpmc(0) - reload) & pmu.gp_mask);
    const uint64_t expected = 2 * 10000 + 1;
    if (counted != expected) {
      ++wrong;
      print("      (period %lu: %u PMIs, %lu instructions)\n", period, pmis, counted);
    }
  }
  CHECK_EQUAL(wrong, 0, "PMIs times period plus the rest is what user mode executed");
}

/// Leaves the APIC enabled, but LVTPC masked.
static void check_disabled_apic(void) {
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_write(APIC_SPURIOUS, VECTOR_SPURIOUS);
  CHECK((apic_read(APIC_LVT_PERFORMANCE) & LVT_MASKED) != 0,
        "disabling the APIC by software masks LVTPC");
  apic_start();
}

void guest_main(void) {
  pmu_start();
  set_handler(VECTOR_PMI, on_pmi);
  CHECK(apic_read(APIC_LVT_PERFORMANCE) == LVT_MASKED, "LVTPC is masked after reset");
  apic_start();
  check_masks();
  check_left_mask();
  check_many_at_once();
  check_halt();
  check_sampling();
  check_disabled_apic();
  if (!apic_has_x2apic()) {
    check_skip("x2APIC");
    return;
  }
  apic_use_x2apic();
  check_masks();
  check_left_mask();
}
