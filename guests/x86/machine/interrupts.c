// SPDX-License-Identifier: MIT
//
// The local APIC and when the CPU takes what it sends: priorities, shadows, NMI blocking, the
// timer. Everything twice where there is an x2APIC.
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_LOW = 0x41, VECTOR_MIDDLE = 0x61, VECTOR_HIGH = 0x91, VECTOR_TIMER = 0x71 };

static volatile unsigned arrived;
static volatile uint8_t order[16];
static volatile uint64_t last_rip;

static void reset_order(void) {
  arrived = 0;
}
static void note(struct trap* frame) {
  if (arrived < sizeof order) order[arrived] = (uint8_t)frame->vector;
  ++arrived;
  last_rip = frame->rip;
  apic_eoi();
}
static void send_self(unsigned vector) {
  apic_send(ICR_SELF | ICR_ASSERT | vector, 0);
}
static bool bit_set(uint32_t bank, unsigned vector) {
  return (apic_read(bank + vector / 32 * 0x10) >> vector % 32 & 1) != 0;
}

// ---- Priorities
// ---------------------------------------------------------------------------------------

static volatile bool in_service_seen, priority_seen;
static void look_inside(struct trap* frame) {
  in_service_seen =
      bit_set(APIC_ISR, (unsigned)frame->vector) && !bit_set(APIC_IRR, (unsigned)frame->vector);
  priority_seen = apic_read(APIC_PPR) >> 4 == frame->vector >> 4;
  note(frame);
}
static void nest(struct trap* frame) {
  // Lower vectors must wait for our EOI; a higher one may interrupt us.
  send_self(VECTOR_LOW);
  send_self(VECTOR_HIGH);
  sti();
  __asm__ volatile("nop");
  cli();
  order[arrived++] = (uint8_t)frame->vector;
  apic_eoi();
}

static void check_priorities(void) {
  set_handler(VECTOR_LOW, note);
  set_handler(VECTOR_MIDDLE, note);
  set_handler(VECTOR_HIGH, note);
  reset_order();
  send_self(VECTOR_MIDDLE);
  CHECK(arrived == 0 && bit_set(APIC_IRR, VECTOR_MIDDLE),
        "an interrupt waits in IRR while IF is 0");
  sti();
  __asm__ volatile("nop");
  cli();
  CHECK(arrived == 1 && !bit_set(APIC_IRR, VECTOR_MIDDLE), "and is taken when IF is 1");

  reset_order();
  send_self(VECTOR_LOW);
  send_self(VECTOR_HIGH);
  send_self(VECTOR_LOW);
  sti();
  __asm__ volatile("nop\nnop");
  cli();
  CHECK(arrived == 2 && order[0] == VECTOR_HIGH && order[1] == VECTOR_LOW,
        "the highest vector comes first, the same vector twice counts once");

  reset_order();
  set_handler(VECTOR_MIDDLE, nest);
  send_self(VECTOR_MIDDLE);
  sti();
  __asm__ volatile("nop\nnop");
  cli();
  CHECK(arrived == 3 && order[0] == VECTOR_HIGH && order[1] == VECTOR_MIDDLE &&
            order[2] == VECTOR_LOW,
        "a higher vector interrupts a handler, a lower one waits for its EOI");

  set_handler(VECTOR_MIDDLE, look_inside);
  send_self(VECTOR_MIDDLE);
  sti();
  __asm__ volatile("nop");
  cli();
  CHECK(in_service_seen, "ISR shows the vector while its handler runs");
  CHECK(priority_seen, "PPR shows its class");

  reset_order();
  write_cr8(6);
  CHECK(apic_read(APIC_TPR) == 0x60, "CR8 is the class in TPR");
  send_self(VECTOR_MIDDLE);
  send_self(VECTOR_HIGH);
  sti();
  __asm__ volatile("nop\nnop");
  CHECK(arrived == 1 && order[0] == VECTOR_HIGH, "TPR holds back vectors up to its class");
  write_cr8(0);
  __asm__ volatile("nop");
  cli();
  CHECK(arrived == 2 && order[1] == VECTOR_MIDDLE, "lowering it lets them through");
}

