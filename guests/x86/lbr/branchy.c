// SPDX-License-Identifier: MIT
//
// A workload of which every fifth instruction is a branch, recorded or not: what recording costs.
// Of 1,000 instructions, by the report's totals, 197 are branches: 150 conditional, 22 calls and as
// many returns, 6 indirect calls. 151 of them are taken. Options:
//   lbr=on    records all branches; otherwise nothing of LBRs is touched
//   rounds=N  100 if it is not given
#include "runtime/check.h"
#include "runtime/lbr.h"
#include "runtime/start.h"

enum { WORDS = 4096, BUCKETS = 512, EMPTY = 0xffff };

static uint32_t words[WORDS];
static uint16_t first_of[BUCKETS], next_of[WORDS];

static __attribute__((noinline)) uint32_t mix(uint32_t x) {
  return (x ^ x >> 15) * 0x2c1b3c6d;
}
static __attribute__((noinline)) uint64_t odd(uint64_t sum, uint32_t word) {
  return (word & 2) != 0 ? sum + word : sum - 1;
}
static __attribute__((noinline)) uint64_t even(uint64_t sum, uint32_t word) {
  return (word & 4) != 0 ? sum ^ word : sum;
}
static __attribute__((noinline)) uint64_t rare(uint64_t sum, uint32_t word) {
  return sum + (word >> 24);
}
static uint64_t (*volatile kinds[])(uint64_t, uint32_t) = {odd, even, odd, rare};

/// A hash table with chains: lookups that mostly find what they look for.
static __attribute__((noinline)) unsigned find(uint32_t word) {
  unsigned i = first_of[mix(word) % BUCKETS];
  while (i != EMPTY && words[i] != word) i = next_of[i];
  return i;
}
static void fill(void) {
  uint32_t random = 1;
  for (unsigned b = 0; b < BUCKETS; ++b) first_of[b] = EMPTY;
  for (unsigned i = 0; i < WORDS; ++i) {
    random = random * 1664525 + 1013904223;
    words[i] = random >> 8;
    const unsigned bucket = mix(words[i]) % BUCKETS;
    next_of[i] = first_of[bucket];
    first_of[bucket] = (uint16_t)i;
  }
}

/// How many bits are set, one by one, and a sum over where they are.
static __attribute__((noinline)) unsigned bits_of(uint32_t word) {
  unsigned bits = 0, sum = 0;
  for (; word != 0; word >>= 1) {
    sum = sum * 3 ^ word;
    if ((word & 1) != 0) ++bits;
  }
  return bits + (sum & 1);
}

static __attribute__((noinline)) uint64_t once(uint64_t sum) {
  for (unsigned i = 0; i < WORDS; ++i) {
    const uint32_t word = words[i];
    if (find(word) > i) ++sum;
    if ((word & 1) != 0 && bits_of(word) > 12) sum += 3;
    sum = kinds[word >> 4 & 3](sum, word);
  }
  return sum;
}

void guest_main(void) {
  const uint64_t rounds = option_number("rounds", 100);
  const char* recorded = option_text("lbr");
  const bool record = recorded != 0 && recorded[1] == 'n';
  struct pmu_switch start = {0, 0};
  fill();
  if (record) {
    lbr_start();
    start = lbr_arm(LBR_EVERYTHING);
    wrmsr((uint32_t)start.msr, start.value);
  }
  uint64_t sum = 0;
  for (uint64_t round = 0; round < rounds; ++round) sum = once(sum);
  if (record) {
    wrmsr((uint32_t)start.msr, 0);
    struct lbr_record records[LBR_MOST];
    CHECK_EQUAL(lbr_read_all(records), lbr.depth, "all records are used");
  }
  CHECK(sum != 0, "checksum %lx after %lu rounds", sum, rounds);
}
