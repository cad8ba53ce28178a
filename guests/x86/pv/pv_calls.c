// SPDX-License-Identifier: MIT
//
// Hypercalls: what each bad input is answered, that nothing changes then, who may call, and that
// calls and registers are two views of the same events.
#include "offer.h"
#include "raw_calls.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static struct pvperf_call_attr attr;
static struct pvperf_call_event event;
static struct pvperf_call_param param;
/// Two pages, for structures that cross from one to the other.
static char two_pages[8192] __attribute__((aligned(4096)));

enum { ID = 2 };

static void good(void) {
  attr = (struct pvperf_call_attr){.type = PVPERF_TYPE_GENERIC,
                                   .config = PVPERF_INSTRUCTIONS,
                                   .flags = PVPERF_CALL_EXCLUDE_USER};
  param = (struct pvperf_call_param){
      .attr_addr = (uint64_t)&attr, .event_addr = (uint64_t)&event, .id = ID};
}
static int open(void) {
  return pvperf_call_open(&pv, (uint64_t)&param);
}
/// OPEN is answered `error`, and nothing has changed.
static bool open_fails(int error) {
  const uint64_t before = pv_fingerprint();
  event.status = 0x5555;
  const int result = open();
  const bool as_it_was = pv_fingerprint() == before && event.status == 0x5555;
  if (result == 0) pvperf_call_close(&pv, param.id % 32);
  if (result == error && as_it_was) return true;
  print("      (%s, registers %s)\n", pvperf_call_error_name(result),
        as_it_was ? "as they were" : "changed");
  return false;
}

static void check_attr(void) {
  unsigned wrong = 0;
#define REFUSED(change, error) (good(), change, wrong += !open_fails(error))
  REFUSED(attr.pad = 1, PVPERF_CALL_EINVAL);
  REFUSED(attr.pad = 1u << 31, PVPERF_CALL_EINVAL);
  REFUSED(attr.reserved = 1, PVPERF_CALL_EINVAL);
  REFUSED(attr.reserved = 1ULL << 63, PVPERF_CALL_EINVAL);
  REFUSED(param.flags = 1, PVPERF_CALL_EINVAL);
  REFUSED(param.flags = 1u << 31, PVPERF_CALL_EINVAL);
  REFUSED(param.reserved = 1, PVPERF_CALL_EINVAL);
  REFUSED(param.reserved = 1ULL << 63, PVPERF_CALL_EINVAL);
  for (unsigned bit = 2; bit < 64; ++bit)
    REFUSED(attr.read_format = 1ULL << bit, PVPERF_CALL_EINVAL);
  for (unsigned bit = 3; bit < 64; ++bit) REFUSED(attr.flags = 1ULL << bit, PVPERF_CALL_EINVAL);
  CHECK_EQUAL(wrong, 0, "pads, reserved words and unknown flags must be 0");
  REFUSED(attr.type = 4, PVPERF_CALL_EOPNOTSUPP);
  CHECK_EQUAL(wrong, 0, "there are no breakpoints");
  REFUSED(attr.type = 5, PVPERF_CALL_EINVAL);
  REFUSED(attr.type = 256, PVPERF_CALL_EINVAL);
  REFUSED(attr.type = 1u << 31, PVPERF_CALL_EINVAL);
  REFUSED(attr.config = 10, PVPERF_CALL_EINVAL);
  REFUSED(attr.config = 1ULL << 32, PVPERF_CALL_EINVAL);
  REFUSED(attr.config = 1ULL << 63 | 1, PVPERF_CALL_EINVAL);
  REFUSED((attr.type = 1, attr.config = 7), PVPERF_CALL_EINVAL);
  REFUSED((attr.type = 3, attr.config = 4), PVPERF_CALL_EINVAL);
  CHECK_EQUAL(wrong, 0, "nor types and codes that are not defined");
  if (pvperf_has(&pv, PVPERF_FEATURE_RAW)) {
    REFUSED((attr.type = 2, attr.config = 1ULL << 30), PVPERF_CALL_EINVAL);
  } else {
    REFUSED((attr.type = 2, attr.config = 0xc0), PVPERF_CALL_EOPNOTSUPP);
  }
  CHECK_EQUAL(wrong, 0, "raw events are as they are offered");
  if (pvperf_has(&pv, PVPERF_FEATURE_AUTORELOAD)) {
    for (unsigned bit = pv.width; bit < 64; ++bit) {
      REFUSED(attr.sample_period = 1ULL << bit, PVPERF_CALL_EINVAL);
    }
    if (pv.minimum_period > 1) REFUSED(attr.sample_period = 1, PVPERF_CALL_EINVAL);
  } else {
    REFUSED(attr.sample_period = 100000, PVPERF_CALL_EOPNOTSUPP);
  }
  CHECK_EQUAL(wrong, 0, "and so are periods");
  REFUSED(param.id = pv.events, PVPERF_CALL_EINVAL);
  REFUSED(param.id = 255, PVPERF_CALL_EINVAL);
  REFUSED(param.id = ~0u, PVPERF_CALL_EINVAL);
  CHECK_EQUAL(wrong, 0, "ids are below %u", pv.events);
}

