// SPDX-License-Identifier: MIT
//
// The driver in a 32-bit kernel: the same page, registers and calls, through code of 32 bits.
#include "pvperf/pvperf.h"
#include "runtime32/runtime32.h"

enum { INSTRUCTIONS = 1 + 1 + 200 + 3, BRANCHES = 100, LVTPC = 0x340 };
void block32(uint32_t msr, uint64_t start, uint64_t stop);

static struct pvperf_info info;
static struct pvperf_cpu cpu;
static struct pvperf_page page;

static void check_offer(void) {
  check32_equal(pvperf_discover(&info), PVPERF_OK, "a 32-bit guest finds PV perf");
  check32(info.version == 0x10000 && info.events == 16 && info.width == 48,
          "version 1.0, 16 events of 48 bits");
  check32_equal(pvperf_rdmsr(pvperf_msr(&info, PVPERF_MSR_CAP)) & 0xffffffff, info.features,
                "CAP agrees");
  check32_equal(pvperf_cpu_start(&cpu, &info, &page, (uintptr_t)&page), PVPERF_OK,
                "it gets a page");
  check32_equal(page.abi, info.version, "which has been written");
}

static void check_batch(void) {
  pvperf_command(&cpu, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 0, 0);
  pvperf_command(&cpu, 1, pvperf_generic(PVPERF_BRANCHES, PVPERF_OS), 0x123456789abc, 0);
  block32(pvperf_msr(&info, PVPERF_MSR_BATCH), PVPERF_BATCH_LOAD | PVPERF_BATCH_START | 3,
          PVPERF_BATCH_STOP | 3);
  struct pvperf_value values[2];
  uint64_t status;
  check32(pvperf_page_read_all(&page, 2, values, &status) && status == 0, "the page can be read");
  check32_equal(values[0].count, INSTRUCTIONS, "instructions are counted exactly");
  check32_equal(values[1].count, 0x123456789abc + BRANCHES, "and branches, from any count on");
  check32(values[0].time_running != 0 && values[0].time_running == values[0].time_enabled,
          "with the time that they ran");
  check32_equal(pvperf_read_register(&info, 1), values[1].count, "the register has the same");
  check32_equal(pvperf_read_rdpmc(1), values[1].count, "so has RDPMC");
  check32_equal(pvperf_read_exact(&cpu, 0), values[0].count, "and what is best");

  unsigned refused = 0;
  pvperf_command(&cpu, 0, pvperf_generic(PVPERF_CYCLES, PVPERF_OS), 0, 0);
  pvperf_command(&cpu, 1, pvperf_evtsel(PVPERF_TYPE_BREAKPOINT, 0, PVPERF_OS), 0, 0);
  check32(pvperf_start(&cpu, 3, &refused) == PVPERF_E_TYPE && refused == 1,
          "a batch with a breakpoint is refused, by name");
  check32_equal(pvperf_rdmsr(pvperf_bank_msr(&info, 0, PVPERF_BANK_EVTSEL)),
                pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), "and nothing of it is in effect");
}

static void check_registers(void) {
  pvperf_program(&info, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 7);
  block32(pvperf_msr(&info, PVPERF_MSR_GLOBAL_CTRL), 1, 0);
  check32_equal(pvperf_read_register(&info, 0), 7 + INSTRUCTIONS, "registers count the same");
}

static struct pvperf_call_attr attr;
static struct pvperf_call_event event;
static struct pvperf_call_param param;

static void other_vendors_call(void) {
  pvperf_hypercall(!info.amd, PVPERF_HYPERCALL, PVPERF_CALL_READ, 0, 0);
}