// ---- Shadows
// ------------------------------------------------------------------------------------------

extern const char after_shadow[], after_mov_ss[], after_shadowed[];

static volatile bool trapped_after_mov_ss, trapped_after_shadowed;
static void note_step(struct trap* frame) {
  if (frame->rip == (uint64_t)after_mov_ss) trapped_after_mov_ss = true;
  if (frame->rip == (uint64_t)after_shadowed) trapped_after_shadowed = true;
}

static __attribute__((noinline, noclone)) void check_shadows(void) {
  set_handler(VECTOR_MIDDLE, note);
  reset_order();
  send_self(VECTOR_MIDDLE);
  __asm__ volatile("sti\ncli" : : : "memory");
  CHECK(arrived == 0, "STI then CLI lets no interrupt in");
  __asm__ volatile("sti\nnop\nafter_shadow: nop\ncli" : : : "memory");
  CHECK(arrived == 1 && last_rip == (uint64_t)after_shadow,
        "an interrupt is taken behind the instruction that follows STI");

  set_handler(VECTOR_DB, note_step);
  __asm__ volatile(
      "mov %%ss, %%ecx\n"
      "pushfq\n"
      "orq $0x100, (%%rsp)\n"
      "popfq\n"
      "mov %%ecx, %%ss\n"
      "after_mov_ss: nop\n"
      "after_shadowed: pushfq\n"
      "andq $~0x100, (%%rsp)\n"
      "popfq\n"
      :
      :
      : "rcx", "memory", "cc");
  set_handler(VECTOR_DB, 0);
  CHECK(!trapped_after_mov_ss && trapped_after_shadowed,
        "MOV SS holds back the single-step trap for one instruction");
}

// ---- NMI
// ----------------------------------------------------------------------------------------------

static volatile unsigned nmis, nmi_depth, nmi_deepest, nmis_before_iret;
static void on_nmi(struct trap* frame) {
  (void)frame;
  ++nmis;
  if (++nmi_depth > nmi_deepest) nmi_deepest = nmi_depth;
  if (nmis == 1) {
    for (int i = 0; i < 3; ++i) apic_send(ICR_ASSERT | ICR_NMI, apic_id());
    nmis_before_iret = nmis;
  }
  --nmi_depth;
}

static void check_nmi(void) {
  set_handler(VECTOR_NMI, on_nmi);
  nmis = nmi_deepest = nmis_before_iret = 0;
  apic_send(ICR_ASSERT | ICR_NMI, apic_id());
  __asm__ volatile("nop\nnop");
  CHECK(nmis >= 1, "an NMI comes although IF is 0");
  CHECK(nmis_before_iret == 1 && nmi_deepest == 1, "NMIs are blocked until IRET");
  CHECK_EQUAL(nmis, 2, "any number of NMIs that arrive meanwhile are one");
  set_handler(VECTOR_NMI, 0);
}

// ---- The timer
// ----------------------------------------------------------------------------------------

static volatile uint64_t ticks, tick_time[12];
static void on_tick(struct trap* frame) {
  (void)frame;
  if (ticks < 12) tick_time[ticks] = rdtsc();
  ++ticks;
  apic_eoi();
}

static void wait_ticks(uint64_t count) {
  while (ticks < count) sti_hlt_cli();
}

