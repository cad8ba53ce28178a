// SPDX-License-Identifier: MIT
//
// The exit table's columns of PV perf, with the driver that kernels can take (pvperf.h): calls,
// registers one by one, and the batch register with the shared page.
#include "exit_column.h"
#include "pvperf/pvperf.h"
#include "runtime/apic.h"

enum { ALL = (1 << EXIT_EVENTS) - 1 };
#define COUNTED (PVPERF_USR | PVPERF_OS)

uint32_t other_pv_events;

static struct pvperf_info info;
static struct pvperf_cpu cpu;
static struct pvperf_page page;

static bool discover(void) {
  return pvperf_discover(&info) == PVPERF_OK && info.events > EXIT_EVENTS;
}
static bool discover_calls(void) {
  return discover() && pvperf_has(&info, PVPERF_FEATURE_HYPERCALLS);
}
static bool discover_batch(void) {
  return discover() && pvperf_has(&info, PVPERF_FEATURE_BATCH);
}

static uint64_t evtsel(unsigned i) {
  switch (i) {
    case 0: return pvperf_generic(PVPERF_INSTRUCTIONS, COUNTED);
    case 1: return pvperf_generic(PVPERF_CYCLES, COUNTED);
    case 2: return pvperf_generic(PVPERF_BRANCHES, COUNTED);
    default: return pvperf_cache(PVPERF_L1D, PVPERF_READ, PVPERF_ACCESS, COUNTED);
  }
}

/// What a kernel that samples does once; and on Intel's CPUs behind each interrupt.
static void unmask(void) {
  apic_write(APIC_LVT_PERFORMANCE, LVT_NMI);
}
/// An AMD CPU does not mask LVTPC when it delivers the interrupt.
static void unmask_if_masked(void) {
  if (!info.amd) unmask();
}

// ---- Calls --------------------------------------------------------------------------------------

enum { SAMPLER = EXIT_EVENTS, OPEN_EVENTS };  // a fifth event samples

static struct pvperf_call_event __attribute__((aligned(32))) called[OPEN_EVENTS];

static void open_call(unsigned id, uint64_t what, uint64_t period, uint64_t flags) {
  static struct pvperf_call_attr __attribute__((aligned(64))) attr;
  static struct pvperf_call_param __attribute__((aligned(32))) param;
  attr = (struct pvperf_call_attr){.type = what & 0xff,
                                   .config = what >> 8 & 0xffffffff,
                                   .sample_period = period,
                                   .flags = flags};
  param = (struct pvperf_call_param){
      .attr_addr = (uint64_t)&attr, .event_addr = (uint64_t)&called[id], .id = id};
  pvperf_call_open(&info, (uint64_t)&param);
}

static void create_calls(void) {
  for (unsigned id = 0; id < EXIT_EVENTS; ++id) open_call(id, evtsel(id), 0, 0);
}
static void start_calls(void) {
  for (unsigned id = 0; id < EXIT_EVENTS; ++id) pvperf_call_enable(&info, id);
}
static uint64_t called_count(unsigned id) {
  return *(const volatile uint64_t*)&called[id].count;
}
static void read_calls(uint64_t counts[EXIT_EVENTS]) {
  for (unsigned id = 0; id < EXIT_EVENTS; ++id) {
    pvperf_call_read(&info, id);
    counts[id] = called_count(id);
  }
}
static void stop_calls(uint64_t counts[EXIT_EVENTS]) {
  for (unsigned id = 0; id < EXIT_EVENTS; ++id) {
    pvperf_call_disable(&info, id);
    counts[id] = called_count(id);
  }
}
static void destroy_calls(void) {
  for (unsigned id = 0; id < EXIT_EVENTS; ++id) pvperf_call_close(&info, id);
}
/// The events keep their counts; they are the task's that is away.
static void switch_in_calls(const uint64_t counts[EXIT_EVENTS]) {
  (void)counts;
  start_calls();
}

static void sample_calls(void) {
  unmask();
  open_call(SAMPLER, evtsel(0), SAMPLED_INSTRUCTIONS, PVPERF_CALL_INTERRUPT);
  pvperf_call_enable(&info, SAMPLER);
}
static bool on_nmi_calls(void) {
  const uint64_t status = *(const volatile uint64_t*)&called[SAMPLER].status;
  if ((status & PVPERF_CALL_OVERFLOWED) == 0) return false;
  unmask_if_masked();
  pvperf_call_enable(&info, SAMPLER);  // acknowledges
  return true;
}
static void end_calls(void) {
  pvperf_call_close(&info, SAMPLER);
}

const struct exit_column pv_calls = {
    .name = "calls",
    .discover = discover_calls,
    .create = create_calls,
    .start = start_calls,
    .read_running = read_calls,
    .stop = stop_calls,
    .destroy = destroy_calls,
    .switch_out = stop_calls,
    .switch_in = switch_in_calls,
    .sample = sample_calls,
    .on_nmi = on_nmi_calls,
    .end_sampling = end_calls,
};

