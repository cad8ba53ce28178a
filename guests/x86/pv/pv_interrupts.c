// SPDX-License-Identifier: MIT
//
// Overflows and their interrupts: LVTPC's masks and modes, several at once, auto-reload, sampling
// at even distance, waking HLT. "nmi" on the command line: as NMIs.
#include "methods.h"
#include "offer.h"
#include "pmu/measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60 };

static bool nmi;
static volatile unsigned pmis, spurious;
static volatile uint32_t lvt_in_handler, handled;
static volatile uint64_t status_in_page;
/// What the handler does: the driver's; only clear these bits; nothing but count.
static volatile enum { DRIVER, CLEAR_ONLY, NOTHING } mode;
static volatile uint64_t clear_only;
static volatile unsigned overflows[32];

static uint32_t lvt_open(void) {
  return nmi ? LVT_NMI : VECTOR_PMI;
}
static void unmask(void* unused) {
  (void)unused;
  apic_write(APIC_LVT_PERFORMANCE, lvt_open());
}
static void on_overflow(void* unused, unsigned i, const struct pvperf_value* value) {
  (void)unused;
  (void)value;
  ++overflows[i];
}

static void on_pmi(struct trap* frame) {
  (void)frame;
  ++pmis;
  lvt_in_handler = apic_read(APIC_LVT_PERFORMANCE);
  status_in_page = pv_pages[0].global_status;
  static const struct pvperf_pmi_calls calls = {on_overflow, unmask, 0};
  switch (mode) {
    case DRIVER:
      handled = pvperf_pmi(&pv_cpus[0], &calls);
      spurious += handled == 0;
      break;
    case CLEAR_ONLY:
      unmask(0);
      wrmsr(pv_msr(PVPERF_MSR_STATUS_RESET), clear_only);
      clear_only = pv_all();  // whatever is left, the next time
      break;
    case NOTHING: break;
  }
  if (!nmi) apic_eoi();
}

static void open_window(void) {
  sti();
  __asm__ volatile("nop");
  cli();
}

/// Nothing is pending, everything is off.
static void reset(void) {
  apic_write(APIC_LVT_PERFORMANCE, LVT_MASKED | lvt_open());
  mode = NOTHING;
  open_window();
  pv_clear();
  pv_start_cpu();
  pmis = spurious = handled = 0;
  for (unsigned i = 0; i < 32; ++i) overflows[i] = 0;
  mode = DRIVER;
  apic_write(APIC_LVT_PERFORMANCE, lvt_open());
}

static const uint64_t kernel = PVPERF_OS | PVPERF_INT;

/// Event i overflows after `after` instructions.
static void arm(unsigned i, uint64_t after, uint64_t flags) {
  pvperf_program(&pv, i, pvperf_generic(PVPERF_INSTRUCTIONS, flags), -after);
}
/// Runs the block with these events on.
static void run(uint64_t events) {
  const struct pv_by_msr by = {pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0, events, 0};
  sti();
  pv_block_by_msr(&by);
  cli();
}

static void check_masks(void) {
  const bool masks = !pv.amd;
  reset();
  arm(0, 100, kernel);
  run(1);
  CHECK(pmis == 1 && handled == 1 && overflows[0] == 1, "an overflow interrupts once");
  CHECK_EQUAL(status_in_page, 1, "the page has been written before the interrupt");
  CHECK_EQUAL((lvt_in_handler & LVT_MASKED) != 0, masks,
              masks ? "a PMI masks LVTPC" : "a PMI leaves LVTPC as it is");
  CHECK_EQUAL(rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)), 0, "the driver acknowledges");

  reset();
  arm(0, 100, PVPERF_OS);
  run(1);
  CHECK(pmis == 0 && rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)) == 1,
        "without INT there is only a bit in GLOBAL_STATUS");

  reset();
  apic_write(APIC_LVT_PERFORMANCE, LVT_MASKED | lvt_open());
  arm(0, 100, kernel);
  run(1);
  CHECK(pmis == 0 && rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)) == 1,
        "with LVTPC masked there is none, either");
  unmask(0);
  open_window();
  CHECK_EQUAL(pmis, 0, "it does not come when LVTPC is unmasked");
  wrmsr(pv_msr(PVPERF_MSR_STATUS_RESET), 2);
  open_window();
  CHECK(pmis == 1 && overflows[0] == 1,
        "it comes, once, when another bit is reset, which looks at all of them again");
  wrmsr(pv_msr(PVPERF_MSR_STATUS_RESET), 2);
  open_window();
  CHECK_EQUAL(pmis, 1, "and not again, since it has been acknowledged");

  reset();
  arm(0, 100, kernel);
  wrmsr(pv_msr(PVPERF_MSR_STATUS_SET), 1);
  open_window();
  CHECK_EQUAL(pmis, 0, "STATUS_SET raises nothing");
  run(1);
  CHECK_EQUAL(pmis, 0, "nor does an overflow of an event whose bit is set already");
}

