// SPDX-License-Identifier: MIT
//
// See pvperf.h. No function here calls anything but what that names: loops that clear or copy go
// through volatile accesses, so that compilers make no memset() or memcpy() of them, and there is
// no division of 64 bits, which 32-bit compilers make a call of.
#include "pvperf.h"

// Loads and stores of what the hypervisor reads and writes, too: once each, where they stand.
static uint32_t load32(const uint32_t* at) {
  return *(const volatile uint32_t*)at;
}
static uint64_t load64(const uint64_t* at) {
  return *(const volatile uint64_t*)at;
}
static void store32(uint32_t* at, uint32_t value) {
  *(volatile uint32_t*)at = value;
}
static void store64(uint64_t* at, uint64_t value) {
  *(volatile uint64_t*)at = value;
}

static uint32_t all_events(const struct pvperf_info* info) {
  return ~UINT32_C(0) >> (32 - info->events);
}

// ---- Discovery ----------------------------------------------------------------------------------

static bool runs_on_amd(void) {
  const struct pvperf_cpuid_result vendor = pvperf_cpuid(0);
  // By EBX: "Auth" of AuthenticAMD, "Hygo" of HygonGenuine.
  return vendor.ebx == 0x68747541 || vendor.ebx == 0x6f677948;
}

static bool find_leaves(uint32_t* base) {
  if ((pvperf_cpuid(1).ecx >> 31 & 1) == 0) return false;  // no hypervisor
  for (*base = 0x40000000; *base <= 0x4000ff00; *base += 0x100) {
    const struct pvperf_cpuid_result leaf = pvperf_cpuid(*base);
    if (leaf.ebx == PVPERF_SIGNATURE && leaf.ecx == PVPERF_SIGNATURE &&
        leaf.edx == PVPERF_SIGNATURE && leaf.eax - *base >= 3 && leaf.eax - *base < 0x100) {
      return true;
    }
  }
  return false;
}

enum pvperf_code pvperf_discover(struct pvperf_info* info) {
  if (!find_leaves(&info->cpuid_base)) return PVPERF_E_ABSENT;
  const struct pvperf_cpuid_result offer = pvperf_cpuid(info->cpuid_base + 1);
  info->features = offer.eax;
  info->version = offer.ebx;
  info->msr_base = offer.ecx;
  if (info->version >> 16 != PVPERF_MAJOR) return PVPERF_E_ABI;
  if (!pvperf_has(info, PVPERF_FEATURE_PVPERF)) return PVPERF_E_ABSENT;

  const struct pvperf_cpuid_result sizes = pvperf_cpuid(info->cpuid_base + 2);
  info->events = sizes.eax & 0xff;
  info->width = sizes.eax >> 8 & 0xff;
  info->at_once = sizes.eax >> 16 & 0xff;
  info->publish_us = sizes.ebx;
  info->minimum_period = sizes.ecx;
  if (info->events < 1 || info->events > PVPERF_MAX_EVENTS) return PVPERF_E_ABI;
  if (info->width < 48 || info->width > 64) return PVPERF_E_ABI;
  if (pvperf_has(info, PVPERF_FEATURE_AREA) && sizes.edx != PVPERF_PAGE_BYTES) return PVPERF_E_ABI;

  const struct pvperf_cpuid_result what = pvperf_cpuid(info->cpuid_base + 3);
  info->generic_events = what.eax;
  info->software_events = what.ebx;
  info->evtsel_bits = what.ecx;
  info->amd = runs_on_amd();
  return PVPERF_OK;
}

// ---- A CPU and its page -------------------------------------------------------------------------

