// SPDX-License-Identifier: MIT
#include "paging.h"

#include "console.h"
#include "cpu.h"

enum { TABLES = 32 };
#define ADDRESS_MASK 0x000ffffffffff000ULL

static uint64_t tables[TABLES][512] __attribute__((aligned(4096)));
static unsigned used_tables;

static volatile uint64_t* entry_at(uint64_t table, uint64_t linear, unsigned level) {
  return (volatile uint64_t*)(table & ADDRESS_MASK) + (linear >> (3 + 9 * level) & 511);
}

volatile uint64_t* page_entry(uint64_t linear, unsigned level) {
  volatile uint64_t* entry = entry_at(read_cr3(), linear, 4);
  for (unsigned at = 3; at >= level; --at) {
    if ((*entry & PAGE_PRESENT) == 0) {
      if (used_tables == TABLES) panic("out of page tables");
      *entry = (uint64_t)tables[used_tables++] | PAGE_PRESENT | PAGE_WRITE | PAGE_USER;
    }
    entry = entry_at(*entry, linear, at);
  }
  return entry;
}

volatile uint64_t* page_map(uint64_t linear, uint64_t physical, uint64_t flags, unsigned level) {
  volatile uint64_t* entry = page_entry(linear, level);
  *entry = physical | flags | (level == LEVEL_4K ? 0 : PAGE_LARGE);
  invlpg((const void*)linear);
  return entry;
}
