// SPDX-License-Identifier: MIT
//
// Translation tables, 4 KiB granule. The boot map is boot_tables (level 1, 1 GiB an entry) and
// boot_ram_table (level 2, 2 MiB an entry).
#pragma once

#include <stdint.h>

#include "cpu.h"
#include "layout.h"

enum { PAGE_BYTES = 4096, TABLE_ENTRIES = 512 };

#define PTE_VALID 1ULL
#define PTE_TABLE 3ULL  // and a page at level 3
#define PTE_BLOCK 1ULL
#define PTE_NORMAL (0ULL << 2)
#define PTE_DEVICE (1ULL << 2)
#define PTE_NON_CACHEABLE (2ULL << 2)
#define PTE_EL0 (1ULL << 6)        // AP[1]
#define PTE_READ_ONLY (1ULL << 7)  // AP[2]
#define PTE_INNER (3ULL << 8)
#define PTE_AF (1ULL << 10)
#define PTE_NG (1ULL << 11)
#define PTE_DBM (1ULL << 51)
#define PTE_CONTIGUOUS (1ULL << 52)
#define PTE_PXN (1ULL << 53)
#define PTE_UXN (1ULL << 54)
#define PTE_PXN_TABLE (1ULL << 59)
#define PTE_UXN_TABLE (1ULL << 60)
#define PTE_NO_EL0_TABLE (1ULL << 61)
#define PTE_READ_ONLY_TABLE (1ULL << 62)
/// A page of normal memory that EL1 may read, write and execute.
#define PTE_PAGE (PTE_TABLE | PTE_NORMAL | PTE_INNER | PTE_AF)
#define PTE_RAM_BLOCK (PTE_BLOCK | PTE_NORMAL | PTE_INNER | PTE_AF)

#define TCR_T0SZ(bits) (64ULL - (bits))
#define TCR_T1SZ(bits) ((64ULL - (bits)) << 16)
#define TCR_A1 (1ULL << 22)
#define TCR_EPD1 (1ULL << 23)
#define TCR_IPS(n) ((uint64_t)(n) << 32)
#define TCR_AS (1ULL << 36)
#define TCR_TBI0 (1ULL << 37)
#define TCR_HA (1ULL << 39)
#define TCR_HD (1ULL << 40)
#define TCR_HPD0 (1ULL << 41)

typedef uint64_t page_table[TABLE_ENTRIES] __attribute__((aligned(PAGE_BYTES)));
extern page_table boot_tables, boot_ram_table;

/// And forgets every translation of this CPU.
static inline void set_entry(uint64_t* entry, uint64_t value) {
  *(volatile uint64_t*)entry = value;
  tlbi_all();
}
/// Both at once, as far as translation is concerned: it is off in between.
static inline void set_regime(const void* tables, uint64_t tcr) {
  __asm__ volatile(
      "msr sctlr_el1, %0\nisb\n"
      "msr ttbr0_el1, %2\nmsr tcr_el1, %3\nisb\n"
      "tlbi vmalle1\ndsb ish\nisb\n"
      "msr sctlr_el1, %1\nisb\n"
      :
      : "r"((uint64_t)SCTLR_START & ~(uint64_t)SCTLR_M), "r"((uint64_t)SCTLR_START), "r"(tables),
        "r"(tcr)
      : "memory");
}
/// For what does not change the map that is in use.
static inline void set_tcr(uint64_t value) {
  write_sysreg(tcr_el1, value);
  tlbi_all();
}
