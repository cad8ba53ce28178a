// SPDX-License-Identifier: MIT
//
// Page tables: every page size, every permission, accessed and dirty bits, and what must be noticed
// after INVLPG and after loading CR3.
#include "runtime/paging.h"

#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

#define AREA 0x8000000000ULL  // 512 GiB: nothing is mapped here
#define ATTEMPT static __attribute__((noinline, noclone)) void

static volatile uint64_t pages[4][512] __attribute__((aligned(4096)));
static uint8_t code_page[4096] __attribute__((aligned(4096)));

static volatile uint64_t* at(uint64_t linear) {
  return (volatile uint64_t*)linear;
}

ATTEMPT read_address(void* address) {
  __asm__ volatile("mov (%0), %%rax" : : "r"(address) : "rax");
}
ATTEMPT write_address(void* address) {
  __asm__ volatile("movq $77, (%0)" : : "r"(address) : "memory");
}
ATTEMPT call_address(void* address) {
  __asm__ volatile("call *%0" : : "r"(address) : "memory");
}

static bool page_fault(uint64_t error, void (*function)(void*), uint64_t address, uint64_t cr2) {
  const struct trap trap = guard(function, (void*)address);
  if (trap.vector == VECTOR_PF && trap.error == error && trap.cr2 == cr2) return true;
  print("      (vector %lu error 0x%lx CR2 0x%lx)\n", trap.vector, trap.error, trap.cr2);
  return false;
}
static bool passes(void (*function)(void*), uint64_t address) {
  return guard(function, (void*)address).vector == NO_TRAP;
}

static void check_sizes(void) {
  pages[0][3] = 0x1111;
  const uint64_t physical = (uint64_t)&pages[0][3];
  page_map(AREA, (uint64_t)pages[0], PAGE_PRESENT | PAGE_WRITE, LEVEL_4K);
  CHECK(*at(AREA + 24) == 0x1111, "a 4 KiB page shows its memory");
  page_map(AREA + (1 << 30), physical & ~0x1fffffULL, PAGE_PRESENT | PAGE_WRITE, LEVEL_2M);
  CHECK(*at(AREA + (1 << 30) + (physical & 0x1fffff)) == 0x1111, "a 2 MiB page shows its memory");
  page_map(AREA + (2ULL << 30), 0, PAGE_PRESENT | PAGE_WRITE, LEVEL_1G);
  CHECK(*at(AREA + (2ULL << 30) + physical) == 0x1111, "a 1 GiB page shows its memory");
  *at(AREA + (2ULL << 30) + physical) = 0x2222;
  CHECK(pages[0][3] == 0x2222 && *at(AREA + 24) == 0x2222, "a write shows through every alias");

  page_map(AREA + 0x1000, (uint64_t)pages[2], PAGE_PRESENT | PAGE_WRITE, LEVEL_4K);
  pages[0][511] = 0;
  pages[2][0] = 0;
  *(volatile uint64_t*)(AREA + 0xffd) = 0x8877665544332211;
  CHECK(pages[0][511] == 0x3322110000000000 && pages[2][0] == 0x8877665544,
        "a write across two pages reaches both, wherever they are");
  CHECK(*(volatile uint64_t*)(AREA + 0xffd) == 0x8877665544332211, "and reads back");
  CHECK(page_fault(2, write_address, AREA + 0x1ffc, AREA + 0x2000),
        "a write that runs into an unmapped page faults with CR2 at that page's first byte");
  CHECK(pages[2][511] == 0, "and has written nothing");
}

static void check_permissions(void) {
  page_map(AREA + 0x3000, (uint64_t)pages[1], PAGE_PRESENT, LEVEL_4K);
  CHECK(page_fault(3, write_address, AREA + 0x3008, AREA + 0x3008),
        "writing a read-only page raises #PF(W, P)");
  CHECK(pages[1][1] == 0, "and does not write");
  write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
  CHECK(passes(write_address, AREA + 0x3008) && pages[1][1] == 77,
        "without CR0.WP the kernel may write a read-only page");
  write_cr0(read_cr0() | CR0_WP);
  CHECK(page_fault(3, write_address, AREA + 0x3008, AREA + 0x3008),
        "setting CR0.WP again takes effect at once");

  code_page[0] = 0xc3;
  page_map(AREA + 0x4000, (uint64_t)code_page, PAGE_PRESENT | PAGE_WRITE, LEVEL_4K);
  CHECK(passes(call_address, AREA + 0x4000), "code runs from a page without NX");
  page_map(AREA + 0x4000, (uint64_t)code_page, PAGE_PRESENT | PAGE_WRITE | PAGE_NX, LEVEL_4K);
  CHECK(page_fault(0x11, call_address, AREA + 0x4000, AREA + 0x4000),
        "executing a page with NX raises #PF(I, P)");
  CHECK(passes(read_address, AREA + 0x4000), "reading it is allowed");

  page_map(AREA + 0x5000, (uint64_t)pages[1] | 1ULL << 51, PAGE_PRESENT, LEVEL_4K);
  CHECK(page_fault(9, read_address, AREA + 0x5000, AREA + 0x5000),
        "an address bit beyond the physical width raises #PF(RSVD, P)");
  page_map(AREA + (3ULL << 30), 1 << 13, PAGE_PRESENT, LEVEL_2M);
  CHECK(page_fault(0xb, write_address, AREA + (3ULL << 30), AREA + (3ULL << 30)),
        "a reserved address bit of a 2 MiB page raises #PF(RSVD, W, P)");
}

