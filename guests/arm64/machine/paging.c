// SPDX-License-Identifier: MIT
//
// Stage 1 translation: what each bit of a descriptor and of TCR_EL1 allows and forbids, at each
// level, and the syndrome of each fault.
#include "runtime/paging.h"

#include "machine/attempts.h"
#include "machine/windows.h"
#include "runtime/check.h"
#include "runtime/start.h"

// ISS of aborts.
enum { WRITE = 1 << 6, ADDRESS_SIZE = 0, TRANSLATION = 4, ACCESS_FLAG = 8, PERMISSION = 12 };
enum { EXTERNAL_WALK = 0x14 };
#define NO_MEMORY 0x7fe00000u

// ---- Permissions ----------------------------------------------------------------------------

enum { R1 = 1, W1 = 2, X1 = 4, R0 = 8, W0 = 16, X0 = 32 };

/// What EL1 and EL0 may do with the page at `address`. Its first word is `ret`, so its words
/// mean something to both.
static unsigned allowed(uint64_t address, unsigned level) {
  const uint64_t denied = PERMISSION | level;
  const struct {
    unsigned right;
    struct trap trap;
    uint64_t esr;
  } tries[] = {
      {R1, guard(read_64, (void*)address), ESR(EC_DATA_ABORT, denied)},
      {W1, guard(write_32, (void*)(address + 64)), ESR(EC_DATA_ABORT, denied | WRITE)},
      {X1, guard(jump, (void*)address), ESR(EC_INSTRUCTION_ABORT, denied)},
      {R0, attempt_in_user(user_read_64, address), ESR(EC_DATA_ABORT_EL0, denied)},
      {W0, attempt_in_user(user_write_32, address + 64), ESR(EC_DATA_ABORT_EL0, denied | WRITE)},
      {X0, attempt_in_user(user_jump, address + 4), ESR(EC_INSTRUCTION_ABORT_EL0, denied)},
  };
  unsigned rights = 0;
  for (unsigned i = 0; i < sizeof tries / sizeof *tries; ++i) {
    const struct trap* trap = &tries[i].trap;
    if (trap->kind == NO_TRAP || trap->kind == EC_SVC) {
      rights |= tries[i].right;
    } else if (trap->esr != tries[i].esr) {
      CHECK(false, "right 0x%x: ESR 0x%lx, not 0x%lx", tries[i].right, trap->esr, tries[i].esr);
    }
  }
  return rights;
}

static void check_permissions(void) {
  const uint64_t wxn = SCTLR_WXN;
  const struct {
    uint64_t bits, sctlr;
    unsigned rights;
    const char* what;
  } pages[] = {
      {0, 0, R1 | W1 | X1 | X0, "AP 00: EL1 only, and EL0 may execute it"},
      {PTE_UXN, 0, R1 | W1 | X1, "AP 00, UXN"},
      {PTE_PXN, 0, R1 | W1 | X0, "AP 00, PXN"},
      {PTE_EL0, 0, R1 | W1 | R0 | W0 | X0, "AP 01: EL1 may not execute what EL0 may write"},
      {PTE_EL0 | PTE_UXN, 0, R1 | W1 | R0 | W0, "AP 01, UXN"},
      {PTE_READ_ONLY, 0, R1 | X1 | X0, "AP 10: nobody writes"},
      {PTE_READ_ONLY | PTE_UXN | PTE_PXN, 0, R1, "AP 10, UXN, PXN"},
      {PTE_EL0 | PTE_READ_ONLY, 0, R1 | X1 | R0 | X0, "AP 11: both read and execute"},
      {PTE_EL0 | PTE_READ_ONLY | PTE_PXN, 0, R1 | R0 | X0, "AP 11, PXN"},
      {PTE_EL0 | PTE_READ_ONLY | PTE_UXN, 0, R1 | X1 | R0, "AP 11, UXN"},
      {PTE_EL0, wxn, R1 | W1 | R0 | W0, "WXN, AP 01: what is writable is not executable"},
      {PTE_EL0 | PTE_READ_ONLY, wxn, R1 | X1 | R0 | X0, "WXN, AP 11: the rest is"},
  };
  for (unsigned i = 0; i < sizeof pages / sizeof *pages; ++i) {
    window_map(0, PTE_PAGE | pages[i].bits);
    unsigned rights = 0;
    if (pages[i].sctlr != 0) {
      // The code that runs must not be writable then.
      rights = window_with_wxn(allowed);
    } else {
      rights = allowed(window_page(0), 3);
    }
    CHECK_EQUAL(rights, pages[i].rights, "%s", pages[i].what);
  }
}

