// SPDX-License-Identifier: MIT
//
// How PMIs are delivered: masks, pending ones, one for many overflows, waking HLT, sampling at even
// distance.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60 };

static struct pmu pmu;
static volatile unsigned pmis;
static volatile uint64_t pmi_status, reload;
static volatile uint32_t lvt_in_handler;

static void on_pmi(struct trap* frame) {
  ++pmis;
  pmi_status = rdmsr(MSR_PERF_GLOBAL_STATUS);
  lvt_in_handler = apic_read(APIC_LVT_PERFORMANCE);
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, pmi_status);
  if (reload != 0) wrmsr(MSR_A_PMC0, reload);
  apic_write(APIC_LVT_PERFORMANCE, frame->vector == VECTOR_NMI ? LVT_NMI : VECTOR_PMI);
  if (frame->vector == VECTOR_PMI) apic_eoi();
}

static void arm(uint64_t n, uint64_t flags) {
  pmis = 0;
  pmi_status = 0;
  reload = 0;
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, rdmsr(MSR_PERF_GLOBAL_STATUS));
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  pmu_program(0, EVENT_INSTRUCTIONS, flags, -n & pmu.gp_mask);
}
static void open_window(void) {
  sti();
  __asm__ volatile("nop");
  cli();
}

static void check_masks(void) {
  arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  sti();
  sled(1);
  cli();
  CHECK(pmis == 1 && pmi_status == 1,
        "an overflow interrupts once; the handler sees its status bit");
  CHECK((lvt_in_handler & LVT_MASKED) != 0, "a PMI masks LVTPC");

  arm(50, EVENTSEL_COUNT);
  sti();
  sled(1);
  cli();
  CHECK(pmis == 0 && rdmsr(MSR_PERF_GLOBAL_STATUS) == 1, "without INT only the status bit is set");

  arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  apic_write(APIC_LVT_PERFORMANCE, LVT_MASKED | VECTOR_PMI);
  sti();
  sled(1);
  cli();
  CHECK(pmis == 0 && rdmsr(MSR_PERF_GLOBAL_STATUS) == 1, "with LVTPC masked, too");
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  open_window();
  CHECK(pmis == 0, "a PMI that met the mask does not come later");

  arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  sled(1);
  CHECK(pmis == 0, "with interrupts off it waits");
  open_window();
  CHECK(pmis == 1, "and comes when they are on");
}

static void check_many_at_once(void) {
  arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  for (unsigned i = 1; i < pmu.gp; ++i) {
    pmu_program(i, EVENT_INSTRUCTIONS, EVENTSEL_COUNT | EVENTSEL_INT, -50ULL & pmu.gp_mask);
  }
  sti();
  sled((1 << pmu.gp) - 1);
  cli();
  CHECK(pmis == 1 && pmi_status == (1ULL << pmu.gp) - 1,
        "%u counters that overflow with the same instruction are one PMI", pmu.gp);
  pmu_clear(&pmu);
}

static void check_halt(void) {
  arm(3, EVENTSEL_COUNT | EVENTSEL_INT);
  halt_once(1);  // WRMSR, STI, HLT: the overflow is with the HLT
  CHECK_EQUAL(pmis, 1, "a PMI of the HLT itself wakes the CPU");
  arm(2, EVENTSEL_COUNT | EVENTSEL_INT);
  halt_once(1);  // with the STI, whose shadow covers the HLT
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
    wrmsr(MSR_PERF_GLOBAL_CTRL, 1);
    run_user((struct user_entry){.rip = (uint64_t)user_branch_loop, .rdi = 10000});
    wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
    const uint64_t counted = pmis * period + ((rdpmc(0) - reload) & pmu.gp_mask);
    const uint64_t expected = 2 * 10000 + 1;
    if (counted != expected) {
      ++wrong;
      print("      (period %lu: %u PMIs, %lu instructions)\n", period, pmis, counted);
    }
  }
  CHECK_EQUAL(wrong, 0, "PMIs times period plus the rest is what user mode executed");
}

static void check_nmi(void) {
  arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  apic_write(APIC_LVT_PERFORMANCE, LVT_NMI);
  sled(1);
  CHECK(pmis == 1 && (lvt_in_handler & LVT_MASKED) != 0, "as NMI it comes with interrupts off");
  arm(50, EVENTSEL_COUNT | EVENTSEL_INT);
  apic_write(APIC_LVT_PERFORMANCE, LVT_NMI | LVT_MASKED);
  sled(1);
  CHECK_EQUAL(pmis, 0, "but not if LVTPC is masked");
}

void guest_main(void) {
  pmu = pmu_probe();
  CHECK(pmu.version >= 2, "there is a PMU of version %u", pmu.version);
  set_handler(VECTOR_PMI, on_pmi);
  set_handler(VECTOR_NMI, on_pmi);
  pmu_clear(&pmu);
  apic_start();
  check_masks();
  check_many_at_once();
  check_halt();
  check_sampling();
  check_nmi();
  if (!apic_has_x2apic()) {
    check_skip("x2APIC");
    return;
  }
  apic_use_x2apic();
  check_masks();
  check_nmi();
}