static void check_accessed_and_dirty(void) {
  volatile uint64_t* entry =
      page_map(AREA + 0x6000, (uint64_t)pages[3], PAGE_PRESENT | PAGE_WRITE, LEVEL_4K);
  CHECK((*entry & (PAGE_ACCESSED | PAGE_DIRTY)) == 0, "a new entry is neither accessed nor dirty");
  (void)*at(AREA + 0x6000);
  CHECK((*entry & (PAGE_ACCESSED | PAGE_DIRTY)) == PAGE_ACCESSED, "reading sets accessed only");
  *at(AREA + 0x6000) = 1;
  CHECK((*entry & (PAGE_ACCESSED | PAGE_DIRTY)) == (PAGE_ACCESSED | PAGE_DIRTY),
        "writing sets dirty, also when the page was read before");
  *entry &= ~(uint64_t)(PAGE_ACCESSED | PAGE_DIRTY);
  invlpg((void*)(AREA + 0x6000));
  *at(AREA + 0x6008) = 2;
  CHECK((*entry & PAGE_DIRTY) != 0, "a bit cleared before INVLPG is set again");
}

static void check_invalidation(void) {
  pages[0][0] = 100;
  pages[1][0] = 101;
  volatile uint64_t* entry =
      page_map(AREA + 0x7000, (uint64_t)pages[0], PAGE_PRESENT | PAGE_WRITE, LEVEL_4K);
  CHECK_EQUAL(*at(AREA + 0x7000), 100, "a page is read");
  *entry = (uint64_t)pages[1] | PAGE_PRESENT | PAGE_WRITE;
  invlpg((void*)(AREA + 0x7ff0));
  CHECK_EQUAL(*at(AREA + 0x7000), 101, "after INVLPG with any address in it, the new page is read");
  *entry = (uint64_t)pages[0] | PAGE_PRESENT | PAGE_WRITE;
  write_cr3(read_cr3());
  CHECK_EQUAL(*at(AREA + 0x7000), 100, "after loading CR3 the new page is read");
  *entry = 0;
  invlpg((void*)(AREA + 0x7000));
  CHECK(page_fault(0, read_address, AREA + 0x7000, AREA + 0x7000),
        "after INVLPG an entry that is gone faults");
  *entry = (uint64_t)pages[0] | PAGE_PRESENT;
  CHECK(passes(read_address, AREA + 0x7000), "an entry that appears needs no INVLPG");

  // Code: the same linear address, other bytes.
  static uint8_t other_code[4096] __attribute__((aligned(4096)));
  const uint8_t return_1[] = {0xb8, 1, 0, 0, 0, 0xc3}, return_2[] = {0xb8, 2, 0, 0, 0, 0xc3};
  __builtin_memcpy(code_page, return_1, sizeof return_1);
  __builtin_memcpy(other_code, return_2, sizeof return_2);
  int (*const function)(void) = (int (*)(void))(AREA + 0x8000);
  page_map(AREA + 0x8000, (uint64_t)code_page, PAGE_PRESENT, LEVEL_4K);
  const int first = function();
  page_map(AREA + 0x8000, (uint64_t)other_code, PAGE_PRESENT, LEVEL_4K);
  CHECK(first == 1 && function() == 2, "after INVLPG the code of the new page runs");
}

// ---- SMEP and SMAP
// ------------------------------------------------------------------------------------

USER_CODE static void user_function(void) {}
USER_DATA static uint64_t user_word;
USER_CODE static void user_write(volatile uint64_t* address) {
  *address = 1;
}

static void stac(void) {
  __asm__ volatile("stac" : : : "memory");
}
static void clac(void) {
  __asm__ volatile("clac" : : : "memory");
}

static void check_supervisor_protection(void) {
  const uint32_t features = cpuid(7, 0).ebx;
  const uint64_t code = (uint64_t)user_function;
  if ((features >> 7 & 1) != 0) {
    CHECK(passes(call_address, code), "without SMEP the kernel may execute user pages");
    write_cr4(read_cr4() | CR4_SMEP);
    CHECK(page_fault(0x11, call_address, code, code), "with SMEP that raises #PF(I, P)");
    write_cr4(read_cr4() & ~(uint64_t)CR4_SMEP);
  } else {
    check_skip("SMEP");
  }
  if ((features >> 20 & 1) != 0) {
    const uint64_t data = (uint64_t)&user_word;
    write_cr4(read_cr4() | CR4_SMAP);
    clac();
    CHECK(page_fault(1, read_address, data, data), "with SMAP reading user data raises #PF(P)");
    CHECK(page_fault(3, write_address, data, data), "with SMAP writing it raises #PF(W, P)");
    stac();
    CHECK(passes(read_address, data) && passes(write_address, data), "STAC permits both");
    clac();
    CHECK(page_fault(1, read_address, data, data), "CLAC forbids them again");
    write_cr4(read_cr4() & ~(uint64_t)CR4_SMAP);
  } else {
    check_skip("SMAP");
  }
  page_map(AREA + 0x9000, (uint64_t)pages[1], PAGE_PRESENT | PAGE_USER, LEVEL_4K);
  const struct trap trap =
      run_user((struct user_entry){.rip = (uint64_t)user_write, .rdi = AREA + 0x9000});
  CHECK(trap.vector == VECTOR_PF && trap.error == 7 && trap.cr2 == AREA + 0x9000,
        "user mode writing a read-only user page raises #PF(U, W, P)");
}

void guest_main(void) {
  check_sizes();
  check_permissions();
  check_accessed_and_dirty();
  check_invalidation();
  check_supervisor_protection();
}