enum pvperf_code pvperf_cpu_start(struct pvperf_cpu* cpu, const struct pvperf_info* info,
                                  struct pvperf_page* page, uint64_t physical) {
  cpu->info = info;
  cpu->page = NULL;
  cpu->acknowledged_seq = 1;  // no publication's
  cpu->acknowledged = 0;
  cpu->acknowledged_unsure = false;
  for (unsigned i = 0; i < PVPERF_MAX_EVENTS; ++i) store64(&cpu->rearm[i], 0);
  if (page == NULL) return PVPERF_OK;
  if (!pvperf_has(info, PVPERF_FEATURE_AREA)) return PVPERF_E_FEATURE;
  if (physical % PVPERF_PAGE_BYTES != 0) return PVPERF_E_GPA;

  store32(&page->abi, 0);
  store32(&page->cmd_flags, 0);
  store32(&page->cmd_pad, 0);
  for (unsigned i = 0; i < 7; ++i) store64(&page->cmd_resv[i], 0);
  pvperf_wrmsr(pvperf_msr(info, PVPERF_MSR_AREA), physical | PVPERF_AREA_ENABLE);
  if (load32(&page->abi) != info->version) {
    pvperf_wrmsr(pvperf_msr(info, PVPERF_MSR_AREA), 0);
    return PVPERF_E_GPA;
  }
  cpu->page = page;
  return PVPERF_OK;
}

void pvperf_cpu_stop(struct pvperf_cpu* cpu) {
  pvperf_enable(cpu->info, 0);
  if (cpu->page != NULL) pvperf_wrmsr(pvperf_msr(cpu->info, PVPERF_MSR_AREA), 0);
  cpu->page = NULL;
}

// ---- Batch method -------------------------------------------------------------------------------

/// `count` is what COUNT is to be.
static void write_command(struct pvperf_cpu* cpu, unsigned i, uint64_t evtsel, uint64_t count,
                          uint64_t period) {
  const bool reloads = pvperf_has(cpu->info, PVPERF_FEATURE_AUTORELOAD);
  struct pvperf_command_record* command = &cpu->page->commands[i];
  store64(&command->evtsel, evtsel);
  store64(&command->count, count & pvperf_mask(cpu->info));
  store64(&command->period, reloads ? period : 0);
  store32(&command->flags, PVPERF_SET_EVTSEL | PVPERF_SET_COUNT | PVPERF_SET_PERIOD);
  store32(&command->pad, 0);
  store64(&cpu->rearm[i], reloads ? 0 : period);
}

void pvperf_command(struct pvperf_cpu* cpu, unsigned i, uint64_t evtsel, uint64_t count,
                    uint64_t period) {
  if (cpu->page != NULL) write_command(cpu, i, evtsel, count - period, period);
}

enum pvperf_code pvperf_batch(struct pvperf_cpu* cpu, uint32_t events, uint64_t operations,
                              unsigned* refused) {
  if (refused != NULL) *refused = PVPERF_NO_ID;
  if (!pvperf_has(cpu->info, PVPERF_FEATURE_BATCH)) return PVPERF_E_FEATURE;
  if (cpu->page == NULL) return PVPERF_E_NOAREA;
  const uint32_t batches = load32(&cpu->page->batch_seq);
  pvperf_wrmsr(pvperf_msr(cpu->info, PVPERF_MSR_BATCH), operations | events);
  if (load32(&cpu->page->batch_seq) == batches) {
    // Nobody has written it: the page is no page any more. What has happened is in ERROR.
    cpu->page = NULL;
    const uint64_t error = pvperf_rdmsr(pvperf_msr(cpu->info, PVPERF_MSR_ERROR));
    return (error & 0xff) != 0 ? (enum pvperf_code)(error & 0xff) : PVPERF_E_GPA;
  }
  // Both at once, aligned: batch_code and batch_id.
  const uint32_t result = load32((const uint32_t*)(const void*)&cpu->page->batch_code);
  if (refused != NULL) *refused = result >> 16;
  return (enum pvperf_code)(result & 0xffff);
}

enum pvperf_code pvperf_start(struct pvperf_cpu* cpu, uint32_t events, unsigned* refused) {
  return pvperf_batch(cpu, events, PVPERF_BATCH_LOAD | PVPERF_BATCH_START, refused);
}

