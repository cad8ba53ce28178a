// SPDX-License-Identifier: MIT
//
// CPUID and registers of PV perf: what is there, what each takes, and that each refusal leaves all
// registers as they were. "absent" on the command line: the machine offers none.
#include "offer.h"
#include "pmu/access.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

static unsigned physical_bits(void) {
  return cpuid(0x80000000, 0).eax >= 0x80000008 ? cpuid(0x80000008, 0).eax & 0xff : 36;
}

static void check_absent(void) {
  struct pvperf_info info;
  CHECK_EQUAL(pvperf_discover(&info), PVPERF_E_ABSENT, "there is no PV perf in CPUID");
  unsigned there = 0;
  for (uint32_t msr = 0x40005000; msr < 0x40005200; ++msr) there += !absent(msr);
  CHECK_EQUAL(there, 0, "and none of its registers");
  CHECK(rdpmc_refuses(PVPERF_RDPMC_BASE), "RDPMC does not know its events");
  const bool amd = pvperf_cpuid(0).ebx == 0x68747541;
  CHECK_EQUAL(pvperf_hypercall(amd, PVPERF_HYPERCALL, PVPERF_CALL_READ, 0, 0), PVPERF_CALL_ENOSYS,
              "nor is there a hypercall");
}

static void check_discovery(void) {
  CHECK(pv.cpuid_base % 0x100 == 0, "CPUID has it at 0x%x", pv.cpuid_base);
  CHECK(cpuid(1, 0).ecx >> 31 == 1, "and says that there is a hypervisor");
  const uint64_t cap = rdmsr(pv_msr(PVPERF_MSR_CAP));
  CHECK_EQUAL(cap & 0xffffffff, pv.features, "CAP has CPUID's features");
  CHECK_EQUAL(cap >> 32 & 0xff, pv.events, "number of events");
  CHECK_EQUAL(cap >> 40 & 0xff, pv.width, "width");
  CHECK_EQUAL(cap >> 48 & 0xff, pv.version & 0xffff, "minor");
  CHECK_EQUAL(cap >> 56, pv.version >> 16, "and major version");
  CHECK_EQUAL(pv.version, 0x10000, "which is 1.0");
  CHECK(cpuid(pv.cpuid_base + 1, 0).edx == 0 && cpuid(pv.cpuid_base + 2, 0).eax >> 24 == 0 &&
            cpuid(pv.cpuid_base + 3, 0).edx == 0,
        "what is reserved in CPUID is 0");
  CHECK_EQUAL(pv.features >> 13, 0, "so are unknown features");
  CHECK(pvperf_has(&pv, PVPERF_FEATURE_LVTPC), "interrupts go through LVTPC");
  CHECK(
      !pvperf_has(&pv, PVPERF_FEATURE_BREAKPOINT) && !pvperf_has(&pv, PVPERF_FEATURE_BRANCH_STACK),
      "there are no breakpoints, and no branch stacks");
  CHECK(!pvperf_has(&pv, PVPERF_FEATURE_BATCH) || pvperf_has(&pv, PVPERF_FEATURE_AREA),
        "BATCH comes with AREA");
  CHECK_EQUAL(pv.evtsel_bits, 0xf, "EVTSEL has USR, OS, EN and INT");
  CHECK_EQUAL(pv.events, option_number("events", 16), "%u events", pv.events);
  CHECK_EQUAL(pv.width, option_number("width", 48), "of %u bits", pv.width);
}

static void check_reset(void) {
  unsigned wrong = 0;
  for (unsigned r = PVPERF_MSR_GLOBAL_CTRL; r <= PVPERF_MSR_ERROR; ++r) {
    wrong += rdmsr(pv_msr((enum pvperf_msr)r)) != 0;
  }
  for (unsigned i = 0; i < pv.events; ++i) {
    for (unsigned r = PVPERF_BANK_EVTSEL; r <= PVPERF_BANK_STATE; ++r) {
      wrong += rdmsr(pv_bank(i, (enum pvperf_bank_msr)r)) != 0;
    }
  }
  CHECK_EQUAL(wrong, 0, "everything but CAP is 0 after reset");
}

