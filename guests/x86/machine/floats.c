// SPDX-License-Identifier: MIT
//
// Floating point as compilers emit it: double and float in SSE registers, long double on the x87;
// and that state survives FXSAVE. Expected values are exact in binary or worked out by integers.
#include "runtime/check.h"
#include "runtime/start.h"

static volatile double d_three = 3, d_seven = 7, d_two = 2;
static volatile float f_third = 1.0f / 3;
static volatile long double l_three = 3, l_tenth = 0.1L;
static volatile int64_t integer = -1234567890123;

static uint64_t bits(double value) {
  uint64_t result;
  __builtin_memcpy(&result, &value, sizeof result);
  return result;
}

static void check_sse(void) {
  CHECK(d_seven / d_two == 3.5 && d_seven * d_three - d_two == 19, "double arithmetic");
  CHECK_EQUAL(bits(1 / d_three), 0x3fd5555555555555, "1/3 is rounded to nearest");
  CHECK_EQUAL(bits(__builtin_sqrt(d_two)), 0x3ff6a09e667f3bcd, "SQRTSD of 2");
  CHECK((int64_t)(double)integer == integer && (int)-2.75 == -2, "conversions truncate");
  CHECK((float)(double)f_third == f_third, "float to double and back is exact");
  double sums[8] = {0};
  for (int i = 0; i < 800; ++i) sums[i % 8] += i * 0.5;
  double sum = 0;
  for (int i = 0; i < 8; ++i) sum += sums[i];
  CHECK(sum == 799 * 800 / 4.0, "sums of halves are exact");
  const double infinity = 1 / (d_three - 3), nan = infinity - infinity;
  CHECK(infinity > 1e308 && nan != nan && !(nan < 1) && !(nan > 1), "infinity and NaN compare");
}

static void check_x87(void) {
  CHECK(l_three * l_three == 9 && (int)(l_three / 2 * 2) == 3, "long double arithmetic");
  const long double third = 1 / l_three;
  uint64_t mantissa;
  __builtin_memcpy(&mantissa, (const void*)&third, sizeof mantissa);
  CHECK_EQUAL(mantissa, 0xaaaaaaaaaaaaaaab, "1/3 has 64 bits of mantissa");
  const long double tenth = l_tenth;
  __builtin_memcpy(&mantissa, (const void*)&tenth, sizeof mantissa);
  CHECK_EQUAL(mantissa, 0xcccccccccccccccd, "0.1 is loaded as it was compiled");
  CHECK((int64_t)(long double)integer == integer, "64-bit integers fit a long double");
  long double factorial = 1;
  for (int i = 2; i <= 20; ++i) factorial *= i;
  CHECK_EQUAL((uint64_t)factorial, 2432902008176640000, "20! is exact");
  CHECK(__builtin_sqrtl(l_three * l_three) == 3, "FSQRT");
}

static void check_state(void) {
  static uint8_t area[512] __attribute__((aligned(16)));
  double value = 42.5;
  __asm__ volatile(
      "movsd %1, %%xmm7\n"
      "fninit\n"
      "fld1\n"
      "fxsave64 %0\n"
      "xorps %%xmm7, %%xmm7\n"
      "fninit\n"
      "fxrstor64 %0\n"
      "faddl %1\n"
      "fstpl %1\n"
      : "+m"(area), "+m"(value)
      :
      : "xmm7", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
  double kept;
  __builtin_memcpy(&kept, area + 160 + 7 * 16, sizeof kept);
  CHECK(kept == 42.5 && value == 43.5, "FXSAVE and FXRSTOR keep XMM and x87 registers");
}

void guest_main(void) {
  check_sse();
  check_x87();
  check_state();
}