enum pvperf_code pvperf_resume(struct pvperf_cpu* cpu, uint32_t events) {
  return pvperf_batch(cpu, events, PVPERF_BATCH_START, NULL);
}

enum pvperf_code pvperf_stop(struct pvperf_cpu* cpu, uint32_t events) {
  return pvperf_batch(cpu, events, PVPERF_BATCH_STOP, NULL);
}

enum pvperf_code pvperf_snap(struct pvperf_cpu* cpu) {
  return pvperf_batch(cpu, all_events(cpu->info), PVPERF_BATCH_SNAP, NULL);
}

// ---- Reading ------------------------------------------------------------------------------------

// A reader's section: what is loaded between the two belongs together if the second is true.
static bool begin_read(const struct pvperf_page* page, uint32_t* seq) {
  *seq = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);
  return (*seq & 1) == 0;
}
static bool end_read(const struct pvperf_page* page, uint32_t seq) {
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  return load32(&page->seq) == seq;
}

static void load_value(const struct pvperf_event_record* record, struct pvperf_value* value) {
  value->count = load64(&record->count);
  value->time_enabled = load64(&record->time_enabled);
  value->time_running = load64(&record->time_running);
  value->state = *(const volatile uint16_t*)&record->state;
}

bool pvperf_page_read(const struct pvperf_page* page, unsigned i, struct pvperf_value* value) {
  for (unsigned tries = 0; tries < PVPERF_READ_RETRIES; ++tries) {
    uint32_t seq;
    if (begin_read(page, &seq)) {
      load_value(&page->events[i], value);
      if (end_read(page, seq)) return true;
    }
    pvperf_pause();
  }
  return false;
}

bool pvperf_page_read_all(const struct pvperf_page* page, unsigned count,
                          struct pvperf_value* values, uint64_t* status) {
  for (unsigned tries = 0; tries < PVPERF_READ_RETRIES; ++tries) {
    uint32_t seq;
    if (begin_read(page, &seq)) {
      for (unsigned i = 0; i < count; ++i) load_value(&page->events[i], &values[i]);
      if (status != NULL) *status = load64(&page->global_status);
      if (end_read(page, seq)) return true;
    }
    pvperf_pause();
  }
  return false;
}

void pvperf_read(const struct pvperf_cpu* cpu, unsigned i, struct pvperf_value* value) {
  if (cpu->page != NULL && pvperf_page_read(cpu->page, i, value)) return;
  pvperf_read_registers(cpu->info, i, value);
}

/// The page and the hardware's counter. False: the event is on none.
static bool read_hardware(const struct pvperf_page* page, unsigned i, uint64_t* count) {
  const struct pvperf_event_record* record = &page->events[i];
  for (unsigned tries = 0; tries < PVPERF_READ_RETRIES; ++tries) {
    uint32_t seq;
    if (begin_read(page, &seq)) {
      const uint32_t flags = load32(&page->host_flags), index = load32(&record->rdpmc_index);
      const unsigned state = *(const volatile uint16_t*)&record->state;
      const unsigned width = *(const volatile uint16_t*)&record->rdpmc_width;
      const uint64_t offset = load64(&record->rdpmc_offset);
      const bool usable = (flags & PVPERF_HOST_RDPMC) != 0 && (state & PVPERF_STATE_RUNNING) != 0 &&
                          index != 0 && width >= 1 && width <= 64;
      // Only when the index is known to be meant: RDPMC of another may be a fault.
      if (end_read(page, seq)) {
        if (!usable) return false;
        const uint64_t raw = pvperf_rdpmc(index - 1), sign = UINT64_C(1) << (width - 1);
        *count = offset + (((raw & (sign | (sign - 1))) ^ sign) - sign);
        if (end_read(page, seq)) return true;
      }
    }
    pvperf_pause();
  }
  return false;
}

