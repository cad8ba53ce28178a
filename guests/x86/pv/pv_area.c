// SPDX-License-Identifier: MIT
//
// Where a shared page can be, and what the host writes there. Needs two CPUs.
#include "offer.h"
#include "pmu/access.h"
#include "runtime/boot_information.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/smp.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static uint32_t area(void) {
  return pv_msr(PVPERF_MSR_AREA);
}

/// Where RAM below 3 GiB ends by multiboot's memory map; `usable`: what of it is ours.
static uint64_t end_of_ram(bool usable) {
  const uint32_t* information = boot_information();
  const char* at = (const char*)(uint64_t)information[12];
  const char* end = at + information[11];
  uint64_t last = 0;
  while (at < end) {
    uint32_t entry[6];  // size, base, length, type
    __builtin_memcpy(entry, at, sizeof entry);
    const uint64_t base = entry[1] | (uint64_t)entry[2] << 32;
    const uint64_t behind = base + (entry[3] | (uint64_t)entry[4] << 32);
    if (behind > last && behind <= 0xc0000000 && (!usable || entry[5] == 1)) last = behind;
    at += entry[0] + 4;
  }
  return last & ~4095ULL;
}

static void check_bad_places(void) {
  CHECK(keeps(area(), (uint64_t)&pv_pages[0] | 1), "a page of RAM is taken");
  const unsigned bits = cpuid(0x80000008, 0).eax & 0xff;
  const uint64_t ram = end_of_ram(false), usable = end_of_ram(true);
  const struct {
    uint64_t page;
    const char* what;
  } bad[] = {
      {0xfee00000, "the local APIC"},
      {0xfec00000, "the I/O APIC"},
      {0xd0000000, "a hole"},
      {0xfffff000, "the last page below 4 GiB, where ROMs are"},
      {ram, "the page behind RAM"},
      {1ULL << (bits - 1), "far behind RAM"},
      {(1ULL << bits) - 4096, "the last page that there can be"},
  };
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; ++i) {
    CHECK(refuses(area(), bad[i].page | 1), "0x%lx, %s, is refused, and the page stays",
          bad[i].page, bad[i].what);
  }
  const uint64_t before = pv_pages[0].pub_ns;
  wrmsr(pv_msr(PVPERF_MSR_BATCH), PVPERF_BATCH_SNAP | 1);
  CHECK(pv_pages[0].pub_ns >= before && pv_pages[0].batch_seq == 1, "and is still written");
  CHECK(keeps(area(), (usable - 4096) | 1), "the last page that is ours is taken");
  wrmsr(area(), 0);
}

/// In EVTSEL, not enabled.
static const uint64_t unused_event = (uint64_t)PVPERF_BRANCHES << 8;

static bool all_zero(const void* from, uint64_t bytes) {
  const uint8_t* at = from;
  for (uint64_t i = 0; i < bytes; ++i) {
    if (at[i] != 0) return false;
  }
  return true;
}
static bool all_are(const void* from, uint64_t bytes, uint8_t value) {
  const uint8_t* at = from;
  for (uint64_t i = 0; i < bytes; ++i) {
    if (at[i] != value) return false;
  }
  return true;
}

static void check_content(void) {
  struct pvperf_page* page = &pv_pages[0];
  __builtin_memset(page, 0xcc, sizeof *page);
  wrmsr(pv_bank(0, PVPERF_BANK_COUNT), 77);
  wrmsr(pv_bank(pv.events - 1, PVPERF_BANK_EVTSEL), unused_event);
  wrmsr(area(), (uint64_t)page | 1);
  CHECK_EQUAL(page->seq & 1, 0, "the page is stable when it is enabled");
  CHECK_EQUAL(page->abi, pv.version, "it has the version");
  CHECK(page->global_ctrl == 0 && page->global_status == 0, "what is enabled, and status");
  CHECK(page->pub_tsc != 0 && page->pub_tsc <= rdtsc(), "the TSC of before");
  CHECK_EQUAL(page->host_flags & ~(uint32_t)PVPERF_HOST_PERIODIC, 0, "no hardware counters");
  CHECK_EQUAL(page->host_flags & PVPERF_HOST_PERIODIC,
              pv.publish_us != 0 ? PVPERF_HOST_PERIODIC : 0, "whether it is refreshed");
  CHECK(page->pad0 == 0 && page->resv0 == 0, "zeroes where nothing is");
  CHECK_EQUAL(page->events[0].count, 77, "the events");
  CHECK_EQUAL(page->events[pv.events - 1].evtsel, unused_event, "up to the last");
  CHECK(all_zero(&page->events[pv.events], (32 - pv.events) * sizeof page->events[0]),
        "and zeroes behind it");
  CHECK(all_are(&page->cmd_flags, 64, 0xcc) && all_are(page->commands, sizeof page->commands, 0xcc),
        "what the guest writes is as it was");
  wrmsr(area(), 0);
  __builtin_memset(page, 0xcc, sizeof *page);
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 1);
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0);
  CHECK(all_are(page, sizeof *page, 0xcc), "when it is disabled nothing is written any more");
  __builtin_memset(page, 0, sizeof *page);
  pv_clear();
}

