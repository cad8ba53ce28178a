// SPDX-License-Identifier: MIT
//
// All CPUs of the machine (--smp 1 to 8): PSCI, locks of load and store exclusive, acquire and
// release, SGIs, events, one time for all, TLB and cache maintenance that reaches the others.
#include "runtime/smp.h"

#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/paging.h"
#include "runtime/psci.h"
#include "runtime/start.h"
#include "runtime/timer.h"

enum { SGI_PING = 1, ROUNDS = 2000, MOVE = 0x52800000, RET = 0xd65f03c0 };
#define WINDOW 0x80000000u

static unsigned cpus;
static volatile uint32_t lock, inside;
static volatile uint64_t shared_counter, atomic_counter, latest, went_back, overlaps;
static volatile uint32_t pings[MAX_CPUS];
static uint64_t seen_mpidr[MAX_CPUS];

static void spin_lock(void) {
  uint32_t value, failed;
  __asm__ volatile(
      "1: ldaxr %w0, [%2]\n"
      "cbnz %w0, 1b\n"
      "stxr %w1, %w3, [%2]\n"
      "cbnz %w1, 1b\n"
      : "=&r"(value), "=&r"(failed)
      : "r"(&lock), "r"(1)
      : "memory");
}
static void spin_unlock(void) {
  __asm__ volatile("stlr wzr, [%0]" : : "r"(&lock) : "memory");
}

static void contend(void* unused) {
  (void)unused;
  seen_mpidr[current_cpu()] = read_sysreg(mpidr_el1);
  for (unsigned i = 0; i < ROUNDS; ++i) {
    spin_lock();
    if (inside++ != 0) ++overlaps;
    const uint64_t now = counter();
    if (now < latest) ++went_back;
    latest = now;
    ++shared_counter;
    --inside;
    spin_unlock();
    __atomic_fetch_add(&atomic_counter, 1, __ATOMIC_RELAXED);
  }
}

static void on_all(void (*function)(void*)) {
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, function, 0);
  function(0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
}

static void check_locks(void) {
  on_all(contend);
  CHECK_EQUAL(shared_counter, (uint64_t)cpus * ROUNDS, "a spinlock protects a counter");
  CHECK_EQUAL(overlaps, 0, "nobody else is inside");
  CHECK_EQUAL(atomic_counter, (uint64_t)cpus * ROUNDS, "atomic additions lose nothing");
  CHECK_EQUAL(went_back, 0, "the counter never goes back from one CPU to another");
  bool numbered = true;
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    numbered = numbered && (seen_mpidr[cpu] & 0xff00ffffff) == cpu;
  }
  CHECK(numbered, "MPIDR_EL1 is the CPU's number");
}

// ---- Interrupts and events ------------------------------------------------------------------

static void on_ping(unsigned intid) {
  (void)intid;
  __atomic_fetch_add(&pings[current_cpu()], 1, __ATOMIC_SEQ_CST);
}
static void wait_for_ping(void* unused) {
  (void)unused;
  gic_enable(SGI_PING, PRIORITY_DEFAULT);
  const uint32_t before = pings[current_cpu()];
  while (pings[current_cpu()] == before) {
    wfi();
    interrupts_on();
    interrupts_off();
  }
}
static uint32_t total_pings(void) {
  uint32_t sum = 0;
  for (unsigned cpu = 0; cpu < cpus; ++cpu) sum += pings[cpu];
  return sum;
}

static void check_sgis(void) {
  set_interrupt_handler(SGI_PING, on_ping);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) {
    smp_run(cpu, wait_for_ping, 0);
    gic_send_sgi(SGI_PING, cpu);
    smp_wait(cpu);
  }
  CHECK_EQUAL(total_pings(), cpus - 1, "an SGI to each CPU wakes it from WFI");
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, wait_for_ping, 0);
  dsb();
  write_sysreg(icc_sgi1r_el1, (uint64_t)SGI_PING << 24 | 1ULL << 40);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
  CHECK_EQUAL(total_pings(), 2 * (cpus - 1), "one SGI to all others reaches each once");
  CHECK(pings[0] == 0, "but not its sender");
}

static volatile uint32_t flag;
static volatile uint32_t waiters;
static void wait_for_event(void* unused) {
  (void)unused;
  __atomic_fetch_add(&waiters, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&flag, __ATOMIC_ACQUIRE) == 0) wfe();
}
/// Waits with the monitor on the flag: the store itself is the event.
static void wait_for_store(void* unused) {
  (void)unused;
  __atomic_fetch_add(&waiters, 1, __ATOMIC_SEQ_CST);
  for (;;) {
    uint32_t value;
    __asm__ volatile("ldaxr %w0, [%1]" : "=r"(value) : "r"(&flag) : "memory");
    if (value != 0) return;
    wfe();
  }
}
static void wake(void (*waiter)(void*), bool with_sev) {
  flag = 0;
  waiters = 0;
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, waiter, 0);
  while (waiters != cpus - 1) pause();
  for (unsigned i = 0; i < 100000; ++i) __asm__ volatile("nop");
  __atomic_store_n(&flag, 1, __ATOMIC_RELEASE);
  if (with_sev) {
    dsb();
    sev();
  }
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
}