static void check_calls(void) {
  attr.type = PVPERF_TYPE_GENERIC;
  attr.config = PVPERF_INSTRUCTIONS;
  attr.flags = PVPERF_CALL_EXCLUDE_USER;
  attr.read_format = PVPERF_CALL_TIME_ENABLED;
  param.attr_addr = (uintptr_t)&attr;
  param.event_addr = (uintptr_t)&event;
  param.id = 4;
  const uintptr_t at = (uintptr_t)&param;
  check32_equal((uint32_t)pvperf_call_read(&info, 4), (uint32_t)PVPERF_CALL_EINVAL,
                "an event that is not open cannot be read");
  check32_equal((uint32_t)pvperf_call_open(&info, at), 0, "it can be opened");
  check32_equal((uint32_t)pvperf_call_open(&info, at), (uint32_t)PVPERF_CALL_EINVAL, "once");
  check32_equal((uint32_t)pvperf_call_enable(&info, 4), 0, "enabled");
  for (volatile unsigned i = 0; i < 100; ++i) {
  }
  check32_equal((uint32_t)pvperf_call_disable(&info, 4), 0, "and disabled");
  check32(event.count > 300 && event.count < 3000, "it has counted the loop between");
  check32_equal(event.count, pvperf_read_register(&info, 4), "as the register says");
  check32(event.time_enabled != 0 && event.time_running == 0, "with the time that was asked for");
  check32_equal((uint32_t)pvperf_call_read(&info, 4), 0, "it can be read");
  check32_equal((uint32_t)pvperf_call_close(&info, 4), 0, "and closed");
  check32_equal((uint32_t)pvperf_call_open(&info, 0x100000000), (uint32_t)PVPERF_CALL_EFAULT,
                "an address above 4 GiB is passed in full, and is no RAM here");
  check32_equal((uint32_t)pvperf_hypercall(info.amd, 0x5651, 5, 0, 0), (uint32_t)-1000,
                "other numbers are ENOSYS in 32 bits");
  check32_equal(faults32(other_vendors_call), FAULT_UD32, "the other vendor's call is #UD");
}

static unsigned samples, interrupts;
static void unmask(void* unused) {
  (void)unused;
  apic32_write(LVTPC, VECTOR_INTERRUPT32);
}
static void on_overflow(void* unused, unsigned i, const struct pvperf_value* value) {
  (void)unused;
  (void)value;
  samples += i == 2;
}
static void on_interrupt(void) {
  static const struct pvperf_pmi_calls calls = {on_overflow, unmask, 0};
  ++interrupts;
  pvperf_pmi(&cpu, &calls);
}

static void check_interrupt(void) {
  interrupt_handler32 = on_interrupt;
  apic32_start();
  unmask(0);
  pvperf_command(&cpu, 2, pvperf_generic(PVPERF_BRANCHES, PVPERF_OS | PVPERF_INT), 0, 60);
  block32(pvperf_msr(&info, PVPERF_MSR_BATCH), PVPERF_BATCH_LOAD | PVPERF_BATCH_START | 4,
          PVPERF_BATCH_STOP | 4);
  check32_equal(samples, 0, "with interrupts off an overflow waits");
  interrupts32();
  check32(samples == 1 && interrupts == 1, "and comes once");
  struct pvperf_value value;
  pvperf_read(&cpu, 2, &value);
  check32_equal(value.count, pvperf_mask(&info) + 1 - 60 + BRANCHES - 60,
                "the host has reloaded the counter");
}

static struct pvperf_task task;
static void check_task(void) {
  pvperf_task_start(&task);
  pvperf_task_add(&task, &cpu, 3, pvperf_generic(PVPERF_BRANCHES, PVPERF_OS), 0xffffffff, 0);
  uint64_t last = 0xffffffff;
  bool grows = true;
  for (unsigned turn = 0; turn < 5; ++turn) {
    grows = grows && pvperf_task_in(&cpu, &task) == PVPERF_OK;
    for (volatile unsigned i = 0; i < 10; ++i) {
    }
    grows = grows && pvperf_task_out(&cpu, &task) == PVPERF_OK && task.event[3].count > last;
    last = task.event[3].count;
  }
  check32(grows && last > 0xffffffff + UINT64_C(50), "a task's count goes on from turn to turn");
}

static void write_period_bits(void) {
  pvperf_set_period(&info, 0, UINT64_C(1) << 63);
}

void guest_main32(void) {
  check_offer();
  check_batch();
  check_registers();
  check_calls();
  check_interrupt();
  check_task();
  check32_equal(faults32(write_period_bits), FAULT_GP32, "too long a period is #GP");
  const struct pvperf_value half = {UINT64_C(1) << 40, UINT64_C(3) << 35, UINT64_C(1) << 35, 0};
  check32_equal(pvperf_scaled(&half), UINT64_C(3) << 40, "counts are scaled in 64 bits");
  pvperf_cpu_stop(&cpu);
  check32(pvperf_rdmsr(pvperf_msr(&info, PVPERF_MSR_AREA)) == 0, "the page can be given back");
}
