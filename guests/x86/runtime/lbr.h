// SPDX-License-Identifier: MIT
//
// The last branch records of this CPU, legacy or architectural, through one set of functions. What
// is recorded is said with the bits of IA32_LBR_CTL; legacy LBRs get what LBR_SELECT makes of them.
//
// Recording starts and stops through a switch, like a counter (struct pmu_switch): IA32_DEBUGCTL or
// IA32_LBR_CTL. Branches between the two WRMSRs are recorded, and no others: code that is to know
// its records has both WRMSRs in it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pmu.h"

enum {
  MSR_LBR_SELECT = 0x1c8,
  MSR_LBR_TOS = 0x1c9,
  MSR_LBR_FROM = 0x680,
  MSR_LBR_TO = 0x6c0,
  MSR_LBR_INFO = 0xdc0,
  MSR_ARCH_LBR_CTL = 0x14ce,
  MSR_ARCH_LBR_DEPTH = 0x14cf,
  MSR_ARCH_LBR_FROM = 0x1500,
  MSR_ARCH_LBR_TO = 0x1600,
  MSR_ARCH_LBR_INFO = 0x1200,
};
enum {
  DEBUGCTL_LBR = 1 << 0,
  DEBUGCTL_FREEZE_LBRS_ON_PMI = 1 << 11,
  LBR_SELECT_BITS = 0x3ff,
};
#define STATUS_LBR_FRZ (1ULL << 58)

/// What to record, as IA32_LBR_CTL has it. A branch is of the privilege that it ends in.
enum {
  LBR_ENABLE = 1 << 0,
  LBR_KERNEL = 1 << 1,
  LBR_USER = 1 << 2,
  LBR_CALL_STACK = 1 << 3,
  LBR_JCC = 1 << 16,
  LBR_REL_JMP = 1 << 17,
  LBR_IND_JMP = 1 << 18,
  LBR_REL_CALL = 1 << 19,
  LBR_IND_CALL = 1 << 20,
  LBR_RET = 1 << 21,
  LBR_OTHER = 1 << 22,  ///< far branches, interrupts, exceptions
  LBR_ALL_KINDS = 0x7f << 16,
  LBR_EVERYTHING = LBR_ALL_KINDS | LBR_KERNEL | LBR_USER,
  LBR_CALLS = LBR_CALL_STACK | LBR_REL_CALL | LBR_IND_CALL | LBR_RET,
};

enum lbr_kind { LBR_NONE, LBR_LEGACY, LBR_ARCHITECTURAL };
enum { LBR_MOST = 32 };

struct lbr {
  enum lbr_kind kind;
  unsigned format;          ///< IA32_PERF_CAPABILITIES[5:0]
  unsigned depth;           ///< records; of architectural LBRs as many as there can be
  uint32_t from, to, info;  ///< MSRs; info 0: there is none
};
/// Of CPU 0, and all the others are like it. Filled by lbr_probe().
extern struct lbr lbr;

/// Finds out which LBRs there are, and changes nothing; false without any. Legacy LBRs are taken to
/// be what the format has always come with: 32 records with INFO, otherwise 16.
bool lbr_probe(void);
/// lbr_probe() and lbr_clear(), and prints which LBRs they are. Panics without any.
void lbr_start(void);

/// LBR_SELECT for these bits of IA32_LBR_CTL.
uint64_t lbr_select(uint64_t what);
/// Sets what to record (LBR_*), while nothing is recorded. The switch starts it.
struct pmu_switch lbr_arm(uint64_t what);
/// Stops recording. Better from code without branches: see above.
void lbr_disable(void);
/// No records, and nothing is recorded.
void lbr_clear(void);

struct lbr_record {
  uint64_t from, to;
  uint64_t info;  ///< the register as it is; 0 if there is none
  bool mispredicted;
  uint32_t cycles;  ///< since the record before; 0 without INFO
  int type;         ///< bit of LBR_JCC and so on, less 16; -1: the record does not say
};
/// Record `age`, 0 the newest; `tos` as MSR_LBR_TOS reads, of no meaning for architectural LBRs.
struct lbr_record lbr_read(unsigned age, unsigned tos);
/// All `lbr.depth` records, newest first; returns how many there are before the first without FROM.
unsigned lbr_read_all(struct lbr_record records[LBR_MOST]);
/// Index of the newest record.
unsigned lbr_tos(void);
