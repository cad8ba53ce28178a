// SPDX-License-Identifier: MIT
#include "recursion.h"

#include "runtime/traps.h"

static inline void look(void) {
  // Says that it wants a frame, which leaf functions have no other reason for.
  __asm__ volatile("int %0" : : "i"(VECTOR_LOOK), "D"(__builtin_frame_address(0)) : "memory");
}
_Noreturn static inline void leave(uint64_t result) {
  __asm__ volatile("int %0" : : "i"(VECTOR_USER_EXIT), "a"(result) : "memory");
  __builtin_unreachable();
}

// ---- Recursive descent: sum = product {'+' product}, product = factor {'*' factor}
// ---------------

USER_DATA char shallow_text[] = "2*(3+?)+4*(5+?)";
// Three functions a parenthesis.
USER_DATA char deep_text[] = "((((((((((((((((((((?))))))))))))))))))))";
USER_DATA char then_shallow_text[] = "((((((((((((((((((((?))))))))))))))))))))+(3+(?+3))";
USER_DATA static const char* at;

USER_CODE static uint64_t parse_sum(void);

USER_CODE static uint64_t parse_factor(void) {
  const char c = *at++;
  if (c == '?') {
    look();
    return 1;
  }
  if (c != '(') return (uint64_t)(c - '0');
  const uint64_t value = parse_sum();
  ++at;  // the closing one
  return value;
}
USER_CODE static uint64_t parse_product(void) {
  uint64_t value = parse_factor();
  while (*at == '*') {
    ++at;
    value *= parse_factor();
  }
  return value;
}
USER_CODE static uint64_t parse_sum(void) {
  uint64_t value = parse_product();
  while (*at == '+') {
    ++at;
    value += parse_product();
  }
  return value;
}
USER_CODE uint64_t parse(const char* text) {
  at = text;
  return parse_sum();
}

// ---- Quicksort ----------------------------------------------------------------------------------

enum { NUMBERS = 200, LOOK_EVERY = 37 };
USER_DATA static uint32_t numbers[NUMBERS];
USER_DATA static uint64_t comparisons;

USER_CODE static int compare(const uint32_t* a, const uint32_t* b) {
  if (++comparisons % LOOK_EVERY == 0) look();
  return *a < *b ? -1 : *a > *b;
}
USER_DATA static int (*volatile comparing)(const uint32_t*, const uint32_t*) = compare;

USER_CODE static void quicksort(uint32_t* begin, uint32_t* end) {
  if (end - begin < 2) return;
  const uint32_t pivot = begin[(end - begin) / 2];
  uint32_t *low = begin, *high = end - 1;
  while (low <= high) {
    while (comparing(low, &pivot) < 0) ++low;
    while (comparing(high, &pivot) > 0) --high;
    if (low > high) break;
    const uint32_t kept = *low;
    *low++ = *high;
    *high-- = kept;
  }
  quicksort(begin, high + 1);
  quicksort(low, end);
}
USER_CODE uint64_t sort(void) {
  uint32_t random = 1;
  for (unsigned i = 0; i < NUMBERS; ++i) {
    random = random * 1664525 + 1013904223;
    numbers[i] = random;
  }
  comparisons = 0;
  quicksort(numbers, numbers + NUMBERS);
  uint64_t sorted = 1;
  for (unsigned i = 1; i < NUMBERS; ++i) sorted &= numbers[i - 1] <= numbers[i];
  return sorted;
}

// ---- From the kernel's IRETQ --------------------------------------------------------------------

USER_CODE void user_parse(const char* text) {
  leave(parse(text));
}
USER_CODE void user_sort(void) {
  leave(sort());
}

USER_CODE static void leave_from(uint64_t levels) {
  if (levels == 0) __asm__ volatile("int %0" : : "i"(VECTOR_USER_EXIT));
  if (levels != 0) leave_from(levels - 1);
  look();
}
USER_CODE void user_leave(void) {
  leave_from(7);  // eight calls
}
USER_CODE void user_return_only(void) {
  __asm__ volatile(
      ".rept 40\n"
      "push $1f\n"
      "ret\n"
      "1:\n"
      ".endr\n");
  leave(0);
}
USER_CODE void user_get_address(void) {
  __asm__ volatile("call 1f\n1: pop %%rax" : : : "rax", "memory");
  leave(0);
}
