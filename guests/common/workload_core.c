// SPDX-License-Identifier: MIT
#include "workload_core.h"

static uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void insertion_sort(uint32_t* keys, int64_t low, int64_t high) {
  for (int64_t i = low + 1; i <= high; ++i) {
    const uint32_t key = keys[i];
    int64_t j = i - 1;
    for (; j >= low && keys[j] > key; --j) keys[j + 1] = keys[j];
    keys[j + 1] = key;
  }
}

static void quicksort(uint32_t* keys, int64_t low, int64_t high) {
  while (high - low > 12) {
    const uint32_t pivot = keys[low + (high - low) / 2];
    int64_t i = low;
    int64_t j = high;
    while (i <= j) {
      while (keys[i] < pivot) ++i;
      while (keys[j] > pivot) --j;
      if (i > j) break;
      const uint32_t key = keys[i];
      keys[i++] = keys[j];
      keys[j--] = key;
    }
    // The smaller part by a call, the larger one by going round: the stack stays shallow.
    if (j - low < high - i) {
      quicksort(keys, low, j);
      low = i;
    } else {
      quicksort(keys, i, high);
      high = j;
    }
  }
  insertion_sort(keys, low, high);
}

uint64_t workload_round(uint32_t* keys, uint64_t seed) {
  uint64_t state = seed * 0x9e3779b97f4a7c15 | 1;
  for (int i = 0; i < WORKLOAD_KEYS; ++i) keys[i] = (uint32_t)(next_random(&state) >> 32);
  quicksort(keys, 0, WORKLOAD_KEYS - 1);
  uint64_t hash = 0xcbf29ce484222325;
  for (int pass = 0; pass < 3; ++pass) {
    for (int i = 0; i < WORKLOAD_KEYS; ++i) {
      hash = (hash ^ keys[i]) * 0x100000001b3;
      hash ^= hash >> 29;
    }
  }
  return hash;
}

uint64_t workload(uint32_t* keys, uint64_t rounds) {
  uint64_t checksum = 0;
  for (uint64_t round = 1; round <= rounds; ++round) {
    checksum = (checksum << 7 | checksum >> 57) ^ workload_round(keys, round);
  }
  return checksum;
}
