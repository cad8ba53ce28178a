// SPDX-License-Identifier: MIT
#include "lbr.h"

#include "console.h"

struct lbr lbr;

bool lbr_probe(void) {
  lbr = (struct lbr){.kind = LBR_NONE};
  if (cpuid(0, 0).ebx != 0x756e6547) return false;  // "Genu"
  if ((cpuid(1, 0).ecx >> 15 & 1) == 0) return false;
  lbr.format = rdmsr(MSR_PERF_CAPABILITIES) & 0x3f;
  if ((cpuid(7, 0).edx >> 19 & 1) != 0) {
    const uint32_t depths = cpuid(0x1c, 0).eax & 0xff;
    if (depths == 0) return false;
    lbr.kind = LBR_ARCHITECTURAL;
    lbr.depth = 8 * (32 - (unsigned)__builtin_clz(depths));
    lbr.from = MSR_ARCH_LBR_FROM;
    lbr.to = MSR_ARCH_LBR_TO;
    lbr.info = MSR_ARCH_LBR_INFO;
    return true;
  }
  if (lbr.format < 3 || lbr.format > 5) return false;
  lbr.kind = LBR_LEGACY;
  lbr.depth = lbr.format == 5 ? 32 : 16;
  lbr.from = MSR_LBR_FROM;
  lbr.to = MSR_LBR_TO;
  lbr.info = lbr.format == 5 ? MSR_LBR_INFO : 0;
  return true;
}

void lbr_start(void) {
  if (!lbr_probe()) panic("this machine has no LBRs");
  lbr_clear();
  print("LBRs: %s, format 0x%x, %u records\n",
        lbr.kind == LBR_ARCHITECTURAL ? "architectural" : "legacy", lbr.format, lbr.depth);
}

uint64_t lbr_select(uint64_t what) {
  // By bit of LBR_SELECT: what has to be wanted for the bit to be 0.
  static const uint32_t wanted[] = {LBR_KERNEL,   LBR_USER,     LBR_JCC,
                                    LBR_REL_CALL, LBR_IND_CALL, LBR_RET,
                                    LBR_IND_JMP,  LBR_REL_JMP,  LBR_OTHER};
  uint64_t select = (what & LBR_CALL_STACK) != 0 ? 1 << 9 : 0;
  for (unsigned bit = 0; bit < sizeof wanted / sizeof *wanted; ++bit) {
    if ((what & wanted[bit]) == 0) select |= 1ULL << bit;
  }
  return select;
}

struct pmu_switch lbr_arm(uint64_t what) {
  if (lbr.kind == LBR_ARCHITECTURAL)
    return (struct pmu_switch){what | LBR_ENABLE, MSR_ARCH_LBR_CTL};
  wrmsr(MSR_LBR_SELECT, lbr_select(what));
  return (struct pmu_switch){DEBUGCTL_LBR, MSR_DEBUGCTL};
}

void lbr_disable(void) {
  wrmsr(lbr.kind == LBR_ARCHITECTURAL ? MSR_ARCH_LBR_CTL : MSR_DEBUGCTL, 0);
}

void lbr_clear(void) {
  lbr_disable();
  if (lbr.kind == LBR_ARCHITECTURAL) {
    wrmsr(MSR_ARCH_LBR_DEPTH, lbr.depth);
    return;
  }
  for (unsigned i = 0; i < lbr.depth; ++i) {
    wrmsr(lbr.from + i, 0);
    wrmsr(lbr.to + i, 0);
    if (lbr.info != 0) wrmsr(lbr.info + i, 0);
  }
  wrmsr(MSR_LBR_TOS, 0);
}

unsigned lbr_tos(void) {
  return lbr.kind == LBR_ARCHITECTURAL ? 0 : (unsigned)rdmsr(MSR_LBR_TOS);
}

/// The low 64 - `flags` bits of FROM, with the sign of the highest of them.
static uint64_t sign_extended(uint64_t value, unsigned flags) {
  return (uint64_t)((int64_t)(value << flags) >> flags);
}

/// INFO[59:56] as the kind's bit of IA32_LBR_CTL, less 16.
static int kind_of_type(unsigned type) {
  static const int kinds[] = {0, 2, 1, 4, 3, 5};
  if (type < sizeof kinds / sizeof *kinds) return kinds[type];
  return type >= 8 ? 6 : -1;
}

struct lbr_record lbr_read(unsigned age, unsigned tos) {
  const bool architectural = lbr.kind == LBR_ARCHITECTURAL;
  const unsigned i = architectural ? age : (tos - age) & (lbr.depth - 1);
  struct lbr_record r = {.from = rdmsr(lbr.from + i), .to = rdmsr(lbr.to + i), .type = -1};
  if (lbr.info == 0) {
    r.mispredicted = r.from >> 63 != 0;
    r.from = sign_extended(r.from, lbr.format == 4 ? 3 : 1);
    return r;
  }
  r.info = rdmsr(lbr.info + i);
  r.mispredicted = r.info >> 63 != 0;
  r.cycles = r.info & 0xffff;
  if (architectural) r.type = kind_of_type(r.info >> 56 & 0xf);
  return r;
}

unsigned lbr_read_all(struct lbr_record records[LBR_MOST]) {
  const unsigned tos = lbr_tos();
  unsigned count = lbr.depth;
  for (unsigned age = lbr.depth; age-- != 0;) {
    records[age] = lbr_read(age, tos);
    if (records[age].from == 0) count = age;
  }
  return count;
}