static void check_table_permissions(void) {
  const struct {
    uint64_t bits;
    unsigned rights;
    const char* what;
  } tables[] = {
      {PTE_NO_EL0_TABLE, R1 | W1 | X1 | X0, "APTable 01 takes EL0's access"},
      {PTE_READ_ONLY_TABLE, R1 | X1 | R0 | X0, "APTable 10 takes writing"},
      {PTE_UXN_TABLE, R1 | W1 | R0 | W0, "UXNTable takes EL0's execution"},
      {PTE_READ_ONLY_TABLE | PTE_PXN_TABLE, R1 | R0 | X0, "PXNTable takes EL1's"},
  };
  window_map(0, PTE_PAGE | PTE_EL0);
  for (unsigned i = 0; i < sizeof tables / sizeof *tables; ++i) {
    window_table_bits(tables[i].bits);
    CHECK_EQUAL(allowed(window_page(0), 3), tables[i].rights, "%s", tables[i].what);
    if ((read_sysreg(id_aa64mmfr1_el1) >> 12 & 15) != 0) {
      set_tcr(TCR_START | TCR_HPD0);
      CHECK_EQUAL(allowed(window_page(0), 3), R1 | W1 | R0 | W0 | X0, "and HPD0 gives it back");
      set_tcr(TCR_START);
    }
  }
  window_table_bits(0);
}

// ---- Levels ---------------------------------------------------------------------------------

static bool reads(uint64_t address, uint64_t expected) {
  uint64_t value = 0;
  struct trap trap = guard(window_read, &(struct window_access){address, &value});
  if (trap.kind == NO_TRAP && value == expected) return true;
  print("      (kind 0x%lx ESR 0x%lx FAR 0x%lx value 0x%lx, not 0x%lx)\n", trap.kind, trap.esr,
        trap.far, value, expected);
  return false;
}
static bool faults(uint64_t address, uint64_t iss) {
  const struct trap trap = guard(read_64, (void*)address);
  if (trap.esr == ESR(EC_DATA_ABORT, iss) && trap.far == address) return true;
  print("      (ESR 0x%lx FAR 0x%lx, not ISS 0x%lx)\n", trap.esr, trap.far, iss);
  return false;
}

static void check_levels(void) {
  const uint64_t address = window_page(0) + 8;
  const uint64_t marker = window_marker(0);
  for (unsigned level = 1; level <= 3; ++level) {
    uint64_t* entry = window_entry(level);
    const uint64_t before = *entry;
    set_entry(entry, 0);
    CHECK(faults(address, TRANSLATION | level), "an invalid entry of level %u", level);
    if (level == 3) {
      set_entry(entry, PTE_PAGE & ~2ULL);
      CHECK(faults(address, TRANSLATION | level), "a block at level 3 is invalid");
      set_entry(entry, (1ULL << 33) | PTE_PAGE);
      set_tcr(TCR_START & ~TCR_IPS(7));
      CHECK(faults(address, ADDRESS_SIZE | level), "an output address beyond IPS");
      set_tcr(TCR_START);
    } else {
      set_entry(entry, NO_MEMORY | PTE_TABLE);
      CHECK(faults(address, EXTERNAL_WALK | (level + 1)), "a table at level %u without memory",
            level + 1);
    }
    const uint64_t type = level == 3 ? PTE_TABLE : PTE_BLOCK;
    const uint64_t span = 1ULL << (39 - 9 * level);
    const uint64_t block = (window_frame(0) & -span) | type | PTE_INNER;
    // What lies there in the block: the window's first page is not its first.
    const uint64_t in_block = (address & -span) | ((window_frame(0) + 8) & (span - 1));
    set_entry(entry, block);
    CHECK(faults(in_block, ACCESS_FLAG | level), "a level %u entry without its access flag", level);
    set_entry(entry, block | PTE_AF);
    CHECK(reads(in_block, marker), "a level %u entry maps %lu KiB", level, span >> 10);
    set_entry(entry, block | PTE_AF | PTE_READ_ONLY);
    CHECK(expect_fault(ESR(EC_DATA_ABORT, WRITE | PERMISSION | level), write_64, (void*)in_block),
          "and its permissions are those of level %u", level);
    set_entry(entry, before);
  }
}