static void check_events(void) {
  wake(wait_for_event, true);
  CHECK(flag == 1, "SEV ends the WFE of all others");
  wake(wait_for_store, false);
  CHECK(flag == 1, "so does a store to what their monitors watch");
}

// ---- PSCI -----------------------------------------------------------------------------------

static void turn_off(void* unused) {
  (void)unused;
  psci(PSCI_CPU_OFF, 0, 0, 0);
}
void secondary_entry(void);

static void check_psci(void) {
  CHECK(psci(PSCI_VERSION, 0, 0, 0) >= 0x10000, "PSCI is at least 1.0");
  CHECK_EQUAL(psci(PSCI_FEATURES, PSCI_CPU_ON, 0, 0), 0, "it has CPU_ON");
  CHECK_EQUAL(psci(PSCI_FEATURES, 0x8400007f, 0, 0), PSCI_NOT_SUPPORTED,
              "it has not what nobody has");
  CHECK_EQUAL(psci(0x84000777, 0, 0, 0), PSCI_NOT_SUPPORTED, "and that is not supported");
  const uint64_t entry = (uint64_t)secondary_entry;
  CHECK_EQUAL(psci(PSCI_CPU_ON, 0, entry, 0), PSCI_ALREADY_ON, "this CPU is on");
  CHECK_EQUAL(psci(PSCI_CPU_ON, 0x123, entry, 0), PSCI_INVALID_PARAMETERS, "there is no such CPU");
  CHECK_EQUAL(psci(PSCI_AFFINITY_INFO, 0, 0, 0), AFFINITY_ON, "AFFINITY_INFO: this CPU is on");
  CHECK_EQUAL(psci(PSCI_AFFINITY_INFO, 0x123, 0, 0), PSCI_INVALID_PARAMETERS,
              "AFFINITY_INFO: there is no such CPU");
  if (cpus == 1) return;
  const unsigned last = cpus - 1;
  CHECK_EQUAL(psci(PSCI_CPU_ON, last, entry, last), PSCI_ALREADY_ON, "the last CPU is on");
  smp_run(last, turn_off, 0);
  while (psci(PSCI_AFFINITY_INFO, last, 0, 0) != AFFINITY_OFF) pause();
  CHECK(true, "CPU_OFF turns it off");
  smp_forget(last);
  CHECK_EQUAL(psci(PSCI_CPU_ON, last, entry, last), PSCI_SUCCESS, "and CPU_ON on again");
  shared_counter = 0;
  smp_run(last, contend, 0);
  smp_wait(last);
  CHECK_EQUAL(shared_counter, ROUNDS, "and it works as before");
}

// ---- What one changes, the others see -------------------------------------------------------

static page_table middle, last_level;
static uint32_t code[2][PAGE_BYTES / 4] __attribute__((aligned(PAGE_BYTES)));
static volatile uint32_t results[MAX_CPUS];
static volatile uint32_t told, done;

/// Calls what is at the window each time it is told to.
static void call_window(void* unused) {
  (void)unused;
  for (uint32_t round = 1; round <= 3; ++round) {
    while (told < round) pause();
    isb();
    results[current_cpu()] = ((uint32_t(*)(void))(uint64_t)WINDOW)();
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
  }
}
static bool all_return(uint32_t expected) {
  ++told;
  while (done != told * (cpus - 1)) pause();
  bool all = true;
  for (unsigned cpu = 1; cpu < cpus; ++cpu) all = all && results[cpu] == expected;
  return all;
}

static void check_broadcast(void) {
  for (unsigned i = 0; i < 2; ++i) {
    code[i][0] = MOVE | (i + 1) << 5;
    code[i][1] = RET;
  }
  sync_code(code, sizeof code);
  boot_tables[2] = (uint64_t)middle | PTE_TABLE;
  middle[0] = (uint64_t)last_level | PTE_TABLE;
  set_entry(&last_level[0], (uint64_t)code[0] | PTE_PAGE);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, call_window, 0);
  CHECK(all_return(1), "all run the same page");
  *(volatile uint64_t*)&last_level[0] = 0;
  __asm__ volatile("dsb ishst\ntlbi vaae1is, %0\ndsb ish" : : "r"(WINDOW >> 12ULL) : "memory");
  *(volatile uint64_t*)&last_level[0] = (uint64_t)code[1] | PTE_PAGE;
  dsb();
  CHECK(all_return(2), "TLBI VAAE1IS reaches all: they run the other page");
  code[1][0] = MOVE | 7 << 5;
  sync_code(code[1], 8);
  CHECK(all_return(7), "IC IVAU reaches all: they run the new code");
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
}

void guest_main(void) {
  const unsigned expected = (unsigned)option_number("cpus", smp_cpus());
  cpus = smp_start();
  CHECK_EQUAL(cpus, expected, "%u CPUs run", cpus);
  check_locks();
  check_psci();
  if (cpus == 1) return;
  check_sgis();
  check_events();
  check_broadcast();
}
