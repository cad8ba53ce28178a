// SPDX-License-Identifier: MIT
//
// Floating point, SIMD, cryptography and checksums: results that the standards give, flags,
// rounding modes, and registers that survive exceptions.
#include "machine/attempts.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

#include <arm_acle.h>
#include <arm_neon.h>

enum { FPSR_IOC = 1, FPSR_DZC = 2, FPSR_OFC = 4, FPSR_UFC = 8, FPSR_IXC = 16 };

static uint64_t bits(double value) {
  uint64_t result;
  __builtin_memcpy(&result, &value, sizeof result);
  return result;
}
static double from_bits(uint64_t value) {
  double result;
  __builtin_memcpy(&result, &value, sizeof result);
  return result;
}

/// Not known to the compiler.
static double opaque(double value) {
  __asm__ volatile("" : "+w"(value));
  return value;
}

static void check_arithmetic(void) {
  const double third = opaque(1) / opaque(3);
  CHECK_EQUAL(bits(third), 0x3fd5555555555555, "1 / 3");
  CHECK_EQUAL(bits(opaque(0.1) + opaque(0.2)), 0x3fd3333333333334, "0.1 + 0.2");
  CHECK_EQUAL(bits(__builtin_sqrt(opaque(2))), 0x3ff6a09e667f3bcd, "the root of 2");
  // x * x - the rounded square is what only a fused operation sees.
  const double x = opaque(1 + 0x1p-52);
  CHECK_EQUAL(bits(__builtin_fma(x, x, -(x * x))), bits(0x1p-104), "FMADD rounds once");
  CHECK_EQUAL((uint64_t)(int64_t)opaque(-1e30), 1ULL << 63, "FCVTZS saturates");
  CHECK_EQUAL((uint64_t)(uint32_t)opaque(-1), 0, "FCVTZU of a negative number");
  float single = 16777217;
  __asm__ volatile("" : "+w"(single));
  CHECK_EQUAL((uint64_t)single, 16777216, "a float has 24 bits");
}

static void check_flags(void) {
  const struct {
    const char* what;
    double left, right;
    uint64_t flags, result;
  } divisions[] = {
      {"1 / 0 sets DZC", 1, 0, FPSR_DZC, 0x7ff0000000000000},
      {"0 / 0 sets IOC and is the default NaN", 0, 0, FPSR_IOC, 0x7ff8000000000000},
      {"1 / 3 sets IXC", 1, 3, FPSR_IXC, 0x3fd5555555555555},
      {"4 / 2 sets none", 4, 2, 0, 0x4000000000000000},
      {"the largest / 0.5 sets OFC", 0x1.fffffffffffffp1023, 0.5, FPSR_OFC | FPSR_IXC,
       0x7ff0000000000000},
      {"the smallest / 3 sets UFC", 0x1p-1074, 3, FPSR_UFC | FPSR_IXC, 0},
  };
  for (unsigned i = 0; i < sizeof divisions / sizeof *divisions; ++i) {
    write_sysreg(fpsr, 0);
    const double result = opaque(opaque(divisions[i].left) / opaque(divisions[i].right));
    CHECK(read_sysreg(fpsr) == divisions[i].flags && bits(result) == divisions[i].result, "%s",
          divisions[i].what);
  }
}

static void check_rounding(void) {
  const uint64_t expected[] = {0x3fd5555555555555, 0x3fd5555555555556, 0x3fd5555555555555,
                               0x3fd5555555555555};
  const char* modes[] = {"to nearest", "up", "down", "to zero"};
  for (uint64_t mode = 0; mode < 4; ++mode) {
    write_sysreg(fpcr, mode << 22);
    const double result = opaque(opaque(1) / opaque(3));
    write_sysreg(fpcr, 0);
    CHECK_EQUAL(bits(result), expected[mode], "1 / 3 rounded %s", modes[mode]);
  }
  const double signalling = from_bits(0x7ff0000000000001);
  CHECK_EQUAL(bits(opaque(signalling) + opaque(1)), 0x7ff8000000000001, "NaNs keep their payload");
  write_sysreg(fpcr, 1 << 25);
  const double canonical = opaque(opaque(signalling) + opaque(1));
  write_sysreg(fpcr, 1 << 24);
  const double flushed = opaque(opaque(0x1p-1030) * opaque(0.5));
  write_sysreg(fpcr, 0);
  CHECK_EQUAL(bits(canonical), 0x7ff8000000000000, "FPCR.DN gives the default one");
  CHECK_EQUAL(bits(flushed), 0, "FPCR.FZ flushes small results");
}

