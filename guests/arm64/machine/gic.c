// SPDX-License-Identifier: MIT
//
// GICv3: pending and active states, priorities, preemption, priority drop and deactivation, groups,
// and shared interrupts, one of them a real one from the serial port.
#include "runtime/gic.h"

#include "machine/attempts.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

enum { MOST = 16, SPI = 40, UART_IMSC = 0x38, UART_RIS = 0x3c, UART_ICR = 0x44, UART_TX = 1 << 5 };

static volatile unsigned taken[MOST], takes;
static void note(unsigned intid) {
  if (takes < MOST) taken[takes] = intid;
  ++takes;
}
/// What is pending and not masked is taken here.
static void window(void) {
  interrupts_on();
  isb();
  interrupts_off();
}
static void set_pending(unsigned intid) {
  gic_set_pending(intid, true);
  dsb();
}

static void check_identity(void) {
  CHECK_EQUAL(read32(GICD + 0xffe8) >> 4 & 15, 3, "the distributor is a GICv3");
  CHECK((read32(GICD + GICD_TYPER) & 31) >= 1, "it has SPIs");
  CHECK(
      (read32(GICD + GICD_CTLR) & (GICD_CTLR_ARE | GICD_CTLR_DS)) == (GICD_CTLR_ARE | GICD_CTLR_DS),
      "affinity routing, one security state");
  CHECK((read64(GICR + GICR_TYPER) >> 32) == 0, "the first redistributor is CPU 0's");
  CHECK((read_sysreg(icc_sre_el1) & 1) == 1, "the CPU interface is system registers");
  CHECK_EQUAL(read_sysreg(icc_iar1_el1), INTID_NONE, "nothing is pending: 1023");
  CHECK_EQUAL(read_sysreg(icc_hppir1_el1), INTID_NONE, "so says HPPIR1");
  CHECK_EQUAL(read_sysreg(icc_rpr_el1), 0xff, "the running priority is idle");
}

static void check_sgis(void) {
  takes = 0;
  bool in_order = true;
  for (unsigned intid = 0; intid < 16; ++intid) {
    set_interrupt_handler(intid, note);
    gic_enable(intid, PRIORITY_DEFAULT);
    gic_send_sgi(intid, 0);
    in_order = in_order && gic_pending(intid);
    window();
    in_order = in_order && takes == intid + 1 && taken[intid] == intid && !gic_pending(intid);
  }
  CHECK(in_order, "each SGI to oneself is pending, then taken once");
  takes = 0;
  gic_send_sgi(3, 0);
  gic_send_sgi(3, 0);
  window();
  CHECK_EQUAL(takes, 1, "an SGI that is pending is not pending twice");
  takes = 0;
  gic_disable(5);
  gic_send_sgi(5, 0);
  window();
  CHECK(takes == 0 && gic_pending(5), "a disabled one stays pending");
  gic_enable(5, PRIORITY_DEFAULT);
  window();
  CHECK_EQUAL(takes, 1, "until it is enabled");
  takes = 0;
  gic_send_sgi(6, 0);
  gic_set_pending(6, false);
  window();
  CHECK_EQUAL(takes, 0, "and one whose pending state is cleared is gone");
}

static void check_priorities(void) {
  takes = 0;
  const uint8_t priorities[5] = {0xa0, 0x40, 0xc0, 0x20, 0x80};
  for (unsigned i = 0; i < 5; ++i) gic_enable(i, priorities[i]);
  for (unsigned i = 0; i < 5; ++i) gic_send_sgi(i, 0);
  CHECK_EQUAL(read_sysreg(icc_hppir1_el1), 3, "HPPIR1 is the most urgent one");
  window();
  CHECK(takes == 5 && taken[0] == 3 && taken[1] == 1 && taken[2] == 4 && taken[3] == 0 &&
            taken[4] == 2,
        "those that wait are taken by priority");

  takes = 0;
  write_sysreg(icc_pmr_el1, 0x80);
  for (unsigned i = 0; i < 5; ++i) gic_send_sgi(i, 0);
  window();
  CHECK(takes == 2 && taken[0] == 3 && taken[1] == 1, "PMR lets through what is more urgent");
  CHECK_EQUAL(read_sysreg(icc_iar1_el1), INTID_NONE, "and IAR1 gives none of the others");
  write_sysreg(icc_pmr_el1, 0xff);
  window();
  CHECK_EQUAL(takes, 5, "until it is raised");

  takes = 0;
  write_sysreg(icc_igrpen1_el1, 0);
  gic_send_sgi(1, 0);
  window();
  CHECK_EQUAL(takes, 0, "IGRPEN1 0: none of group 1");
  write_sysreg(icc_igrpen1_el1, 1);
  window();
  CHECK_EQUAL(takes, 1, "IGRPEN1 1: there it is");
  takes = 0;
  write32(GICD + GICD_CTLR, GICD_CTLR_ARE);
  gic_send_sgi(1, 0);
  window();
  CHECK_EQUAL(takes, 0, "nor if the distributor does not forward it");
  write32(GICD + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GROUP1);
  window();
  CHECK_EQUAL(takes, 1, "and then it does");
}