static void check_publication(void) {
  struct pvperf_page* page = &pv_pages[0];
  struct pvperf_cpu* cpu = pv_start_cpu();
  uint32_t seq = page->seq;
  pvperf_program(&pv, 0, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 0);
  CHECK_EQUAL(page->seq, seq, "writing a register does not write the page");
  pvperf_enable(&pv, 1);
  CHECK_EQUAL(page->seq, seq, "nor does starting an event");
  rdmsr(pv_bank(0, PVPERF_BANK_COUNT));
  CHECK_EQUAL(page->seq, seq, "nor reading it");
  pvperf_enable(&pv, 0);
  CHECK(page->seq == seq + 2, "stopping one does");
  CHECK_EQUAL(page->events[0].count, rdmsr(pv_bank(0, PVPERF_BANK_COUNT)),
              "and the count is exact then");
  CHECK_EQUAL(page->events[0].time_running, rdmsr(pv_bank(0, PVPERF_BANK_TIME_RUN)),
              "as is the time");
  seq = page->seq;
  const uint32_t batches = page->batch_seq;
  CHECK_EQUAL(pvperf_snap(cpu), PVPERF_OK, "SNAP works");
  CHECK(page->seq == seq + 2 && page->batch_seq == batches + 1, "and is one publication");

  if (pv.publish_us != 0) {
    pvperf_enable(&pv, 1);
    seq = page->seq;
    // Two publish periods' worth of time, however fast the clock is in instructions.
    const uint64_t since = *(volatile uint64_t*)&page->pub_ns;
    uint64_t spins = 0;
    while (*(volatile uint64_t*)&page->pub_ns < since + 2000ULL * pv.publish_us &&
           ++spins < 100000000) {
    }
    CHECK(page->pub_ns >= since + 2000ULL * pv.publish_us,
          "while an event runs the page is written every %u us without any access", pv.publish_us);
    pvperf_enable(&pv, 0);
  }
  pv_clear();
}

static volatile bool taken_there;
static void other_takes(void* page) {
  taken_there = !refuses(area(), (uint64_t)page | 1);
}
static void other_keeps(void* page) {
  taken_there = keeps(area(), (uint64_t)page | 1);
}
static void other_releases(void* unused) {
  (void)unused;
  wrmsr(area(), 0);
}
static bool on_other(void (*function)(void*), void* argument) {
  smp_run(1, function, argument);
  smp_wait(1);
  return taken_there;
}

static void check_overlap(void) {
  if (smp_start() < 2) {
    check_skip("a second CPU");
    return;
  }
  wrmsr(area(), (uint64_t)&pv_pages[0] | 1);
  CHECK(!on_other(other_takes, &pv_pages[0]), "another CPU does not get the same page");
  CHECK(on_other(other_keeps, &pv_pages[1]), "but one of its own");
  CHECK(!on_other(other_takes, &pv_pages[0]), "it does not get the first instead, either");
  CHECK(refuses(area(), (uint64_t)&pv_pages[1] | 1), "nor does the first get the second's");
  wrmsr(area(), 0);
  CHECK(on_other(other_keeps, &pv_pages[0]), "unless that has been given back");
  CHECK(keeps(area(), (uint64_t)&pv_pages[1] | 1), "which gives back the other");
  CHECK(keeps(area(), (uint64_t)&pv_pages[1] | 1), "the same page again is no overlap");
  on_other(other_releases, 0);
  wrmsr(area(), 0);
}

void guest_main(void) {
  pv_start();
  check_bad_places();
  check_content();
  check_publication();
  check_overlap();
}