uint64_t pvperf_read_exact(const struct pvperf_cpu* cpu, unsigned i) {
  uint64_t count;
  if (cpu->page != NULL && pvperf_has(cpu->info, PVPERF_FEATURE_RDPMC_NATIVE) &&
      read_hardware(cpu->page, i, &count)) {
    return count & pvperf_mask(cpu->info);
  }
  if (pvperf_has(cpu->info, PVPERF_FEATURE_RDPMC_TRAP)) return pvperf_read_rdpmc(i);
  return pvperf_read_register(cpu->info, i);
}

/// high:low / by; `high` is less than `by`, so that it fits.
static uint64_t divide(uint64_t high, uint64_t low, uint64_t by) {
  uint64_t quotient = 0;
  for (unsigned bit = 0; bit < 64; ++bit) {
    const bool carry = high >> 63 != 0;
    high = high << 1 | low >> 63;
    low <<= 1;
    quotient <<= 1;
    if (carry || high >= by) {
      high -= by;
      quotient |= 1;
    }
  }
  return quotient;
}

uint64_t pvperf_scaled(const struct pvperf_value* value) {
  if (value->time_running == 0) return 0;
  if (value->time_running == value->time_enabled) return value->count;
  const uint64_t a_low = (uint32_t)value->count, a_high = value->count >> 32;
  const uint64_t b_low = (uint32_t)value->time_enabled, b_high = value->time_enabled >> 32;
  const uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
  const uint64_t cross = a_low * b_high + (uint32_t)middle;
  const uint64_t high = a_high * b_high + (middle >> 32) + (cross >> 32);
  const uint64_t low = cross << 32 | (uint32_t)(a_low * b_low);
  if (high >= value->time_running) return ~UINT64_C(0);
  return divide(high, low, value->time_running);
}

// ---- Interrupts ---------------------------------------------------------------------------------

/// GLOBAL_STATUS in the page, and in which publication. False: it cannot be read.
static bool page_status(const struct pvperf_page* page, uint64_t* status, uint32_t* seq) {
  for (unsigned tries = 0; tries < PVPERF_READ_RETRIES; ++tries) {
    if (begin_read(page, seq)) {
      *status = load64(&page->global_status);
      if (end_read(page, *seq)) return true;
    }
    pvperf_pause();
  }
  return false;
}

/// Events that have overflowed, and have not been acknowledged.
static uint32_t overflowed_events(const struct pvperf_cpu* cpu) {
  const uint32_t all = all_events(cpu->info);
  uint64_t status;
  uint32_t seq;
  if (cpu->page != NULL && page_status(cpu->page, &status, &seq)) {
    if (seq != cpu->acknowledged_seq) return (uint32_t)status & all;
    if (!cpu->acknowledged_unsure) return (uint32_t)status & all & ~cpu->acknowledged;
  }
  return (uint32_t)pvperf_rdmsr(pvperf_msr(cpu->info, PVPERF_MSR_GLOBAL_STATUS)) & all;
}

static void acknowledge(struct pvperf_cpu* cpu, uint32_t events) {
  const uint32_t before = cpu->page != NULL ? load32(&cpu->page->seq) : 0;
  pvperf_wrmsr(pvperf_msr(cpu->info, PVPERF_MSR_STATUS_RESET), events);
  if (cpu->page == NULL) return;
  const uint32_t after = load32(&cpu->page->seq);
  if (after != cpu->acknowledged_seq) {
    cpu->acknowledged_seq = after;
    cpu->acknowledged = 0;
    cpu->acknowledged_unsure = before != after;
  }
  cpu->acknowledged |= events;
}