// ---- Preemption -----------------------------------------------------------------------------

enum { LOW = 1, HIGH = 2, SAME = 3 };
static volatile unsigned nested_takes, running_priority;

/// The low one lets others in, and sends them.
static void on_low(unsigned intid) {
  note(intid);
  const uint64_t elr = read_sysreg(elr_el1);
  const uint64_t spsr = read_sysreg(spsr_el1);
  running_priority = (unsigned)read_sysreg(icc_rpr_el1);
  gic_send_sgi(SAME, 0);
  gic_send_sgi(HIGH, 0);
  window();
  nested_takes = takes;
  write_sysreg(elr_el1, elr);
  write_sysreg(spsr_el1, spsr);
}

static void preempt(uint64_t binary_point, uint8_t low, uint8_t high) {
  write_sysreg(icc_bpr1_el1, binary_point);
  isb();
  gic_enable(LOW, low);
  gic_enable(SAME, low);
  gic_enable(HIGH, high);
  set_interrupt_handler(LOW, on_low);
  takes = 0;
  gic_send_sgi(LOW, 0);
  window();
  write_sysreg(icc_bpr1_el1, 0);
  isb();
  set_interrupt_handler(LOW, note);
}

static void check_preemption(void) {
  preempt(0, 0x80, 0x40);
  CHECK_EQUAL(running_priority, 0x80, "RPR is the priority of what is being handled");
  CHECK(nested_takes == 2 && taken[0] == LOW && taken[1] == HIGH,
        "a handler is interrupted by what is more urgent");
  CHECK(takes == 3 && taken[2] == SAME, "what is as urgent waits for its end");
  preempt(6, 0x80, 0x40);
  CHECK(nested_takes == 2 && taken[1] == HIGH, "BPR1 6: two bits are the group priority");
  preempt(7, 0x60, 0x40);
  CHECK(nested_takes == 1 && takes == 3 && taken[1] == HIGH,
        "BPR1 7: one bit is, and the two do not differ in it");
}

// ---- Priority drop and deactivation ---------------------------------------------------------

static volatile uint64_t active_in_handler;
static void drop_only(unsigned intid) {
  note(intid);
  active_in_handler = gic_active(intid);
}

static void check_deactivation(void) {
  gic_enable(4, PRIORITY_DEFAULT);
  set_interrupt_handler(4, drop_only);
  takes = 0;
  gic_send_sgi(4, 0);
  window();
  CHECK(active_in_handler && !gic_active(4), "EOImode 0: EOIR1 drops priority and deactivates");
  write_sysreg(icc_ctlr_el1, 1 << 1);
  isb();
  gic_send_sgi(4, 0);
  window();
  CHECK(takes == 2 && gic_active(4) && read_sysreg(icc_rpr_el1) == 0xff,
        "EOImode 1: EOIR1 only drops the priority");
  gic_send_sgi(4, 0);
  window();
  CHECK(takes == 2 && gic_pending(4), "what is active is not taken again");
  write_sysreg(icc_dir_el1, 4);
  isb();
  CHECK(!gic_active(4), "DIR deactivates it");
  window();
  CHECK_EQUAL(takes, 3, "and then it is");
  write_sysreg(icc_dir_el1, 4);
  write_sysreg(icc_ctlr_el1, 0);
  isb();
  set_interrupt_handler(4, note);

  write32(gic_frame(4) + GIC_ISACTIVER, 1 << 4);
  takes = 0;
  gic_send_sgi(4, 0);
  window();
  CHECK(takes == 0 && gic_active(4), "ISACTIVER makes an interrupt active");
  write32(gic_frame(4) + GIC_ICACTIVER, 1 << 4);
  window();
  CHECK_EQUAL(takes, 1, "ICACTIVER ends that");
}

