// SPDX-License-Identifier: MIT
// What the compiler may call on its own: see common/runtime/memory.c for the others. The volatile
// keeps it from seeing its own memcpy() in here.
#include <stddef.h>
#include <stdint.h>

void* memcpy(void* to, const void* from, size_t bytes) {
  volatile uint8_t* t = to;
  const uint8_t* f = from;
  while (bytes-- != 0) *t++ = *f++;
  return to;
}

void* memset(void* to, int value, size_t bytes) {
  volatile uint8_t* t = to;
  while (bytes-- != 0) *t++ = (uint8_t)value;
  return to;
}
