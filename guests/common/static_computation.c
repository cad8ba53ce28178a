// SPDX-License-Identifier: MIT
#include "static_computation.h"

static uint8_t sieve[10000];
static uint32_t table[256];

static uint64_t count_primes(void) {
  uint64_t primes = 0;
  for (uint32_t i = 2; i < sizeof sieve; ++i) sieve[i] = 1;
  for (uint32_t i = 2; i < sizeof sieve; ++i) {
    if (sieve[i] == 0) continue;
    ++primes;
    for (uint32_t multiple = 2 * i; multiple < sizeof sieve; multiple += i) sieve[multiple] = 0;
  }
  return primes;
}

static uint32_t checksum(void) {
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1) != 0 ? value >> 1 ^ 0xedb88320 : value >> 1;
    table[i] = value;
  }
  uint32_t sum = 0xffffffff;
  for (uint32_t i = 0; i < sizeof sieve; ++i) sum = table[(sum ^ sieve[i]) & 0xff] ^ sum >> 8;
  return ~sum;
}

static uint64_t divide_around(uint64_t from) {
  uint64_t sum = 0;
  for (uint64_t divisor = 1; divisor < 3000; ++divisor) sum += from / divisor ^ from % divisor;
  return sum;
}

__attribute__((noinline)) static uint64_t fibonacci(uint64_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

uint64_t static_computation(void) {
  const uint64_t primes = count_primes();
  return primes ^ (uint64_t)checksum() << 16 ^ divide_around(0x123456789abcdef) ^
         fibonacci(18) << 40;
}
