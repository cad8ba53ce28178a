// SPDX-License-Identifier: MIT
#include "gic.h"

#include "console.h"
#include "cpu.h"

enum { INTERRUPTS = 64 };

static interrupt_handler handlers[INTERRUPTS];
static struct trap* volatile interrupted_frames[MAX_CPUS];

static void on_interrupt(struct trap* frame) {
  const unsigned intid = read_sysreg(icc_iar1_el1) & 0xffffff;
  if (intid >= INTERRUPTS) return;  // gone again
  if (handlers[intid] == 0) {
    print("interrupt %u on CPU %u\n", intid, current_cpu());
    panic("nobody handles this");
  }
  struct trap* volatile* current = &interrupted_frames[current_cpu()];
  struct trap* outer = *current;
  *current = frame;
  handlers[intid](intid);
  *current = outer;
  write_sysreg(icc_eoir1_el1, intid);
}

struct trap* interrupted(void) {
  return interrupted_frames[current_cpu()];
}

void set_interrupt_handler(unsigned intid, interrupt_handler handler) {
  handlers[intid] = handler;
}

static uint64_t redistributor(void) {
  return GICR + (uint64_t)current_cpu() * GICR_STRIDE;
}

uint64_t gic_frame(unsigned intid) {
  return intid < INTID_FIRST_SPI ? redistributor() + GICR_SGI : GICD;
}

static void write_bit(unsigned registers, unsigned intid) {
  write32(gic_frame(intid) + registers + intid / 32 * 4, 1u << intid % 32);
}
static bool read_bit(unsigned registers, unsigned intid) {
  return (read32(gic_frame(intid) + registers + intid / 32 * 4) >> intid % 32 & 1) != 0;
}

static void start_distributor(void) {
  write32(GICD + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GROUP1);
  for (unsigned intid = INTID_FIRST_SPI; intid < INTERRUPTS; intid += 32) {
    write32(GICD + GIC_IGROUPR + intid / 32 * 4, ~0u);
  }
}

static void start_redistributor(void) {
  const uint64_t frame = redistributor();
  write32(frame + GICR_WAKER, read32(frame + GICR_WAKER) & ~2u);
  while ((read32(frame + GICR_WAKER) & 4) != 0) pause();
  write32(frame + GICR_SGI + GIC_IGROUPR, ~0u);
}

void gic_start(void) {
  if (current_cpu() == 0) start_distributor();
  start_redistributor();
  write_sysreg(icc_sre_el1, 7);
  isb();
  write_sysreg(icc_pmr_el1, 0xff);
  write_sysreg(icc_bpr1_el1, 0);
  write_sysreg(icc_ctlr_el1, 0);
  write_sysreg(icc_igrpen1_el1, 1);
  isb();
  set_handler(TRAP_IRQ, on_interrupt);
}

void gic_enable(unsigned intid, uint8_t priority) {
  const uint64_t at = gic_frame(intid) + GIC_IPRIORITYR + intid;
  __asm__ volatile("strb %w0, [%1]" : : "r"(priority), "r"(at) : "memory");
  if (intid >= INTID_FIRST_SPI) write64(GICD + GICD_IROUTER + 8 * intid, current_cpu());
  write_bit(GIC_ISENABLER, intid);
}
void gic_disable(unsigned intid) {
  write_bit(GIC_ICENABLER, intid);
}
void gic_set_pending(unsigned intid, bool pending) {
  write_bit(pending ? GIC_ISPENDR : GIC_ICPENDR, intid);
}
bool gic_pending(unsigned intid) {
  return read_bit(GIC_ISPENDR, intid);
}
bool gic_active(unsigned intid) {
  return read_bit(GIC_ISACTIVER, intid);
}

void gic_send_sgi(unsigned intid, unsigned cpu) {
  dsb();
  write_sysreg(icc_sgi1r_el1, (uint64_t)intid << 24 | 1ULL << cpu);
  isb();
}