static void check_modes(void) {
  static const uint32_t modes[] = {2 << 8, 5 << 8, 7 << 8};  // SMI, INIT, ExtINT
  unsigned wrong = 0;
  for (unsigned m = 0; m < 3; ++m) {
    reset();
    apic_write(APIC_LVT_PERFORMANCE, modes[m]);
    arm(2, 100, kernel);
    run(4);
    wrong += pmis != 0 || rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)) != 4;
    wrong += (rdmsr(pv_msr(PVPERF_MSR_ERROR)) & 0xff) != PVPERF_E_LVT;
  }
  CHECK_EQUAL(wrong, 0, "SMI, INIT and ExtINT are dropped, and ERROR is E_LVT");
}

static void check_several(void) {
  reset();
  for (unsigned i = 0; i < 4; ++i) arm(i, 100, kernel);
  run(0xf);
  CHECK(pmis == 1 && handled == 0xf, "four that overflow with one instruction are one interrupt");

  reset();
  arm(0, 100, kernel);
  arm(1, 100, kernel);
  mode = CLEAR_ONLY;
  clear_only = 1;
  run(3);
  open_window();
  CHECK_EQUAL(pmis, 2, "a handler that clears one of two is called again for the other");
  CHECK_EQUAL(rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)), 0, "and no more when both are cleared");

  reset();
  arm(0, 100, kernel);
  arm(1, 400, kernel);
  mode = NOTHING;
  run(3);
  CHECK_EQUAL(pmis, pv.amd ? 2 : 1, "the second overflow meets the mask of the first, if any");
  unmask(0);
  mode = DRIVER;
  wrmsr(pv_msr(PVPERF_MSR_STATUS_RESET), 1);
  open_window();
  CHECK(handled == 2 && rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)) == 0,
        "and is delivered when the first is acknowledged");
}

static void check_reload(void) {
  if (!pvperf_has(&pv, PVPERF_FEATURE_AUTORELOAD)) {
    check_skip("auto-reload");
    return;
  }
  reset();
  arm(0, 100, PVPERF_OS);
  pvperf_set_period(&pv, 0, 1000);
  arm(1, 100, PVPERF_OS);
  run(3);
  const uint64_t plain = pvperf_read_register(&pv, 1);
  CHECK_EQUAL(plain, PV_MSR_INSTRUCTIONS - 100, "without PERIOD it goes on from 0");
  CHECK_EQUAL(pvperf_read_register(&pv, 0), (plain - 1000) & pvperf_mask(&pv),
              "with PERIOD from 2^W - PERIOD, plus what is past the wrap");
  reset();
  arm(0, 7, PVPERF_OS);
  pvperf_set_period(&pv, 0, 50);
  run(1);
  CHECK_EQUAL(pvperf_read_register(&pv, 0),
              ((PV_MSR_INSTRUCTIONS - 7) % 50 - 50) & pvperf_mask(&pv), "as often as that is");
  CHECK_EQUAL(rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)), 1, "in one bit");
}