static void check_addresses(void) {
  unsigned wrong = 0;
  for (unsigned by = 1; by < 8; ++by) {
    REFUSED(param.attr_addr += by, PVPERF_CALL_EINVAL);
    REFUSED(param.event_addr += by, PVPERF_CALL_EINVAL);
    good();
    wrong += pvperf_call_open(&pv, (uint64_t)&param + by) != PVPERF_CALL_EINVAL;
  }
  CHECK_EQUAL(wrong, 0, "addresses are multiples of 8");
  const uint64_t border = (uint64_t)two_pages + 4096;
  REFUSED(param.attr_addr = border - 40, PVPERF_CALL_EFAULT);
  REFUSED(param.event_addr = border - 24, PVPERF_CALL_EFAULT);
  wrong += pvperf_call_open(&pv, border - 24) != PVPERF_CALL_EFAULT;
  CHECK_EQUAL(wrong, 0, "structures cross no page");
  static const uint64_t no_ram[] = {0xfee00000, 0xfec00000,         0xd0000000,
                                    0xfffffff8, 1ULL << 45,         1ULL << 60,
                                    ~7ULL,      0xfffffffffffff000, 0x8000000000000000};
  for (unsigned i = 0; i < sizeof no_ram / sizeof *no_ram; ++i) {
    REFUSED(param.attr_addr = no_ram[i], PVPERF_CALL_EFAULT);
    REFUSED(param.event_addr = no_ram[i], PVPERF_CALL_EFAULT);
    wrong += pvperf_call_open(&pv, no_ram[i]) != PVPERF_CALL_EFAULT;
  }
  CHECK_EQUAL(wrong, 0, "and are in RAM");
  good();
  // Right up to the border is fine.
  __builtin_memcpy(two_pages + 4096 - sizeof attr, &attr, sizeof attr);
  param.attr_addr = border - sizeof attr;
  param.event_addr = border;
  CHECK_EQUAL(open(), 0, "at either side of a border they are right");
  CHECK_EQUAL(pvperf_call_close(&pv, ID), 0, "and can be closed");
}

static int64_t raw(uint64_t rax, uint64_t rbx, uint64_t rcx, uint64_t rdx) {
  struct raw_call call = {rax, rbx, rcx, rdx, 0};
  (pv.amd ? raw_vmmcall : raw_vmcall)(&call);
  return (int64_t)call.rax;
}