static void check_address_sizes(void) {
  // Level 0 begins at 40 bits.
  static page_table level0;
  level0[0] = (uint64_t)boot_tables | PTE_TABLE;
  set_regime(level0, (TCR_START & ~63ULL) | TCR_T0SZ(48));
  window_map(0, PTE_PAGE);
  CHECK(reads(window_page(0) + 8, window_marker(0)), "48 bits: four levels");
  CHECK(faults(1ULL << 39, TRANSLATION), "48 bits: an invalid entry of level 0");
  CHECK(faults(1ULL << 48, TRANSLATION), "48 bits: and what is beyond");
  set_entry(&level0[1], (uint64_t)boot_tables | PTE_TABLE);
  CHECK(reads((1ULL << 39) + window_page(0) + 8, window_marker(0)), "the second entry of level 0");
  set_entry(&level0[1], PTE_RAM_BLOCK);
  CHECK(faults((1ULL << 39), TRANSLATION), "there are no blocks at level 0");
  set_regime(boot_tables, (TCR_START & ~63ULL) | TCR_T0SZ(32));
  CHECK(reads(window_page(0) + 8, window_marker(0)), "32 bits: level 1 of 4 entries");
  CHECK(faults(1ULL << 32, TRANSLATION), "32 bits: and what is beyond");
  set_tcr(TCR_START | TCR_TBI0);
  const uint64_t tag = 0xa5ULL << 56;
  CHECK(reads(window_page(0) + 8 + tag, window_marker(0)), "TBI0: the top byte is ignored");
  const struct trap trap = guard(read_64, (void*)(tag | window_page(40)));
  CHECK(trap.esr == ESR(EC_DATA_ABORT, TRANSLATION | 3) && trap.far == (tag | window_page(40)),
        "but FAR_EL1 has it");
  set_tcr(TCR_START);
  CHECK(faults(window_page(0) + tag, TRANSLATION), "without TBI0 it is not");
}

// ---- Access flag and dirty state by hardware ------------------------------------------------

static void check_hardware_updates(void) {
  const unsigned updates = read_sysreg(id_aa64mmfr1_el1) & 15;
  if (updates < 2) {
    check_skip("hardware does not update access flag and dirty state");
    return;
  }
  const uint64_t address = window_page(0) + 8;
  set_tcr(TCR_START | TCR_HA);
  window_map(0, PTE_PAGE & ~PTE_AF);
  CHECK(reads(address, window_marker(0)) && (*window_entry(3) & PTE_AF) != 0,
        "TCR.HA: a read sets the access flag");
  window_map(0, (PTE_PAGE & ~PTE_AF) | PTE_DBM | PTE_READ_ONLY);
  CHECK(expect_fault(ESR(EC_DATA_ABORT, WRITE | PERMISSION | 3), write_64, (void*)(address + 64)),
        "without TCR.HD DBM does nothing");
  set_tcr(TCR_START | TCR_HA | TCR_HD);
  window_map(0, (PTE_PAGE & ~PTE_AF) | PTE_DBM | PTE_READ_ONLY);
  CHECK(reads(address, window_marker(0)) && (*window_entry(3) & PTE_READ_ONLY) != 0,
        "TCR.HD: a read leaves a clean page clean");
  CHECK(guard(write_64, (void*)(address + 64)).kind == NO_TRAP &&
            (*window_entry(3) & PTE_READ_ONLY) == 0,
        "TCR.HD: a write makes a page with DBM dirty");
  window_map(0, PTE_PAGE | PTE_READ_ONLY);
  CHECK(expect_fault(ESR(EC_DATA_ABORT, WRITE | PERMISSION | 3), write_64, (void*)(address + 64)),
        "TCR.HD: a page without DBM stays read-only");
  set_tcr(TCR_START);
}

// ---- Contiguous pages, pages side by side ---------------------------------------------------

static void check_contiguous(void) {
  // 16 pages, one after the other, at a multiple of 64 KiB.
  for (unsigned i = 0; i < 16; ++i) window_map_to(i, i, PTE_PAGE | PTE_CONTIGUOUS);
  bool all = true;
  for (unsigned i = 0; i < 16; ++i) all = reads(window_page(i) + 8, window_marker(i)) && all;
  CHECK(all, "16 contiguous pages");
}

