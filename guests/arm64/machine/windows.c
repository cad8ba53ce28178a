// SPDX-License-Identifier: MIT
#include "machine/windows.h"

#include "runtime/layout.h"
#include "runtime/paging.h"

enum { RET = 0xd65f03c0, SVC_SURVIVED = 0xd4001321 };
#define WINDOW 0x80000000u

static page_table middle, last;
static uint32_t frames[WINDOW_FRAMES][PAGE_BYTES / 4] __attribute__((aligned(65536)));

uint64_t window_page(unsigned page) {
  return WINDOW + (uint64_t)page * PAGE_BYTES;
}
uint64_t window_frame(unsigned frame) {
  return (uint64_t)frames[frame];
}
uint32_t* window_frame_words(unsigned frame) {
  return frames[frame];
}
uint64_t window_marker(unsigned frame) {
  return 0x1111111100000000 | (frame + 1) * 0x01010101u;
}

uint64_t* window_entry(unsigned level) {
  return level == 1 ? &boot_tables[window_index(1)] : level == 2 ? &middle[0] : &last[0];
}
unsigned window_index(unsigned level) {
  return level == 1 ? WINDOW >> 30 : 0;
}

void window_map(unsigned page, uint64_t bits) {
  set_entry(&last[page], bits == 0 ? 0 : window_frame(page) | bits);
}
void window_map_to(unsigned page, unsigned frame, uint64_t bits) {
  set_entry(&last[page], window_frame(frame) | bits);
}

void window_restore(void) {
  for (unsigned i = 0; i < WINDOW_FRAMES; ++i) {
    frames[i][0] = RET;
    frames[i][1] = SVC_SURVIVED;
    *(uint64_t*)&frames[i][2] = window_marker(i);
    window_map(i, PTE_PAGE);
  }
  sync_code(frames, sizeof frames);
}

void window_table_bits(uint64_t bits) {
  set_entry(&middle[0], (uint64_t)last | PTE_TABLE | bits);
}

void window_start(void) {
  boot_tables[window_index(1)] = (uint64_t)middle | PTE_TABLE;
  window_table_bits(0);
  window_restore();
}

extern char rodata_start[];

unsigned window_with_wxn(unsigned (*function)(uint64_t address, unsigned level)) {
  // The image's first block is code, the user block has code, data and the stack: both are mapped
  // page by page.
  static page_table image, user;
  const uint64_t text = 0x40200000;
  for (uint64_t i = 0; i < TABLE_ENTRIES; ++i) {
    const uint64_t address = text + i * PAGE_BYTES;
    const bool code = address < (uint64_t)rodata_start;
    image[i] = address | PTE_PAGE | PTE_UXN | (code ? PTE_READ_ONLY : PTE_PXN);
    const bool stack = i > TABLE_ENTRIES / 2;
    user[i] =
        (USER_BLOCK + i * PAGE_BYTES) | PTE_PAGE | PTE_EL0 | PTE_PXN | (stack ? 0 : PTE_READ_ONLY);
  }
  uint64_t* image_entry = &boot_ram_table[(text - RAM) >> 21];
  uint64_t* user_entry = &boot_ram_table[(USER_BLOCK - RAM) >> 21];
  const uint64_t image_before = *image_entry;
  const uint64_t user_before = *user_entry;
  set_entry(image_entry, (uint64_t)image | PTE_TABLE);
  set_entry(user_entry, (uint64_t)user | PTE_TABLE);
  write_sysreg(sctlr_el1, SCTLR_START | SCTLR_WXN);
  isb();
  const unsigned result = function(window_page(0), 3);
  write_sysreg(sctlr_el1, SCTLR_START);
  isb();
  set_entry(user_entry, user_before);
  set_entry(image_entry, image_before);
  return result;
}

void window_read(void* argument) {
  const struct window_access* access = argument;
  *access->value = read64(access->address);
}
void window_write(uint64_t address, uint64_t value) {
  write64(address, value);
}

#define DEFINE_TLBI(name)                                          \
  void window_tlbi_##name(uint64_t address) {                      \
    __asm__ volatile("dsb ishst\ntlbi " #name ", %0\ndsb ish\nisb" \
                     :                                             \
                     : "r"(address >> 12)                          \
                     : "memory");                                  \
  }
DEFINE_TLBI(vae1)
DEFINE_TLBI(vale1)
DEFINE_TLBI(vaae1)
DEFINE_TLBI(vaae1is)
void window_tlbi_vmalle1(uint64_t address) {
  (void)address;
  tlbi_all();
}
void window_tlbi_vmalle1is(uint64_t address) {
  (void)address;
  __asm__ volatile("dsb ishst\ntlbi vmalle1is\ndsb ish\nisb" : : : "memory");
}