static void check_operations(void) {
  unsigned wrong = 0;
  static const uint64_t unknown[] = {0, 6, 100, 1ULL << 31, 1ULL << 32, (1ULL << 32) + 1, ~0ULL};
  for (unsigned i = 0; i < sizeof unknown / sizeof *unknown; ++i) {
    wrong += raw(PVPERF_HYPERCALL, unknown[i], 0, 0) != PVPERF_CALL_EOPNOTSUPP;
  }
  CHECK_EQUAL(wrong, 0, "unknown operations are EOPNOTSUPP");
  static const uint64_t numbers[] = {0, 1, 3, 0x564f, 0x5651, 1ULL << 32 | PVPERF_HYPERCALL, ~0ULL};
  for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
    wrong += raw(numbers[i], PVPERF_CALL_READ, 0, 0) != PVPERF_CALL_ENOSYS;
  }
  CHECK_EQUAL(wrong, 0, "other numbers are ENOSYS");
  for (uint64_t op = PVPERF_CALL_CLOSE; op <= PVPERF_CALL_READ; ++op) {
    wrong += raw(PVPERF_HYPERCALL, op, ID, 0) != PVPERF_CALL_EINVAL;
    wrong += raw(PVPERF_HYPERCALL, op, pv.events, 0) != PVPERF_CALL_EINVAL;
    wrong += raw(PVPERF_HYPERCALL, op, ~0ULL, 0) != PVPERF_CALL_EINVAL;
    wrong += raw(PVPERF_HYPERCALL, op, 1ULL << 32, 0) != PVPERF_CALL_EINVAL;
  }
  CHECK_EQUAL(wrong, 0, "ids that are not open are EINVAL");
  good();
  const uint64_t at = (uint64_t)&param;
  wrong += raw(PVPERF_HYPERCALL, PVPERF_CALL_OPEN, at | 1ULL << 32, 0) != PVPERF_CALL_EINVAL;
  wrong += raw(PVPERF_HYPERCALL, PVPERF_CALL_OPEN, at, 1ULL << 32) != PVPERF_CALL_EINVAL;
  CHECK_EQUAL(wrong, 0, "the halves of an address have 32 bits");
  CHECK_EQUAL(open(), 0, "an id can be opened");
  CHECK_EQUAL(open(), PVPERF_CALL_EINVAL, "but not twice");
  CHECK_EQUAL(raw(PVPERF_HYPERCALL, PVPERF_CALL_READ, 1ULL << 32 | ID, 0), PVPERF_CALL_EINVAL,
              "an id has 64 bits here");
  CHECK(pvperf_call_close(&pv, ID) == 0 && pvperf_call_close(&pv, ID) == PVPERF_CALL_EINVAL,
        "it is closed once");

  struct raw_call call = {PVPERF_HYPERCALL, PVPERF_CALL_READ, 0x1234567890abcdef,
                          0xfedcba0987654321, 0x1122334455667788};
  (pv.amd ? raw_vmmcall : raw_vmcall)(&call);
  CHECK(call.rbx == PVPERF_CALL_READ && call.rcx == 0x1234567890abcdef &&
            call.rdx == 0xfedcba0987654321 && call.rsi == 0x1122334455667788,
        "only RAX is changed");
}

static void do_raw(void* instruction) {
  struct raw_call call = {PVPERF_HYPERCALL, PVPERF_CALL_READ, 0, 0, 0};
  ((void (*)(struct raw_call*))instruction)(&call);
}

static void check_callers(void) {
  CHECK(expect_fault(VECTOR_UD, 0, do_raw, (void*)(pv.amd ? raw_vmcall : raw_vmmcall)),
        "the other vendor's instruction is #UD");
  good();
  CHECK_EQUAL(open(), 0, "an event is open");
  const uint64_t before = pv_fingerprint();
  struct trap trap =
      run_user((struct user_entry){.rip = (uint64_t)(pv.amd ? user_vmmcall : user_vmcall),
                                   .rdi = PVPERF_HYPERCALL,
                                   .rsi = PVPERF_CALL_ENABLE,
                                   .rdx = ID});
  CHECK(trap.vector == VECTOR_USER_EXIT && (int64_t)trap.rax == PVPERF_CALL_EPERM,
        "user mode is answered EPERM");
  trap = run_user((struct user_entry){.rip = (uint64_t)(pv.amd ? user_vmmcall : user_vmcall),
                                      .rdi = 0x999,
                                      .rsi = PVPERF_CALL_ENABLE,
                                      .rdx = ID});
  CHECK_EQUAL((int64_t)trap.rax, PVPERF_CALL_EPERM, "whatever it calls");
  trap = run_user((struct user_entry){.rip = (uint64_t)(pv.amd ? user_vmcall : user_vmmcall),
                                      .rdi = PVPERF_HYPERCALL,
                                      .rsi = PVPERF_CALL_ENABLE,
                                      .rdx = ID});
  CHECK_EQUAL(trap.vector, VECTOR_UD, "by the other vendor's instruction it gets #UD");
  CHECK_EQUAL(pv_fingerprint(), before, "and nothing has changed");
  pvperf_call_close(&pv, ID);
}

