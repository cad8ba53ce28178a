// SPDX-License-Identifier: MIT
//
// PMIs as NMIs: they need no open interrupts, meet LVTPC's mask, wake HLT, wait while an NMI is
// being handled, and are one where several counters overflow.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static volatile unsigned nmis, nested;
static volatile uint64_t nmi_overflows, nmi_rip;
static volatile uint32_t lvt_in_handler;
/// Overflows that the handler of the first NMI causes itself.
static volatile unsigned overflows_inside;
static volatile bool inside, leave_lvt;

static struct pmu_switch program(uint64_t n) {
  return pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT | EVENTSEL_INT, -n & pmu.gp_mask);
}

static void on_nmi(struct trap* frame) {
  pmu_disable();
  ++nmis;
  if (inside) ++nested;
  inside = true;
  nmi_rip = frame->rip;
  nmi_overflows = pmu_overflows(1);
  lvt_in_handler = apic_read(APIC_LVT_PERFORMANCE);
  pmu_acknowledge(nmi_overflows);
  for (; overflows_inside != 0; --overflows_inside) {
    apic_write(APIC_LVT_PERFORMANCE, LVT_NMI);
    sled(program(50));
  }
  if (!leave_lvt) apic_write(APIC_LVT_PERFORMANCE, LVT_NMI);
  inside = false;
}

static struct pmu_switch arm(uint64_t n, uint32_t lvt) {
  pmu_clear();
  nmis = 0;
  nested = 0;
  nmi_rip = 0;
  overflows_inside = 0;
  leave_lvt = false;
  apic_write(APIC_LVT_PERFORMANCE, lvt);
  return program(n);
}

static void check_delivery(void) {
  sled(arm(50, LVT_NMI));
  CHECK(nmis == 1 && nmi_overflows == 1 && nmi_rip == (uint64_t)sled_begin + 49,
        "with interrupts off an NMI comes right behind the instruction");
  CHECK_EQUAL((lvt_in_handler & LVT_MASKED) != 0, pmu.masks_lvt,
              pmu.masks_lvt ? "it masks LVTPC" : "it leaves LVTPC as it is");
  sled(arm(50, LVT_NMI | 0x33));
  CHECK_EQUAL(nmis, 1, "the vector of an NMI does not matter");
  sled(arm(50, LVT_NMI | LVT_MASKED));
  apic_write(APIC_LVT_PERFORMANCE, LVT_NMI);
  __asm__ volatile("nop");
  CHECK(nmis == 0 && pmu_overflows(1) == 1, "masked, it does not come, then or later");
}

static void check_left_mask(void) {
  const struct pmu_switch start = arm(50, LVT_NMI);
  leave_lvt = true;
  sled(start);
  sled(program(50));
  CHECK_EQUAL(nmis, pmu.masks_lvt ? 1 : 2,
              pmu.masks_lvt ? "a handler that does not open LVTPC gets no second NMI"
                            : "a handler need not touch LVTPC to get a second NMI");
}

static void check_inside_handler(void) {
  struct pmu_switch start = arm(50, LVT_NMI);
  overflows_inside = 1;
  sled(start);
  CHECK(nmis == 2 && nested == 0, "an overflow in the handler interrupts when the handler is left");
  start = arm(50, LVT_NMI);
  overflows_inside = 3;
  sled(start);
  CHECK(nmis == 2 && nested == 0, "three overflows in it are one NMI: no more than one waits");
}

static void check_coalescing(void) {
  if (pmu.global_ctrl == 0 || pmu.gp < 2) {
    check_skip("two counters that overflow with the same instruction");
    return;
  }
  arm(50, LVT_NMI);
  pmu_arm(1, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT | EVENTSEL_INT, -50ULL & pmu.gp_mask);
  sled((struct pmu_switch){3, pmu.global_ctrl});
  CHECK(nmis == 1 && nmi_overflows == 3,
        "two counters that overflow with the same instruction are one NMI");
}

static void check_halt(void) {
  halt_deaf(arm(2, LVT_NMI));  // WRMSR, HLT
  CHECK_EQUAL(nmis, 1, "an NMI of the HLT itself wakes a CPU that takes no interrupts");
}

void guest_main(void) {
  pmu_start();
  set_handler(VECTOR_NMI, on_nmi);
  apic_start();
  check_delivery();
  check_left_mask();
  check_inside_handler();
  check_coalescing();
  check_halt();
  if (!apic_has_x2apic()) return;
  apic_use_x2apic();
  check_delivery();
}