static void check_crossing(void) {
  window_map_to(0, 2, PTE_PAGE);
  window_map_to(1, 0, PTE_PAGE);
  const uint64_t address = window_page(1) - 4;
  window_frame_words(2)[1023] = 0x11223344;
  window_frame_words(0)[0] = 0x55667788;
  CHECK(reads(address, 0x5566778811223344), "a load across two pages that are not neighbours");
  window_write(address, 0xaabbccddeeff0011);
  CHECK(window_frame_words(2)[1023] == 0xeeff0011 && window_frame_words(0)[0] == 0xaabbccdd,
        "a store across them");
  window_map(1, 0);
  struct trap trap = guard(read_64, (void*)address);
  CHECK(trap.esr == ESR(EC_DATA_ABORT, TRANSLATION | 3) && trap.far == window_page(1),
        "the second page's fault has its first byte's address");
  window_map_to(1, 0, PTE_PAGE | PTE_READ_ONLY);
  trap = guard(write_64, (void*)address);
  CHECK(trap.esr == ESR(EC_DATA_ABORT, WRITE | PERMISSION | 3) && trap.far == window_page(1),
        "so has that of a store");
  window_restore();
}

// ---- Changes and TLBI -----------------------------------------------------------------------

static void check_invalidation(void) {
  const uint64_t address = window_page(0) + 8;
  const struct {
    void (*invalidate)(uint64_t address);
    const char* name;
  } ways[] = {{window_tlbi_vmalle1, "VMALLE1"}, {window_tlbi_vae1, "VAE1"},
              {window_tlbi_vale1, "VALE1"},     {window_tlbi_vaae1, "VAAE1"},
              {window_tlbi_vaae1is, "VAAE1IS"}, {window_tlbi_vmalle1is, "VMALLE1IS"}};
  for (unsigned i = 0; i < sizeof ways / sizeof *ways; ++i) {
    window_map_to(0, 0, PTE_PAGE);
    bool as_mapped = reads(address, window_marker(0));
    *(volatile uint64_t*)window_entry(3) = 0;
    ways[i].invalidate(address);
    as_mapped = faults(address, TRANSLATION | 3) && as_mapped;
    // What was invalid is never kept.
    *(volatile uint64_t*)window_entry(3) = window_frame(1) | PTE_PAGE;
    dsb();
    isb();
    CHECK(reads(address, window_marker(1)) && as_mapped, "a page changed with TLBI %s",
          ways[i].name);
  }
  window_restore();
}

// ---- TTBR1, and address space identifiers ---------------------------------------------------

static void check_upper_half(void) {
  const uint64_t upper = -(1ULL << 39);
  set_tcr(TCR_START & ~TCR_EPD1);
  write_sysreg(ttbr1_el1, boot_tables);
  tlbi_all();
  window_map(0, PTE_PAGE);
  CHECK(reads(upper + window_page(0) + 8, window_marker(0)), "TTBR1_EL1 maps the upper half");
  CHECK(guard((void (*)(void*))(upper + (uint64_t)read_64), window_frame_words(0)).kind == NO_TRAP,
        "and code runs there");
  CHECK(faults(upper - 8, TRANSLATION), "below it nothing is mapped");
  CHECK(faults(upper + window_page(40), TRANSLATION | 3), "its faults have their levels");
  write_sysreg(ttbr1_el1, 0);
  set_tcr(TCR_START);
}

static void use_space(const void* tables, uint64_t asid) {
  write_sysreg(ttbr0_el1, (uint64_t)tables | asid << 48);
  isb();
}