static void check_registers_behind(void) {
  pv_clear();
  const uint64_t mask = pvperf_mask(&pv);
  good();
  attr.flags = PVPERF_CALL_EXCLUDE_KERNEL | PVPERF_CALL_INTERRUPT;
  attr.config = PVPERF_BRANCHES;
  const bool reload = pvperf_has(&pv, PVPERF_FEATURE_AUTORELOAD);
  if (reload) attr.sample_period = 1000000;
  wrmsr(pv_bank(ID, PVPERF_BANK_COUNT), 5);
  wrmsr(pv_bank(ID, PVPERF_BANK_TIME_EN), 5);
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), pv_all());
  wrmsr(pv_msr(PVPERF_MSR_STATUS_SET), pv_all());
  event.count = event.status = 0x777;
  CHECK_EQUAL(open(), 0, "OPEN");
  CHECK_EQUAL(rdmsr(pv_bank(ID, PVPERF_BANK_EVTSEL)),
              pvperf_generic(PVPERF_BRANCHES, PVPERF_USR | PVPERF_INT), "sets EVTSEL");
  CHECK_EQUAL(rdmsr(pv_bank(ID, PVPERF_BANK_PERIOD)), attr.sample_period, "PERIOD");
  CHECK_EQUAL(rdmsr(pv_bank(ID, PVPERF_BANK_COUNT)), -attr.sample_period & mask, "COUNT");
  CHECK(
      rdmsr(pv_bank(ID, PVPERF_BANK_TIME_EN)) == 0 && rdmsr(pv_bank(ID, PVPERF_BANK_TIME_RUN)) == 0,
      "the times");
  CHECK_EQUAL(rdmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL)), pv_all() & ~(1ULL << ID), "GLOBAL_CTRL");
  CHECK_EQUAL(rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)), pv_all() & ~(1ULL << ID),
              "and GLOBAL_STATUS, of that event only");
  CHECK(event.count == (-attr.sample_period & mask) && event.status == 0 &&
            event.time_enabled == 0 && event.time_running == 0,
        "the structure is written");
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0);
  wrmsr(pv_msr(PVPERF_MSR_STATUS_RESET), pv_all());
  wrmsr(pv_bank(ID, PVPERF_BANK_COUNT), 4321);
  CHECK(pvperf_call_read(&pv, ID) == 0 && event.count == 4321,
        "READ sees what was written to a register");
  wrmsr(pv_msr(PVPERF_MSR_STATUS_SET), 1 << ID);
  CHECK(pvperf_call_read(&pv, ID) == 0 && (event.status & PVPERF_CALL_OVERFLOWED) != 0 &&
            rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)) == 1 << ID,
        "and the event's bit of GLOBAL_STATUS, which it leaves");
  CHECK(pvperf_call_enable(&pv, ID) == 0 && rdmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL)) == 1 << ID &&
            rdmsr(pv_msr(PVPERF_MSR_GLOBAL_STATUS)) == 0,
        "ENABLE sets GLOBAL_CTRL, and clears that bit");
  CHECK(pvperf_call_disable(&pv, ID) == 0 && rdmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL)) == 0,
        "DISABLE clears GLOBAL_CTRL");
  CHECK(event.count == 4321 && event.time_enabled == 0 && event.time_running == 0,
        "times that were not asked for are 0");
  CHECK(pvperf_call_close(&pv, ID) == 0 && rdmsr(pv_bank(ID, PVPERF_BANK_EVTSEL)) == 0 &&
            rdmsr(pv_bank(ID, PVPERF_BANK_COUNT)) == 0 &&
            rdmsr(pv_bank(ID, PVPERF_BANK_PERIOD)) == 0,
        "CLOSE leaves zeroes");
  event.count = 99;
  wrmsr(pv_bank(ID, PVPERF_BANK_EVTSEL), pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS));
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 1 << ID);
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0);
  CHECK_EQUAL(event.count, 99, "and the structure alone from then on");
  pv_clear();
}

/// What is absent is taken, and shown in status.
static void check_absent_event(void) {
  for (unsigned code = 0; code < 10; ++code) {
    if ((pv.generic_events >> code & 1) != 0) continue;
    good();
    attr.config = code;
    CHECK(open() == 0 && (event.status >> 8 & 0xff) == PVPERF_E_CODE &&
              (event.status & PVPERF_STATE_NOT_STARTED) != 0,
          "an event that this host lacks is opened, and its status says so");
    pvperf_call_close(&pv, ID);
    return;
  }
  check_skip("an event that this host lacks");
}

void guest_main(void) {
  pv_start();
  if (!pvperf_has(&pv, PVPERF_FEATURE_HYPERCALLS)) panic("this guest needs hypercalls");
  check_attr();
  check_addresses();
  check_operations();
  check_callers();
  check_registers_behind();
  check_absent_event();
}