/// User mode is sampled, so that the handler does not count.
static void check_sampling(bool reloads) {
  static const uint64_t periods[] = {200, 333, 1000, 9999};
  const uint32_t features = pv.features;
  if (!reloads) pv.features &= ~(uint32_t)PVPERF_FEATURE_AUTORELOAD;  // the driver does it then
  unsigned wrong = 0;
  for (unsigned p = 0; p < sizeof periods / sizeof *periods; ++p) {
    const uint64_t period = periods[p];
    reset();
    struct pvperf_cpu* cpu = &pv_cpus[0];
    pvperf_command(cpu, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_USR | PVPERF_INT), 0, period);
    pvperf_command(cpu, 1, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_USR), 0, 0);
    wrong += pvperf_start(cpu, 3, 0) != PVPERF_OK;
    run_user((struct user_entry){.rip = (uint64_t)user_branch_loop, .rdi = 10000});
    wrong += pvperf_stop(cpu, 3) != PVPERF_OK;
    open_window();
    struct pvperf_value sampled, all;
    pvperf_read(cpu, 0, &sampled);
    pvperf_read(cpu, 1, &all);
    const uint64_t rest = (sampled.count + period) & pvperf_mask(&pv);
    const uint64_t expected = 2 * 10000 + 1;
    if (overflows[0] * period + rest != expected || all.count != expected || spurious != 0) {
      ++wrong;
      print("      (period %lu: %u samples, %lu left, %lu counted, %u spurious)\n", period,
            overflows[0], rest, all.count, spurious);
    }
  }
  pv.features = features;
  CHECK_EQUAL(wrong, 0,
              "samples times period plus the rest is what user mode executed (%s reloads)",
              reloads ? "the host" : "the driver");
}

static void check_halt(void) {
  if (nmi) return;
  reset();
  arm(0, 3, kernel);
  halt_once((struct pmu_switch){1, pv_msr(PVPERF_MSR_GLOBAL_CTRL)});
  CHECK_EQUAL(pmis, 1, "the overflow of a HLT wakes the CPU");
  reset();
  arm(0, 2, kernel);
  halt_once((struct pmu_switch){1, pv_msr(PVPERF_MSR_GLOBAL_CTRL)});
  CHECK_EQUAL(pmis, 1, "so does one that was pending when it halted");
}

static void check_called_event(void) {
  if (!pvperf_has(&pv, PVPERF_FEATURE_HYPERCALLS)) return;
  static struct pvperf_call_attr attr;
  static struct pvperf_call_event event;
  static struct pvperf_call_param param;
  reset();
  attr = (struct pvperf_call_attr){
      .type = PVPERF_TYPE_GENERIC,
      .config = PVPERF_INSTRUCTIONS,
      .sample_period = pvperf_has(&pv, PVPERF_FEATURE_AUTORELOAD) ? 300 : 0,
      .flags = PVPERF_CALL_INTERRUPT | PVPERF_CALL_EXCLUDE_USER};
  param = (struct pvperf_call_param){
      .attr_addr = (uint64_t)&attr, .event_addr = (uint64_t)&event, .id = 3};
  if (attr.sample_period == 0) return;
  CHECK_EQUAL(pvperf_call_open(&pv, (uint64_t)&param), 0, "an event is opened by call, to sample");
  mode = NOTHING;
  const struct pv_by_call by = {PVPERF_CALL_ENABLE, PVPERF_CALL_DISABLE, 3, pv.amd};
  sti();
  CHECK_EQUAL(pv_block_by_call(&by), 0, "enabled and disabled");
  cli();
  CHECK(pmis >= 1 && (event.status & PVPERF_CALL_OVERFLOWED) != 0,
        "its overflow interrupts, and is in its structure");
  unmask(0);
  const unsigned before = pmis;
  const int enabled = pvperf_call_enable(&pv, 3), disabled = pvperf_call_disable(&pv, 3);
  CHECK(enabled == 0 && disabled == 0 && (rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)) & 8) == 0,
        "ENABLE acknowledges it");
  open_window();
  CHECK_EQUAL(pmis, before, "and there is no interrupt more");
  CHECK_EQUAL(pvperf_call_close(&pv, 3), 0, "it is closed");
}

void guest_main(void) {
  nmi = option_flag("nmi");
  pv_start();
  if (!pvperf_has(&pv, PVPERF_FEATURE_AREA) || !pvperf_has(&pv, PVPERF_FEATURE_BATCH)) {
    panic("this guest needs the page and BATCH");
  }
  set_handler(nmi ? VECTOR_NMI : VECTOR_PMI, on_pmi);
  if (option_flag("x2apic")) apic_use_x2apic();
  apic_start();
  check_masks();
  check_modes();
  check_several();
  check_reload();
  check_sampling(true);
  check_sampling(false);
  check_halt();
  check_called_event();
}