static void check_what_is_not_there(void) {
  unsigned there = 0;
  for (uint32_t offset = 0x08; offset < 0x100; ++offset) there += !absent(pv.msr_base + offset);
  CHECK_EQUAL(there, 0, "there is nothing between BATCH and the banks");
  there = 0;
  for (unsigned i = 0; i < pv.events; ++i) {
    there += !absent(pv_bank(i, (enum pvperf_bank_msr)6));
    there += !absent(pv_bank(i, (enum pvperf_bank_msr)7));
  }
  CHECK_EQUAL(there, 0, "nor behind STATE in a bank");
  for (uint32_t offset = 0x100 + 8 * pv.events; offset < 0x200; ++offset) {
    there += !absent(pv.msr_base + offset);
  }
  CHECK_EQUAL(there, 0, "nor behind the last bank: event N = %u and on", pv.events);
  CHECK(absent(pv.msr_base - 1) && absent(pv.msr_base + 0x200) && absent(pv_bank(255, 0)),
        "nor before the first register, behind the last, or at event 255");
  CHECK(keeps(pv_bank(pv.events - 1, PVPERF_BANK_COUNT), 5), "event N - 1 is there");
  wrmsr(pv_bank(pv.events - 1, PVPERF_BANK_COUNT), 0);
}

static void check_read_only(void) {
  unsigned taken = 0;
  taken += !refuses(pv_msr(PVPERF_MSR_CAP), rdmsr(pv_msr(PVPERF_MSR_CAP)));
  taken += !refuses(pv_msr(PVPERF_MSR_CAP), 0);
  taken += !refuses(pv_msr(PVPERF_MSR_GLOBAL_STATUS), 0);
  taken += !refuses(pv_msr(PVPERF_MSR_GLOBAL_STATUS), 1);
  for (unsigned i = 0; i < pv.events; ++i) {
    taken += !refuses(pv_bank(i, PVPERF_BANK_STATE), 0);
    taken += !refuses(pv_bank(i, PVPERF_BANK_STATE), 1);
  }
  CHECK_EQUAL(taken, 0, "CAP, GLOBAL_STATUS and STATE cannot be written, not even what they are");
}

static unsigned taken_bits(uint32_t msr, uint64_t bits, uint64_t with) {
  unsigned taken = 0;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((bits >> bit & 1) != 0) taken += !refuses(msr, 1ULL << bit | with);
  }
  return taken;
}

/// Values that are not what reset left, in all registers that a guest writes.
static void fill(void) {
  pv_clear();
  for (unsigned i = 0; i < pv.events; ++i) {
    wrmsr(pv_bank(i, PVPERF_BANK_EVTSEL), pvperf_generic(i % 2 != 0 ? 1 : 0, PVPERF_USR));
    wrmsr(pv_bank(i, PVPERF_BANK_COUNT), 0x123400000000 + i);
    if (pvperf_has(&pv, PVPERF_FEATURE_AUTORELOAD)) {
      wrmsr(pv_bank(i, PVPERF_BANK_PERIOD), 0x7fff0000 + i);
    }
  }
  wrmsr(pv_msr(PVPERF_MSR_STATUS_SET), pv_all() & 0x55555555);
}

/// Each bit that must be zero alone, in registers and in commands that go into registers.
static void check_reserved_bits(void) {
  fill();
  const uint64_t before = pv_fingerprint(), absent_events = ~pv_all();
  const uint64_t above_width = ~pvperf_mask(&pv);
  const uint64_t status_reserved = absent_events & ~PVPERF_STATUS_HOST_TROUBLE;
  CHECK_EQUAL(taken_bits(pv_msr(PVPERF_MSR_AREA), 0xffe | ~0ULL << physical_bits(), 0), 0,
              "each reserved bit of AREA alone is refused");
  CHECK_EQUAL(taken_bits(pv_msr(PVPERF_MSR_AREA), 0xffe | ~0ULL << physical_bits(),
                         (uint64_t)&pv_pages[0] | 1),
              0, "also with a page");
  CHECK_EQUAL(taken_bits(pv_msr(PVPERF_MSR_GLOBAL_CTRL), absent_events, 0), 0, "of GLOBAL_CTRL");
  CHECK_EQUAL(taken_bits(pv_msr(PVPERF_MSR_STATUS_RESET), status_reserved, 0), 0,
              "of STATUS_RESET");
  CHECK_EQUAL(taken_bits(pv_msr(PVPERF_MSR_STATUS_SET), status_reserved, 0), 0, "of STATUS_SET");
  CHECK_EQUAL(taken_bits(pv_msr(PVPERF_MSR_STATUS_RESET), status_reserved, 1), 0,
              "and nothing is cleared beside it");
  CHECK_EQUAL(taken_bits(pv_msr(PVPERF_MSR_ERROR), ~0ULL, 0), 0, "of ERROR, which is all of it");
  const uint64_t batch_reserved = ~0ULL << 36 | (absent_events & 0xffffffff);
  CHECK_EQUAL(taken_bits(pv_msr(PVPERF_MSR_BATCH), batch_reserved, PVPERF_BATCH_START), 0,
              "of BATCH");
  unsigned taken = 0;
  for (unsigned i = 0; i < pv.events; ++i) {
    taken += taken_bits(pv_bank(i, PVPERF_BANK_EVTSEL), ~0ULL << 44, 0);
    taken += taken_bits(pv_bank(i, PVPERF_BANK_COUNT), above_width, 0);
    taken += taken_bits(pv_bank(i, PVPERF_BANK_PERIOD), above_width, 0);
  }
  CHECK_EQUAL(taken, 0, "of EVTSEL, COUNT and PERIOD of each event");
  CHECK_EQUAL(pv_fingerprint(), before, "and no register has changed");
}

