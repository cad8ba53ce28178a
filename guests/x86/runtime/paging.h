// SPDX-License-Identifier: MIT
//
// More mappings than the identity map of the low 4 GiB: for tests of paging. Addresses from 512 GiB
// up (another PML4 entry) are free.
#pragma once

#include <stdint.h>

enum {
  PAGE_PRESENT = 1 << 0,
  PAGE_WRITE = 1 << 1,
  PAGE_USER = 1 << 2,
  PAGE_ACCESSED = 1 << 5,
  PAGE_DIRTY = 1 << 6,
  PAGE_LARGE = 1 << 7,
  PAGE_GLOBAL = 1 << 8,
};
#define PAGE_NX (1ULL << 63)

enum { LEVEL_4K = 1, LEVEL_2M = 2, LEVEL_1G = 3 };

/// Maps one page of the level's size, and returns its entry. Upper levels permit everything.
volatile uint64_t* page_map(uint64_t linear, uint64_t physical, uint64_t flags, unsigned level);
/// The entry that maps `linear`, which must be mapped at this level.
volatile uint64_t* page_entry(uint64_t linear, unsigned level);