static void check_simd(void) {
  const uint8x16_t bytes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const uint8x16_t reversed = vrev64q_u8(bytes);
  CHECK_EQUAL(vgetq_lane_u64(vreinterpretq_u64_u8(reversed), 0), 0x0001020304050607, "REV64");
  const uint8x16_t table = vqtbl1q_u8(bytes, vdupq_n_u8(20));
  CHECK_EQUAL(vaddvq_u8(table), 0, "TBL beyond its table is 0");
  CHECK_EQUAL(vaddlvq_u8(bytes), 120, "UADDLV");
  const int16x8_t saturated = vqaddq_s16(vdupq_n_s16(30000), vdupq_n_s16(30000));
  CHECK_EQUAL((uint64_t)vgetq_lane_s16(saturated, 3), 32767, "SQADD saturates");
  const float32x4_t sums = vpaddq_f32((float32x4_t){1, 2, 3, 4}, (float32x4_t){5, 6, 7, 8});
  CHECK(vgetq_lane_f32(sums, 0) == 3 && vgetq_lane_f32(sums, 3) == 15, "FADDP");
}

static void check_crypto(void) {
  const uint64_t features = read_sysreg(id_aa64isar0_el1);
  if ((features >> 16 & 15) != 0) {
    CHECK_EQUAL(~__crc32d(~0u, 0x3837363534333231) & 0xffffffff, 0x9ae0daaf, "CRC32 of 12345678");
    CHECK_EQUAL(~__crc32cb(~0u, 'a') & 0xffffffff, 0xc1d04330, "CRC32C of a");
  } else {
    check_skip("no CRC32");
  }
  if ((features >> 4 & 15) >= 1) {
    // FIPS 197, appendix B: the first round.
    const uint8x16_t input = {0x32, 0x43, 0xf6, 0xa8, 0x88, 0x5a, 0x30, 0x8d,
                              0x31, 0x31, 0x98, 0xa2, 0xe0, 0x37, 0x07, 0x34};
    const uint8x16_t key = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                            0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
    const uint8x16_t round = vaesmcq_u8(vaeseq_u8(input, key));
    CHECK(vgetq_lane_u64(vreinterpretq_u64_u8(round), 0) == 0x9a19cbe0e5816604 &&
              vgetq_lane_u64(vreinterpretq_u64_u8(round), 1) == 0x4c2606287ad3f848,
          "a round of AES");
    const poly128_t product = vmull_p64(0x8000000000000001, 3);
    CHECK((uint64_t)product == 0x8000000000000003 && (uint64_t)(product >> 64) == 1, "PMULL");
  } else {
    check_skip("no AES");
  }
  if ((features >> 12 & 15) != 0) {
    // FIPS 180-4: the first two words of "abc" extended: W16 and W17.
    const uint32x4_t w0 = {0x61626380, 0, 0, 0}, w12 = {0, 0, 0, 0x18};
    const uint32x4_t w16 =
        vsha256su1q_u32(vsha256su0q_u32(w0, vdupq_n_u32(0)), vdupq_n_u32(0), w12);
    CHECK(vgetq_lane_u32(w16, 0) == 0x61626380 && vgetq_lane_u32(w16, 1) == 0x000f0000,
          "SHA256 schedules");
  } else {
    check_skip("no SHA256");
  }
}

static void on_call(struct trap* frame) {
  (void)frame;
}

/// Registers across an exception and a visit of EL0.
static void check_preserved(void) {
  uint64_t first, last;
  __asm__ volatile("fmov d31, %0\nfmov v31.d[1], %0\nfmov d0, %0" : : "r"(0x0123456789abcdef));
  set_handler(EC_SVC, on_call);
  supervisor_call(0);
  set_handler(EC_SVC, 0);
  __asm__ volatile("fmov %0, d0\nfmov %1, v31.d[1]" : "=r"(first), "=r"(last));
  CHECK(first == 0x0123456789abcdef && last == first, "SIMD registers are what they were");
  write_sysreg(fpcr, 1 << 22);
  write_sysreg(fpsr, FPSR_DZC);
  CHECK(user_survives(user_read_stack, 0) && read_sysreg(fpcr) == 1 << 22 &&
            read_sysreg(fpsr) == FPSR_DZC,
        "so are FPCR and FPSR, at both levels");
  write_sysreg(fpcr, 0);
}

void guest_main(void) {
  check_arithmetic();
  check_flags();
  check_rounding();
  check_simd();
  check_crypto();
  check_preserved();
}