static void check_evtsel(void) {
  const uint32_t evtsel = pv_bank(0, PVPERF_BANK_EVTSEL);
  const uint64_t before = pv_fingerprint();
  CHECK(refuses(evtsel, pvperf_evtsel(PVPERF_TYPE_BREAKPOINT, 0, PVPERF_USR)) &&
            refuses(evtsel, PVPERF_TYPE_BREAKPOINT),
        "type 4 is refused, enabled or not");
  unsigned taken = 0;
  for (unsigned type = 5; type < 256; ++type) {
    taken += !refuses(evtsel, pvperf_evtsel((enum pvperf_type)type, 0, 0));
  }
  CHECK_EQUAL(taken, 0, "so is every type that does not exist");
  static const struct {
    enum pvperf_type type;
    uint32_t code;
  } undefined[] = {
      {PVPERF_TYPE_GENERIC, 10},    {PVPERF_TYPE_GENERIC, 0x100}, {PVPERF_TYPE_GENERIC, 1u << 31},
      {PVPERF_TYPE_CACHE, 7},       {PVPERF_TYPE_CACHE, 3 << 8},  {PVPERF_TYPE_CACHE, 2 << 16},
      {PVPERF_TYPE_CACHE, 1 << 24}, {PVPERF_TYPE_SOFTWARE, 4},    {PVPERF_TYPE_SOFTWARE, 1u << 31},
      {PVPERF_TYPE_RAW, 1u << 30},  {PVPERF_TYPE_RAW, 1u << 31},
  };
  for (unsigned i = 0; i < sizeof undefined / sizeof *undefined; ++i) {
    taken += !refuses(evtsel, pvperf_evtsel(undefined[i].type, undefined[i].code, PVPERF_OS));
  }
  CHECK_EQUAL(taken, 0, "so are codes that no type has");
  CHECK_EQUAL(pv_fingerprint(), before, "and no register has changed");

  unsigned wrong = 0;
  for (unsigned code = 0; code < 10; ++code) {
    const bool there = (pv.generic_events >> code & 1) != 0;
    wrong += !keeps(evtsel, pvperf_generic((enum pvperf_generic_event)code, PVPERF_OS));
    const uint64_t state = rdmsr(pv_bank(0, PVPERF_BANK_STATE));
    wrong += (state >> 8 & 0xff) != (there ? PVPERF_OK : PVPERF_E_CODE);
    wrong += (state & PVPERF_STATE_NOT_STARTED) != (there ? 0 : PVPERF_STATE_NOT_STARTED);
  }
  CHECK_EQUAL(wrong, 0, "generic events are taken, and STATE says which are not there: 0x%x are",
              pv.generic_events);
  wrmsr(evtsel, 0);
  CHECK_EQUAL(rdmsr(pv_bank(0, PVPERF_BANK_STATE)), 0, "which is over with the event");
  wrmsr(pv_bank(0, PVPERF_BANK_COUNT), 0x1234);
  CHECK(keeps(evtsel, pvperf_generic(PVPERF_BRANCHES, 0)) &&
            rdmsr(pv_bank(0, PVPERF_BANK_COUNT)) == 0x1234,
        "writing EVTSEL keeps COUNT; neither USR nor OS is legal");
  wrmsr(evtsel, 0);
}

