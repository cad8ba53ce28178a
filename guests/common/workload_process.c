// SPDX-License-Identifier: MIT
// The workload as an ordinary process: workload_process [ROUNDS]. For callgrind, and for the CPU
// itself as the yardstick.
#include <stdio.h>
#include <stdlib.h>

#include "workload_core.h"

int main(int argc, char** argv) {
  static uint32_t keys[WORKLOAD_KEYS];
  const uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : WORKLOAD_ROUNDS;
  printf("checksum %016llx\n", (unsigned long long)workload(keys, rounds));
  return 0;
}