// ---- Shared interrupts ----------------------------------------------------------------------

static void on_uart(unsigned intid) {
  note(intid);
  write32(UART + UART_IMSC, 0);
}

static void check_shared(void) {
  set_interrupt_handler(SPI, note);
  gic_enable(SPI, PRIORITY_DEFAULT);
  takes = 0;
  set_pending(SPI);
  window();
  CHECK(takes == 1 && taken[0] == SPI, "a shared interrupt by ISPENDR");
  write64(GICD + GICD_IROUTER + 8 * SPI, 0x77);
  set_pending(SPI);
  window();
  CHECK(takes == 1 && gic_pending(SPI), "routed to a CPU that is not there, it waits");
  write64(GICD + GICD_IROUTER + 8 * SPI, 0);
  window();
  CHECK_EQUAL(takes, 2, "and comes when it is routed here");
  write32(GICD + GIC_ICFGR + SPI / 16 * 4, 2u << SPI % 16 * 2);
  CHECK_EQUAL(read32(GICD + GIC_ICFGR + SPI / 16 * 4) >> SPI % 16 * 2 & 3, 2,
              "it can be edge-triggered");

  set_interrupt_handler(UART_INTID, on_uart);
  gic_enable(UART_INTID, PRIORITY_DEFAULT);
  takes = 0;
  put_char('\n');
  window();
  CHECK_EQUAL(takes, 0, "a masked UART interrupt is none");
  write32(UART + UART_IMSC, UART_TX);
  CHECK((read32(UART + UART_RIS) & UART_TX) != 0 && gic_pending(UART_INTID),
        "the UART has sent, and its line is up");
  window();
  CHECK(takes == 1 && taken[0] == UART_INTID, "that is INTID 33");
  CHECK(!gic_pending(UART_INTID), "and down when it is masked");
  write32(UART + UART_ICR, 0x7ff);
  write32(UART + UART_IMSC, UART_TX);
  window();
  CHECK_EQUAL(takes, 1, "ICR takes it back");
  write32(UART + UART_IMSC, 0);
  gic_disable(UART_INTID);
}

// ---- Group 0 --------------------------------------------------------------------------------

static volatile unsigned fiqs, fiq_intid;
static void on_fiq(struct trap* frame) {
  (void)frame;
  fiq_intid = (unsigned)read_sysreg(icc_iar0_el1);
  ++fiqs;
  write_sysreg(icc_eoir0_el1, fiq_intid);
}

static void check_group0(void) {
  set_handler(TRAP_FIQ, on_fiq);
  write32(gic_frame(7) + GIC_IGROUPR, ~(1u << 7));
  write32(GICD + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GROUP1 | 1);
  write_sysreg(icc_bpr0_el1, 0);
  write_sysreg(icc_igrpen0_el1, 1);
  isb();
  takes = 0;
  gic_enable(7, PRIORITY_DEFAULT);
  set_pending(7);
  window();
  CHECK(fiqs == 0 && takes == 0, "an interrupt of group 0 is no IRQ");
  __asm__ volatile("msr daifclr, #1\nisb\nmsr daifset, #1" : : : "memory");
  CHECK(fiqs == 1 && fiq_intid == 7, "it is an FIQ, acknowledged by IAR0");
  write_sysreg(icc_igrpen0_el1, 0);
  write32(gic_frame(7) + GIC_IGROUPR, ~0u);
  write32(GICD + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GROUP1);
}

static void user_pmr(void* unused) __attribute__((section(".user.text"), noinline));
static void user_pmr(void* unused) {
  (void)unused;
  __asm__ volatile("mrs x1, icc_pmr_el1");
}

void guest_main(void) {
  gic_start();
  check_identity();
  check_sgis();
  check_priorities();
  check_preemption();
  check_deactivation();
  check_shared();
  check_group0();
  CHECK(user_faults(ESR(EC_UNKNOWN, 0), user_pmr, 0), "EL0: the CPU interface is undefined");
}