static void check_status_and_error(void) {
  pv_clear();
  const uint32_t status = pv_msr(PVPERF_MSR_GLOBAL_STATUS);
  const uint64_t all = pv_all() | PVPERF_STATUS_HOST_TROUBLE;
  wrmsr(pv_msr(PVPERF_MSR_STATUS_SET), 5 | PVPERF_STATUS_HOST_TROUBLE);
  wrmsr(pv_msr(PVPERF_MSR_STATUS_SET), 2);
  CHECK_EQUAL(rdmsr(status), 7 | PVPERF_STATUS_HOST_TROUBLE, "STATUS_SET sets what is 1");
  wrmsr(pv_msr(PVPERF_MSR_STATUS_RESET), 6);
  CHECK_EQUAL(rdmsr(status), 1 | PVPERF_STATUS_HOST_TROUBLE, "STATUS_RESET clears what is 1");
  CHECK(rdmsr(pv_msr(PVPERF_MSR_STATUS_SET)) == 0 && rdmsr(pv_msr(PVPERF_MSR_STATUS_RESET)) == 0 &&
            rdmsr(pv_msr(PVPERF_MSR_BATCH)) == 0,
        "both read as 0, as does BATCH");
  wrmsr(pv_msr(PVPERF_MSR_STATUS_SET), all);
  CHECK_EQUAL(rdmsr(status), all, "all of them can be set");
  wrmsr(pv_msr(PVPERF_MSR_STATUS_RESET), all);
  CHECK_EQUAL(rdmsr(status), 0, "and cleared");
  CHECK(becomes(pv_msr(PVPERF_MSR_ERROR), 0, 0), "0 can be written to ERROR");
  CHECK(keeps(pv_msr(PVPERF_MSR_GLOBAL_CTRL), pv_all()), "GLOBAL_CTRL keeps what it is given");
  pv_clear();
}

static void check_period(void) {
  const uint32_t period = pv_bank(1, PVPERF_BANK_PERIOD);
  if (!pvperf_has(&pv, PVPERF_FEATURE_AUTORELOAD)) {
    CHECK(refuses(period, 1) && refuses(period, 1000000) && keeps(period, 0),
          "without auto-reload PERIOD is 0");
    return;
  }
  const uint64_t minimum = pv.minimum_period;
  CHECK(keeps(period, pvperf_mask(&pv)) && keeps(period, minimum) && keeps(period, 0),
        "PERIOD takes 0, the minimum of %lu, and 2^W - 1", minimum);
  if (minimum > 1) {
    CHECK(refuses(period, minimum - 1) && refuses(period, 1), "but nothing between 0 and that");
  }
  const uint32_t count = pv_bank(1, PVPERF_BANK_COUNT);
  CHECK(keeps(count, pvperf_mask(&pv)) && keeps(count, 0), "COUNT takes 2^W - 1");
}

static void check_batch(void) {
  const uint32_t batch = pv_msr(PVPERF_MSR_BATCH);
  const uint64_t before = pv_fingerprint();
  CHECK(refuses(batch, 1), "BATCH without an operation is refused");
  CHECK(refuses(batch, PVPERF_BATCH_STOP | PVPERF_BATCH_START | 1), "STOP and START together, too");
  CHECK(refuses(batch, PVPERF_BATCH_LOAD | 1) && refuses(batch, PVPERF_BATCH_SNAP | 1),
        "and LOAD and SNAP without a page");
  CHECK_EQUAL(pv_fingerprint(), before, "and no register has changed");
}

void guest_main(void) {
  if (option_flag("absent")) {
    check_absent();
    return;
  }
  pv_start();
  check_discovery();
  check_reset();
  check_what_is_not_there();
  check_read_only();
  check_reserved_bits();
  check_evtsel();
  check_status_and_error();
  check_period();
  if (pvperf_has(&pv, PVPERF_FEATURE_BATCH)) {
    check_batch();
  } else {
    CHECK(refuses(pv_msr(PVPERF_MSR_BATCH), PVPERF_BATCH_START | 1), "there is no BATCH");
  }
}
