// SPDX-License-Identifier: MIT
//
// Power State Coordination Interface, Arm DEN0022, called by HVC.
#pragma once

#include <stdint.h>

enum {
  PSCI_VERSION = 0x84000000,
  PSCI_CPU_OFF = 0x84000002,
  PSCI_SYSTEM_OFF = 0x84000008,
  PSCI_SYSTEM_RESET = 0x84000009,
  PSCI_FEATURES = 0x8400000a,
};
#define PSCI_CPU_SUSPEND 0xc4000001u
#define PSCI_CPU_ON 0xc4000003u
#define PSCI_AFFINITY_INFO 0xc4000004u
enum {
  PSCI_SUCCESS = 0,
  PSCI_NOT_SUPPORTED = -1,
  PSCI_INVALID_PARAMETERS = -2,
  PSCI_ALREADY_ON = -4,
};
enum { AFFINITY_ON = 0, AFFINITY_OFF = 1 };

static inline int64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c) {
  register uint64_t x0 __asm__("x0") = function;
  register uint64_t x1 __asm__("x1") = a;
  register uint64_t x2 __asm__("x2") = b;
  register uint64_t x3 __asm__("x3") = c;
  __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
  return (int64_t)x0;
}