static void check_spaces(void) {
  static page_table tables, middle, last;
  for (unsigned i = 0; i < TABLE_ENTRIES; ++i) tables[i] = boot_tables[i];
  tables[window_index(1)] = (uint64_t)middle | PTE_TABLE;
  middle[window_index(2)] = (uint64_t)last | PTE_TABLE;
  last[0] = window_frame(1) | PTE_PAGE | PTE_NG;
  window_map_to(0, 0, PTE_PAGE | PTE_NG);
  const uint64_t address = window_page(0) + 8;
  bool all = true;
  for (unsigned round = 0; round < 4; ++round) {
    use_space(boot_tables, 1);
    all = reads(address, window_marker(0)) && all;
    use_space(tables, 2);
    all = reads(address, window_marker(1)) && all;
  }
  CHECK(all, "two address spaces with non-global pages: no TLBI is needed between them");
  *(volatile uint64_t*)&last[0] = window_frame(3) | PTE_PAGE | PTE_NG;
  __asm__ volatile("dsb ishst\ntlbi aside1, %0\ndsb ish\nisb" : : "r"(2ULL << 48) : "memory");
  CHECK(reads(address, window_marker(3)), "TLBI ASIDE1 forgets a space");
  use_space(boot_tables, 1);
  CHECK(reads(address, window_marker(0)), "and leaves the other");
  set_tcr(TCR_START | TCR_AS);
  use_space(tables, 0x1201);
  all = reads(address, window_marker(3));
  use_space(boot_tables, 0x3401);
  CHECK(reads(address, window_marker(0)) && all, "TCR.AS: ASIDs of 16 bits");
  // TCR.A1: the ASID is that of TTBR1_EL1.
  set_tcr(TCR_START | TCR_A1);
  write_sysreg(ttbr1_el1, 5ULL << 48);
  use_space(tables, 0);
  all = reads(address, window_marker(3));
  write_sysreg(ttbr1_el1, 6ULL << 48);
  use_space(boot_tables, 0);
  CHECK(reads(address, window_marker(0)) && all, "TCR.A1: TTBR1_EL1's ASID");
  write_sysreg(ttbr1_el1, 0);
  set_tcr(TCR_START);
  window_restore();
}

// ---- PAN ------------------------------------------------------------------------------------

static void with_pan(void* address) {
  __asm__ volatile("msr pan, #1\nldr x1, [%0]\nmsr pan, #0" : : "r"(address) : "x1", "memory");
}
static void with_pan_unprivileged(void* address) {
  __asm__ volatile("msr pan, #1\nldtr x1, [%0]\nmsr pan, #0" : : "r"(address) : "x1", "memory");
}
static volatile uint64_t pan_at_vector;
static void note_pan(struct trap* frame) {
  (void)frame;
  pan_at_vector = read_sysreg(pan) >> 22;
}

static void check_pan(void) {
  if ((read_sysreg(id_aa64mmfr1_el1) >> 20 & 15) == 0) {
    check_skip("no PAN");
    return;
  }
  window_map(0, PTE_PAGE | PTE_EL0);
  const uint64_t address = window_page(0);
  struct trap trap = guard(with_pan, (void*)address);
  CHECK(trap.esr == ESR(EC_DATA_ABORT, PERMISSION | 3) && (trap.spsr & SPSR_PAN) != 0,
        "PAN: EL1 may not read what EL0 may");
  CHECK(guard(with_pan_unprivileged, (void*)address).kind == NO_TRAP, "LDTR may");
  window_map(0, PTE_PAGE);
  CHECK(guard(with_pan, (void*)address).kind == NO_TRAP, "and what EL0 may not, EL1 may read");
  set_handler(EC_SVC, note_pan);
  supervisor_call(0);
  CHECK_EQUAL(pan_at_vector, 0, "with SCTLR.SPAN exceptions leave PAN alone");
  write_sysreg(sctlr_el1, SCTLR_START & ~SCTLR_SPAN);
  isb();
  supervisor_call(0);
  CHECK_EQUAL(pan_at_vector, 1, "without it they set it");
  CHECK_EQUAL(read_sysreg(pan), 0, "and ERET brings it back");
  set_handler(EC_SVC, 0);
  write_sysreg(sctlr_el1, SCTLR_START);
  isb();
}

// ---- AT -------------------------------------------------------------------------------------

#define TRANSLATE(operation, address)                                                      \
  ({                                                                                       \
    __asm__ volatile("at " operation ", %0\nisb" : : "r"((uint64_t)(address)) : "memory"); \
    read_sysreg(par_el1);                                                                  \
  })

static void check_address_translation(void) {
  window_map(0, PTE_PAGE | PTE_READ_ONLY);
  const uint64_t address = window_page(0);
  const uint64_t good = window_frame(0) | 0xffULL << 56 | 3 << 7 | 1 << 11;
  // PAR_EL1.NS is unknown in non-secure state.
  const uint64_t known = ~(1ULL << 9 | 1ULL << 10 | 1ULL << 11);
  CHECK_EQUAL(TRANSLATE("s1e1r", address + 0x123) & known, good & known, "AT S1E1R");
  CHECK_EQUAL(TRANSLATE("s1e1w", address) & 0x7f, (PERMISSION | 3) << 1 | 1, "AT S1E1W");
  CHECK_EQUAL(TRANSLATE("s1e0r", address) & 0x7f, (PERMISSION | 3) << 1 | 1, "AT S1E0R");
  window_map(0, PTE_PAGE | PTE_EL0);
  CHECK_EQUAL(TRANSLATE("s1e0w", address) & known, good & known, "AT S1E0W");
  CHECK_EQUAL(TRANSLATE("s1e1r", window_page(40)) & 0x7f, (TRANSLATION | 3) << 1 | 1,
              "AT of what is not mapped");
  CHECK_EQUAL(TRANSLATE("s1e1r", 0x09000000) >> 56, 4, "AT of a device says nGnRE");
}