static void check_timer(void) {
  set_handler(VECTOR_TIMER, on_tick);
  apic_write(APIC_TIMER_DIVIDE, 0xb);  // by 1
  ticks = 0;
  apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
  uint64_t begin = rdtsc();
  apic_write(APIC_TIMER_INITIAL, 20000);
  wait_ticks(1);
  const uint64_t one_shot = tick_time[0] - begin;
  CHECK(ticks == 1 && apic_read(APIC_TIMER_CURRENT) == 0,
        "a one-shot timer wakes HLT once, ends at 0");
  begin = rdtsc();
  while (rdtsc() - begin < 3 * one_shot) pause();
  sti();
  __asm__ volatile("nop");
  cli();
  CHECK_EQUAL(ticks, 1, "and does not come again");

  apic_write(APIC_TIMER_DIVIDE, 0x0);  // by 2
  ticks = 0;
  begin = rdtsc();
  apic_write(APIC_TIMER_INITIAL, 20000);
  wait_ticks(1);
  const uint64_t halved = tick_time[0] - begin;
  CHECK(halved > one_shot + one_shot / 2 && halved < 3 * one_shot,
        "half the rate takes twice the time (%lu, %lu cycles)", one_shot, halved);
  apic_write(APIC_TIMER_DIVIDE, 0xb);

  ticks = 0;
  apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_PERIODIC);
  apic_write(APIC_TIMER_INITIAL, 20000);
  wait_ticks(10);
  apic_write(APIC_TIMER_INITIAL, 0);
  const uint64_t nine = tick_time[9] - tick_time[0];
  CHECK(nine > 8 * one_shot && nine < 10 * one_shot,
        "a periodic timer ticks at even distance (9 periods in %lu cycles)", nine);

  ticks = 0;
  apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_MASKED);
  apic_write(APIC_TIMER_INITIAL, 100);
  begin = rdtsc();
  while (rdtsc() - begin < 3 * one_shot) pause();
  sti();
  __asm__ volatile("nop");
  cli();
  CHECK(ticks == 0 && apic_read(APIC_TIMER_CURRENT) == 0,
        "a masked timer counts but does not interrupt");

  if ((cpuid(1, 0).ecx >> 24 & 1) == 0) {
    check_skip("TSC deadline");
    return;
  }
  apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_TSC_DEADLINE);
  __asm__ volatile("mfence");
  const uint64_t deadline = rdtsc() + 50000;
  wrmsr(MSR_TSC_DEADLINE, deadline);
  CHECK(rdmsr(MSR_TSC_DEADLINE) == deadline, "the TSC deadline reads back");
  wait_ticks(1);
  CHECK(tick_time[0] >= deadline && tick_time[0] < deadline + 20000,
        "a TSC deadline fires when the TSC has reached it (%lu cycles after)",
        tick_time[0] - deadline);
  CHECK_EQUAL(rdmsr(MSR_TSC_DEADLINE), 0, "and is disarmed");
  apic_write(APIC_LVT_TIMER, LVT_MASKED);
}

static void check_errors(void) {
  apic_write(APIC_ERROR, 0);
  apic_send(ICR_SELF | ICR_ASSERT | 5, 0);
  apic_write(APIC_ERROR, 0);
  CHECK((apic_read(APIC_ERROR) & 0x60) != 0, "a vector below 16 is an error in ESR");
  apic_write(APIC_ERROR, 0);
}

static void write_reserved_x2apic(void* unused) {
  (void)unused;
  wrmsr(0x80e, 0);  // no such register
}

void guest_main(void) {
  apic_start();
  check_priorities();
  check_shadows();
  check_nmi();
  check_timer();
  check_errors();
  if (!apic_has_x2apic()) {
    check_skip("x2APIC");
    return;
  }
  apic_use_x2apic();
  check_priorities();
  check_nmi();
  check_timer();
  reset_order();
  wrmsr(0x83f, VECTOR_LOW);
  sti();
  __asm__ volatile("nop");
  cli();
  CHECK(arrived == 1 && order[0] == VECTOR_LOW, "SELF IPI sends to this CPU");
  CHECK(expect_fault(VECTOR_GP, 0, write_reserved_x2apic, 0),
        "writing an x2APIC register that is not there raises #GP(0)");
}