uint32_t pvperf_pmi(struct pvperf_cpu* cpu, const struct pvperf_pmi_calls* calls) {
  const uint32_t overflowed = overflowed_events(cpu);
  if (overflowed == 0) return 0;
  for (unsigned i = 0; i < cpu->info->events; ++i) {
    if ((overflowed >> i & 1) == 0) continue;
    struct pvperf_value value;
    pvperf_read(cpu, i, &value);
    const uint64_t rearm = load64(&cpu->rearm[i]);
    if (rearm != 0) {
      // What has been counted since the overflow is part of the next period.
      const uint64_t excess = value.count < rearm ? value.count : 0;
      pvperf_wrmsr(pvperf_bank_msr(cpu->info, i, PVPERF_BANK_COUNT),
                   (excess - rearm) & pvperf_mask(cpu->info));
    }
    calls->overflow(calls->context, i, &value);
  }
  if (calls->unmask != NULL) calls->unmask(calls->context);
  // Behind the unmasking: if another event has overflowed while LVTPC was masked, this makes the
  // host interrupt once more.
  acknowledge(cpu, overflowed);
  return overflowed;
}

// ---- Task switches ------------------------------------------------------------------------------

void pvperf_task_start(struct pvperf_task* task) {
  task->events = 0;
  task->overflowed = 0;
}

void pvperf_task_add(struct pvperf_task* task, const struct pvperf_cpu* cpu, unsigned i,
                     uint64_t evtsel, uint64_t count, uint64_t period) {
  struct pvperf_task_event* event = &task->event[i];
  event->evtsel = evtsel;
  event->count = (count - period) & pvperf_mask(cpu->info);
  event->period = period;
  event->time_enabled = 0;
  event->time_running = 0;
  task->events |= UINT32_C(1) << i;
}

enum pvperf_code pvperf_task_in(struct pvperf_cpu* cpu, struct pvperf_task* task) {
  if (cpu->page == NULL) return PVPERF_E_NOAREA;
  for (unsigned i = 0; i < cpu->info->events; ++i) {
    if ((task->events >> i & 1) == 0) continue;
    const struct pvperf_task_event* event = &task->event[i];
    write_command(cpu, i, event->evtsel, event->count, event->period);
  }
  const enum pvperf_code code = pvperf_start(cpu, task->events, NULL);
  if (code != PVPERF_OK) return code;
  for (unsigned i = 0; i < cpu->info->events; ++i) {
    if ((task->events >> i & 1) == 0) continue;
    struct pvperf_value value;
    pvperf_read(cpu, i, &value);
    task->event[i].enabled_before = value.time_enabled;
    task->event[i].running_before = value.time_running;
  }
  return PVPERF_OK;
}

enum pvperf_code pvperf_task_out(struct pvperf_cpu* cpu, struct pvperf_task* task) {
  const enum pvperf_code code = pvperf_stop(cpu, task->events);
  if (code != PVPERF_OK) return code;
  for (unsigned i = 0; i < cpu->info->events; ++i) {
    if ((task->events >> i & 1) == 0) continue;
    struct pvperf_task_event* event = &task->event[i];
    struct pvperf_value value;
    pvperf_read(cpu, i, &value);
    event->count = value.count;
    event->time_enabled += value.time_enabled - event->enabled_before;
    event->time_running += value.time_running - event->running_before;
  }
  const uint32_t overflowed = overflowed_events(cpu) & task->events;
  if (overflowed != 0) {
    task->overflowed |= overflowed;
    acknowledge(cpu, overflowed);
  }
  return PVPERF_OK;
}

// ---- Register method ----------------------------------------------------------------------------

void pvperf_program(const struct pvperf_info* info, unsigned i, uint64_t evtsel, uint64_t count) {
  pvperf_wrmsr(pvperf_bank_msr(info, i, PVPERF_BANK_EVTSEL), evtsel);
  pvperf_wrmsr(pvperf_bank_msr(info, i, PVPERF_BANK_COUNT), count & pvperf_mask(info));
}

void pvperf_set_period(const struct pvperf_info* info, unsigned i, uint64_t period) {
  pvperf_wrmsr(pvperf_bank_msr(info, i, PVPERF_BANK_PERIOD), period);
}

