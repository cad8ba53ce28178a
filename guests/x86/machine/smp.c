// SPDX-License-Identifier: MIT
//
// All CPUs of the machine (--smp 1 to 8): start-up, locks, IPIs, one time for all.
#include "runtime/smp.h"

#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PING = 0x61, ROUNDS = 2000 };

static unsigned cpus;
static uint32_t apic_ids[MAX_CPUS];
static volatile uint32_t lock;
static volatile uint64_t counter, atomic_counter, latest_tsc, tsc_went_back, overlaps;
static volatile uint32_t inside;
static volatile uint32_t pings[MAX_CPUS];

static void spin_lock(void) {
  while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE) != 0) {
    while (lock != 0) pause();
  }
}
static void spin_unlock(void) {
  __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static void contend(void* unused) {
  (void)unused;
  apic_ids[current_cpu()] = apic_id();
  for (unsigned i = 0; i < ROUNDS; ++i) {
    spin_lock();
    if (inside++ != 0) ++overlaps;
    const uint64_t now = rdtsc();
    if (now < latest_tsc) ++tsc_went_back;
    latest_tsc = now;
    ++counter;
    --inside;
    spin_unlock();
    __atomic_fetch_add(&atomic_counter, 1, __ATOMIC_RELAXED);
  }
}

static void on_ping(struct trap* frame) {
  (void)frame;
  __atomic_fetch_add(&pings[current_cpu()], 1, __ATOMIC_SEQ_CST);
  apic_eoi();
}
static void wait_for_ping(void* unused) {
  (void)unused;
  const uint32_t before = pings[current_cpu()];
  while (pings[current_cpu()] == before) sti_hlt_cli();
}

static void on_all(void (*function)(void*)) {
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, function, 0);
  function(0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
}

static uint32_t total_pings(void) {
  uint32_t sum = 0;
  for (unsigned cpu = 0; cpu < cpus; ++cpu) sum += pings[cpu];
  return sum;
}

static void check_ipis(void) {
  set_handler(VECTOR_PING, on_ping);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, wait_for_ping, 0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) {
    apic_send(ICR_ASSERT | VECTOR_PING, apic_ids[cpu]);
    smp_wait(cpu);
  }
  CHECK_EQUAL(total_pings(), cpus - 1, "an IPI to each CPU wakes it from HLT");
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, wait_for_ping, 0);
  apic_send(ICR_ASSERT | ICR_ALL_BUT_SELF | VECTOR_PING, 0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
  CHECK_EQUAL(total_pings(), 2 * (cpus - 1), "one IPI to all others reaches each once");
  CHECK(pings[0] == 0, "but not its sender");
}

void guest_main(void) {
  const unsigned expected = (unsigned)option_number("cpus", smp_cpus());
  if (option_flag("x2apic") && apic_has_x2apic()) apic_use_x2apic();
  cpus = smp_start();
  CHECK_EQUAL(cpus, expected, "%u CPUs run", cpus);
  on_all(contend);
  CHECK_EQUAL(counter, (uint64_t)cpus * ROUNDS, "a spinlock protects a counter");
  CHECK_EQUAL(overlaps, 0, "nobody else is inside");
  CHECK_EQUAL(atomic_counter, (uint64_t)cpus * ROUNDS, "LOCK ADD loses nothing");
  CHECK_EQUAL(tsc_went_back, 0, "the TSC never goes back from one CPU to another");
  bool distinct = true;
  for (unsigned a = 0; a < cpus; ++a) {
    for (unsigned b = a + 1; b < cpus; ++b) distinct = distinct && apic_ids[a] != apic_ids[b];
  }
  CHECK(distinct, "every CPU has an APIC ID of its own");
  if (cpus > 1) check_ipis();
}