// ---- Registers, one by one ----------------------------------------------------------------------

static void start_registers_from(const uint64_t counts[EXIT_EVENTS]) {
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) {
    pvperf_program(&info, i, evtsel(i), counts[i]);
  }
  pvperf_enable(&info, ALL | other_pv_events);
}
static void start_registers(void) {
  const uint64_t zeros[EXIT_EVENTS] = {0};
  start_registers_from(zeros);
}
static void read_registers(uint64_t counts[EXIT_EVENTS]) {
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) counts[i] = pvperf_read_register(&info, i);
}
static void stop_registers(uint64_t counts[EXIT_EVENTS]) {
  (void)counts;
  pvperf_enable(&info, other_pv_events);
}
static void switch_out_registers(uint64_t counts[EXIT_EVENTS]) {
  pvperf_enable(&info, other_pv_events);
  read_registers(counts);
}

/// As on hardware: the handler sets the counter back itself. (With PERIOD it need not.)
static void sample_registers(void) {
  pvperf_program(&info, 0, evtsel(0) | PVPERF_INT, -(uint64_t)SAMPLED_INSTRUCTIONS);
  pvperf_enable(&info, 1 | other_pv_events);
}
static bool on_nmi_registers(void) {
  const uint64_t status = pvperf_rdmsr(pvperf_msr(&info, PVPERF_MSR_GLOBAL_STATUS));
  if ((status & 1) == 0) return false;
  pvperf_wrmsr(pvperf_bank_msr(&info, 0, PVPERF_BANK_COUNT),
               -(uint64_t)SAMPLED_INSTRUCTIONS & pvperf_mask(&info));
  unmask_if_masked();
  pvperf_wrmsr(pvperf_msr(&info, PVPERF_MSR_STATUS_RESET), 1);
  return true;
}
static void end_registers(void) {
  pvperf_enable(&info, other_pv_events);
}

const struct exit_column pv_registers = {
    .name = "registers",
    .discover = discover,
    .set_up = unmask,
    .start = start_registers,
    .read_running = read_registers,
    .stop = stop_registers,
    .read_stopped = read_registers,
    .switch_out = switch_out_registers,
    .switch_in = start_registers_from,
    .sample = sample_registers,
    .on_nmi = on_nmi_registers,
    .end_sampling = end_registers,
};

// ---- Batch and page -----------------------------------------------------------------------------

static struct pvperf_task task;

static void set_up_batch(void) {
  pvperf_cpu_start(&cpu, &info, &page, (uint64_t)&page);
  unmask();
  pvperf_task_start(&task);
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) pvperf_task_add(&task, &cpu, i, evtsel(i), 0, 0);
}
static void start_batch(void) {
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) {
    pvperf_command(&cpu, i, evtsel(i), 0, 0);
  }
  pvperf_start(&cpu, ALL, 0);
}
static void read_page(uint64_t counts[EXIT_EVENTS]) {
  struct pvperf_value values[EXIT_EVENTS];
  pvperf_page_read_all(&page, EXIT_EVENTS, values, 0);
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) counts[i] = values[i].count;
}
static void read_exact(uint64_t counts[EXIT_EVENTS]) {
  pvperf_snap(&cpu);
  read_page(counts);
}
static void stop_batch(uint64_t counts[EXIT_EVENTS]) {
  (void)counts;
  pvperf_stop(&cpu, ALL);
}
static void switch_out_batch(uint64_t counts[EXIT_EVENTS]) {
  pvperf_task_out(&cpu, &task);
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) counts[i] = task.event[i].count;
}
static void switch_in_batch(const uint64_t counts[EXIT_EVENTS]) {
  (void)counts;  // which the task has
  pvperf_task_in(&cpu, &task);
}

static void sample_batch(void) {
  pvperf_command(&cpu, 0, evtsel(0) | PVPERF_INT, 0, SAMPLED_INSTRUCTIONS);
  pvperf_start(&cpu, 1, 0);
}
static void take_sample(void* context, unsigned i, const struct pvperf_value* value) {
  (void)context, (void)i, (void)value;
}
static void unmask_in_handler(void* context) {
  (void)context;
  unmask();
}
static bool on_nmi_batch(void) {
  const struct pvperf_pmi_calls calls = {
      .overflow = take_sample, .unmask = info.amd ? 0 : unmask_in_handler, .context = 0};
  return pvperf_pmi(&cpu, &calls) != 0;
}
static void end_batch(void) {
  pvperf_stop(&cpu, 1);
}

const struct exit_column pv_batch = {
    .name = "batch",
    .discover = discover_batch,
    .set_up = set_up_batch,
    .start = start_batch,
    .read_running = read_page,
    .read_exact = read_exact,
    .stop = stop_batch,
    .read_stopped = read_page,
    .switch_out = switch_out_batch,
    .switch_in = switch_in_batch,
    .sample = sample_batch,
    .on_nmi = on_nmi_batch,
    .end_sampling = end_batch,
};
