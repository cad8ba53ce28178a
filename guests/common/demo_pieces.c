// SPDX-License-Identifier: MIT
#include "demo_pieces.h"

#include "runtime/console.h"

enum { KEYS = 16384 };

static uint32_t keys[KEYS];
static uint64_t state = 88172645463325252;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

#define PIECE(name) __attribute__((section("piece_" #name), noinline))

PIECE(sort) static void sort(uint32_t* begin, uint32_t* end) {
  while (end - begin > 1) {
    const uint32_t pivot = begin[(end - begin) / 2];
    uint32_t *low = begin, *high = end - 1;
    while (low <= high) {
      while (*low < pivot) ++low;
      while (*high > pivot) --high;
      if (low > high) break;
      const uint32_t key = *low;
      *low++ = *high;
      *high-- = key;
    }
    sort(begin, high + 1);
    begin = low;
  }
}

PIECE(hash) static uint64_t hash(const uint32_t* begin, const uint32_t* end) {
  uint64_t value = 0xcbf29ce484222325;
  for (int pass = 0; pass < 16; ++pass) {
    for (const uint32_t* key = begin; key < end; ++key) {
      value = (value ^ *key) * 0x100000001b3;
      value ^= value >> 29;
    }
  }
  return value;
}

PIECE(branch) static uint64_t branch(void) {
  uint64_t longest = 0;
  for (uint64_t start = 1; start <= 5000; ++start) {  // the 3n + 1 problem
    uint64_t steps = 0;
    for (uint64_t n = start; n != 1; ++steps) {
      if (n % 2 == 0)
        n /= 2;
      else
        n = 3 * n + 1;
      __asm__ volatile("" : "+r"(n));
    }
    if (steps > longest) longest = steps;
  }
  return longest;
}

static volatile uint64_t result;
static void run_sort(void) {
  sort(keys, keys + KEYS);
}
static void run_hash(void) {
  result = hash(keys, keys + KEYS);
}
static void run_branch(void) {
  result += branch();
}

extern const char __start_piece_sort[], __stop_piece_sort[], __start_piece_hash[],
    __stop_piece_hash[], __start_piece_branch[], __stop_piece_branch[];

struct piece pieces[PIECES] = {
    {.name = "sort", .run = run_sort, __start_piece_sort, __stop_piece_sort},
    {.name = "hash", .run = run_hash, __start_piece_hash, __stop_piece_hash},
    {.name = "branch", .run = run_branch, __start_piece_branch, __stop_piece_branch},
};

static uint64_t samples, samples_elsewhere;

void run_pieces(uint64_t (*read)(unsigned counter)) {
  for (unsigned i = 0; i < KEYS; ++i) keys[i] = (uint32_t)(next_random() >> 32);
  for (unsigned p = 0; p < PIECES; ++p) {
    uint64_t before[PIECE_COUNTERS];
    for (unsigned i = 0; i < PIECE_COUNTERS; ++i) before[i] = read(i);
    pieces[p].run();
    for (unsigned i = 0; i < PIECE_COUNTERS; ++i) pieces[p].counts[i] = read(i) - before[i];
  }
}

void sample_piece(uint64_t address) {
  ++samples;
  for (unsigned i = 0; i < PIECES; ++i) {
    if (address < (uint64_t)pieces[i].code_begin) continue;
    if (address >= (uint64_t)pieces[i].code_end) continue;
    ++pieces[i].samples;
    return;
  }
  ++samples_elsewhere;
}

static void print_row(const char* name, const uint64_t* counts, uint64_t sampled) {
  print("  %-8s", name);
  for (unsigned i = 0; i < PIECE_COUNTERS; ++i) print("%'13lu", counts[i]);
  print("%'10lu\n", sampled);
}

void print_pieces(const char* fourth, const char* by) {
  print("  %-8s%13s%13s%13s%13s%10s\n", "", "cycles", "instructions", "branches", fourth,
        "samples");
  uint64_t sums[PIECE_COUNTERS] = {0}, sampled = 0;
  for (unsigned p = 0; p < PIECES; ++p) {
    print_row(pieces[p].name, pieces[p].counts, pieces[p].samples);
    for (unsigned i = 0; i < PIECE_COUNTERS; ++i) sums[i] += pieces[p].counts[i];
    sampled += pieces[p].samples;
  }
  print_row("sum", sums, sampled);
  print(
      "\n  %lu overflow interrupts, one every %'u instructions (%lu outside the three pieces):\n"
      "  %'lu instructions by overflow, %'lu by %s\n\n",
      samples, (unsigned)SAMPLE_PERIOD, samples_elsewhere, sampled * SAMPLE_PERIOD, sums[1], by);
}