void pvperf_enable(const struct pvperf_info* info, uint32_t events) {
  pvperf_wrmsr(pvperf_msr(info, PVPERF_MSR_GLOBAL_CTRL), events);
}

uint64_t pvperf_read_register(const struct pvperf_info* info, unsigned i) {
  return pvperf_rdmsr(pvperf_bank_msr(info, i, PVPERF_BANK_COUNT));
}

void pvperf_read_registers(const struct pvperf_info* info, unsigned i, struct pvperf_value* value) {
  value->count = pvperf_read_register(info, i);
  value->time_enabled = pvperf_rdmsr(pvperf_bank_msr(info, i, PVPERF_BANK_TIME_EN));
  value->time_running = pvperf_rdmsr(pvperf_bank_msr(info, i, PVPERF_BANK_TIME_RUN));
  value->state = (uint32_t)pvperf_rdmsr(pvperf_bank_msr(info, i, PVPERF_BANK_STATE)) & 0xffff;
}

// ---- Calls --------------------------------------------------------------------------------------

static int call(const struct pvperf_info* info, enum pvperf_call operation, uint32_t c,
                uint32_t d) {
  if (!pvperf_has(info, PVPERF_FEATURE_HYPERCALLS)) return PVPERF_CALL_ENOSYS;
  return (int)pvperf_hypercall(info->amd, PVPERF_HYPERCALL, (uintptr_t)operation, c, d);
}

int pvperf_call_open(const struct pvperf_info* info, uint64_t param) {
  return call(info, PVPERF_CALL_OPEN, (uint32_t)param, (uint32_t)(param >> 32));
}

int pvperf_call_close(const struct pvperf_info* info, uint32_t id) {
  return call(info, PVPERF_CALL_CLOSE, id, 0);
}

int pvperf_call_enable(const struct pvperf_info* info, uint32_t id) {
  return call(info, PVPERF_CALL_ENABLE, id, 0);
}

int pvperf_call_disable(const struct pvperf_info* info, uint32_t id) {
  return call(info, PVPERF_CALL_DISABLE, id, 0);
}

int pvperf_call_read(const struct pvperf_info* info, uint32_t id) {
  return call(info, PVPERF_CALL_READ, id, 0);
}

// ---- Names --------------------------------------------------------------------------------------

const char* pvperf_code_name(enum pvperf_code code) {
  switch (code) {
    case PVPERF_OK: return "OK";
    case PVPERF_E_ABI: return "E_ABI";
    case PVPERF_E_RESERVED: return "E_RESERVED";
    case PVPERF_E_ID: return "E_ID";
    case PVPERF_E_TYPE: return "E_TYPE";
    case PVPERF_E_CODE: return "E_CODE";
    case PVPERF_E_FILTERED: return "E_FILTERED";
    case PVPERF_E_WIDTH: return "E_WIDTH";
    case PVPERF_E_PERIOD: return "E_PERIOD";
    case PVPERF_E_NOAREA: return "E_NOAREA";
    case PVPERF_E_GPA: return "E_GPA";
    case PVPERF_E_BUSY: return "E_BUSY";
    case PVPERF_E_HOST: return "E_HOST";
    case PVPERF_E_LVT: return "E_LVT";
    case PVPERF_E_ABSENT: return "E_ABSENT";
    case PVPERF_E_FEATURE: return "E_FEATURE";
  }
  return "?";
}

const char* pvperf_call_error_name(int error) {
  switch (error) {
    case 0: return "OK";
    case PVPERF_CALL_EPERM: return "EPERM";
    case PVPERF_CALL_E2BIG: return "E2BIG";
    case PVPERF_CALL_EFAULT: return "EFAULT";
    case PVPERF_CALL_EINVAL: return "EINVAL";
    case PVPERF_CALL_EOPNOTSUPP: return "EOPNOTSUPP";
    case PVPERF_CALL_ENOSYS: return "ENOSYS";
    default: return "?";
  }
}
