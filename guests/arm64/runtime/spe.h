// SPDX-License-Identifier: MIT
//
// The Statistical Profiling Extension of this CPU, and what records say.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

#define PMSCR_EL1 s3_0_c9_c9_0
#define PMSNEVFR_EL1 s3_0_c9_c9_1
#define PMSICR_EL1 s3_0_c9_c9_2
#define PMSIRR_EL1 s3_0_c9_c9_3
#define PMSFCR_EL1 s3_0_c9_c9_4
#define PMSEVFR_EL1 s3_0_c9_c9_5
#define PMSLATFR_EL1 s3_0_c9_c9_6
#define PMSIDR_EL1 s3_0_c9_c9_7
#define PMBLIMITR_EL1 s3_0_c9_c10_0
#define PMBPTR_EL1 s3_0_c9_c10_1
#define PMBSR_EL1 s3_0_c9_c10_3
#define PMBIDR_EL1 s3_0_c9_c10_7
/// read_sysreg() and write_sysreg() of names that are macros.
#define read_spe(name) read_sysreg(name)
#define write_spe(name, value) write_sysreg(name, value)

enum {
  PMSCR_E0SPE = 1 << 0,
  PMSCR_E1SPE = 1 << 1,
  PMSCR_CX = 1 << 3,
  PMSCR_PA = 1 << 4,
  PMSCR_TS = 1 << 5,
  PMSFCR_FE = 1 << 0,
  PMSFCR_FT = 1 << 1,
  PMSFCR_FL = 1 << 2,
  PMSFCR_B = 1 << 16,
  PMSFCR_LD = 1 << 17,
  PMSFCR_ST = 1 << 18,
  PMBLIMITR_E = 1 << 0,
  PMBSR_BSC_FULL = 1,
  PMBSR_COLL = 1 << 16,
  PMBSR_S = 1 << 17,
};
#define PMBSR_EC(value) ((value) >> 26 & 0x3f)
enum { EC_STAGE1 = 0x24, INTID_SPE = 21, SPE_RECORD_BYTES = 64 };

static inline void psb_csync(void) {
  __asm__ volatile("hint #17" : : : "memory");
}
/// What has been sampled is in the buffer, and PMBPTR_EL1 behind it.
static inline void spe_drain(void) {
  psb_csync();
  __asm__ volatile("dsb nsh" : : : "memory");
  isb();
}

/// From `base` on, at one in `interval` operations (a multiple of 256), without random part.
static inline void spe_start(uint64_t base, uint64_t limit, uint64_t interval, uint64_t pmscr) {
  write_spe(PMSCR_EL1, 0);
  isb();
  write_spe(PMBSR_EL1, 0);
  write_spe(PMBPTR_EL1, base);
  write_spe(PMSIRR_EL1, interval);
  write_spe(PMSICR_EL1, 0);
  isb();
  write_spe(PMBLIMITR_EL1, limit | PMBLIMITR_E);
  isb();
  write_spe(PMSCR_EL1, pmscr);
  isb();
}
static inline void spe_stop(void) {
  write_spe(PMSCR_EL1, 0);
  isb();
  spe_drain();
  write_spe(PMBLIMITR_EL1, 0);
  isb();
}

struct spe_record {
  uint64_t pc, address, target, timestamp;  ///< of `pc`, the highest byte is exception level and NS
  uint64_t physical;
  uint32_t events, context;
  uint16_t total_latency;
  uint8_t type, payload;  ///< header and payload of the operation type packet; 0: there was none
  bool has_timestamp;
};
/// The record at `at`, which ends at `end`. Null: it is none. Otherwise what is behind it and its
/// padding.
const uint8_t* spe_parse(const uint8_t* at, const uint8_t* end, struct spe_record* record);
