// SPDX-License-Identifier: MIT
//
// A window of 512 pages behind RAM, mapped page by page to a few frames that can be told apart.
#pragma once

#include <stdint.h>

enum { WINDOW_FRAMES = 16 };

/// Makes the tables, and maps page i to frame i, EL1 only.
void window_start(void);
/// Page i to frame i, with these bits; not at all for 0. Forgets translations.
void window_map(unsigned page, uint64_t bits);
void window_map_to(unsigned page, unsigned frame, uint64_t bits);
/// All as after window_start().
void window_restore(void);

uint64_t window_page(unsigned page);    ///< virtual address
uint64_t window_frame(unsigned frame);  ///< physical address
uint32_t* window_frame_words(unsigned frame);
/// What its bytes 8 to 15 are.
uint64_t window_marker(unsigned frame);
/// Where the entry of page 0 is, at a level, and its index there.
uint64_t* window_entry(unsigned level);
unsigned window_index(unsigned level);
/// More bits in the table entry of level 2.
void window_table_bits(uint64_t bits);
/// function(page 0, level 3) while SCTLR_EL1.WXN is set, with EL1's code and EL0's read-only.
unsigned window_with_wxn(unsigned (*function)(uint64_t address, unsigned level));

struct window_access {
  uint64_t address;
  uint64_t* value;
};
/// A load of 64 bits, for guard().
void window_read(void* access);
void window_write(uint64_t address, uint64_t value);

// Each with the barriers that it needs; this CPU's ASID is 0.
void window_tlbi_vmalle1(uint64_t address);
void window_tlbi_vmalle1is(uint64_t address);
void window_tlbi_vae1(uint64_t address);
void window_tlbi_vale1(uint64_t address);
void window_tlbi_vaae1(uint64_t address);
void window_tlbi_vaae1is(uint64_t address);