// ---- Other granules -------------------------------------------------------------------------

/// Reads a word with the boot map in another granule; false if it is not the marker.
static bool in_granule(const void* tables, uint64_t tg0, uint64_t address) {
  set_regime(tables, (TCR_START & ~(3ULL << 14)) | tg0 << 14);
  const bool same = reads(address, window_marker(0));
  set_regime(boot_tables, TCR_START);
  return same;
}

static void check_granules(void) {
  const uint64_t features = read_sysreg(id_aa64mmfr0_el1);
  const uint64_t device = PTE_BLOCK | PTE_DEVICE | PTE_AF | PTE_UXN | PTE_PXN;
  // 64 KiB: level 2 is 512 MiB an entry.
  static uint64_t big[1024] __attribute__((aligned(65536)));
  if ((features >> 24 & 15) == 0) {
    big[0] = device;
    big[2] = RAM | PTE_RAM_BLOCK | PTE_UXN;
    static uint64_t pages[8192] __attribute__((aligned(65536)));
    pages[1] = (window_frame(0) & ~0xffffULL) | PTE_PAGE;
    big[4] = (uint64_t)pages | PTE_TABLE;
    const uint64_t offset = window_frame(0) & 0xffff;
    CHECK(in_granule(big, 1, window_frame(0) + 8), "64 KiB granule: a block of 512 MiB");
    CHECK(in_granule(big, 1, 0x80010000 + offset + 8), "64 KiB granule: a page");
  } else {
    check_skip("no 64 KiB granule");
  }
  // 16 KiB: level 1 is 64 GiB an entry, level 2 32 MiB.
  static uint64_t top[2048] __attribute__((aligned(16384)));
  static uint64_t blocks[2048] __attribute__((aligned(16384)));
  if ((features >> 20 & 15) != 0) {
    top[0] = (uint64_t)blocks | PTE_TABLE;
    for (unsigned i = 0; i < 8; ++i) blocks[i] = (uint64_t)i << 25 | device;
    for (unsigned i = 32; i < 40; ++i) blocks[i] = (uint64_t)i << 25 | PTE_RAM_BLOCK | PTE_UXN;
    static uint64_t pages[2048] __attribute__((aligned(16384)));
    pages[3] = (window_frame(0) & ~0x3fffULL) | PTE_PAGE;
    blocks[64] = (uint64_t)pages | PTE_TABLE;
    const uint64_t offset = window_frame(0) & 0x3fff;
    CHECK(in_granule(top, 2, window_frame(0) + 8), "16 KiB granule: a block of 32 MiB");
    CHECK(in_granule(top, 2, 0x8000c000 + offset + 8), "16 KiB granule: a page");
  } else {
    check_skip("no 16 KiB granule");
  }
}

// ---- Without translation --------------------------------------------------------------------

static void check_off(void) {
  window_map_to(0, 1, PTE_PAGE);
  uint64_t off;
  __asm__ volatile(
      "msr sctlr_el1, %1\nisb\n"
      "ldr %0, [%3]\n"
      "msr sctlr_el1, %2\nisb\n"
      : "=&r"(off)
      : "r"((uint64_t)SCTLR_START & ~(uint64_t)(SCTLR_M)), "r"((uint64_t)SCTLR_START),
        "r"(window_frame(0) + 8)
      : "memory");
  CHECK_EQUAL(off, window_marker(0), "with SCTLR.M off addresses are physical");
  CHECK(reads(window_page(0) + 8, window_marker(1)), "and with it on they are as before");
  window_restore();
}

void guest_main(void) {
  window_start();
  check_permissions();
  check_table_permissions();
  check_levels();
  check_address_sizes();
  check_hardware_updates();
  check_contiguous();
  check_crossing();
  check_invalidation();
  check_upper_half();
  check_spaces();
  check_pan();
  check_address_translation();
  check_granules();
  check_off();
}
