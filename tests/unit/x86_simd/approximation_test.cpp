// SPDX-License-Identifier: MIT
//
// RCPPS, RCPSS, RSQRTPS, RSQRTSS: the error bound and the special cases of the manual.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>

#include "unit/x86_simd/simd_fixture.hpp"

namespace vpmu::machine::x86::testing {
namespace {

std::uint32_t approximate(std::uint8_t opcode, std::uint32_t x) {
  static const Buffer buffer;
  const auto decoded = decode(std::array<std::uint8_t, 3>{0x0f, opcode, 0xc1});
  State state;
  state.fx.xmm[1].lo = x;
  EXPECT_FALSE(run_handler(*decoded, buffer, state, kUsualCr0, kUsualCr4));
  EXPECT_EQ(state.fx.mxcsr, 0x1f80u);
  return static_cast<std::uint32_t>(state.fx.xmm[0].lo);
}
constexpr std::uint8_t kRcpps = 0x53, kRsqrtps = 0x52;
constexpr double kBound = 1.5 / 4096;

TEST(Approximation, ReciprocalIsWithinTheBound) {
  Values values(1);
  for (int i = 0; i < 20000; ++i) {
    // Exponents whose reciprocals are normal.
    const auto x =
        static_cast<std::uint32_t>((values.any() & 0x807fffff) | (1 + values.below(251)) << 23);
    const double exact = 1 / static_cast<double>(std::bit_cast<float>(x));
    EXPECT_LE(std::abs(std::bit_cast<float>(approximate(kRcpps, x)) / exact - 1), kBound) << x;
  }
}

TEST(Approximation, ReciprocalRootIsWithinTheBound) {
  Values values(2);
  for (int i = 0; i < 20000; ++i) {
    const auto x =
        static_cast<std::uint32_t>((values.any() & 0x007fffff) | (1 + values.below(254)) << 23);
    const double exact = 1 / std::sqrt(static_cast<double>(std::bit_cast<float>(x)));
    EXPECT_LE(std::abs(std::bit_cast<float>(approximate(kRsqrtps, x)) / exact - 1), kBound) << x;
  }
}

TEST(Approximation, PowersOfTwoAreExact) {
  EXPECT_EQ(approximate(kRcpps, 0x3f800000), 0x3f800000u);
  EXPECT_EQ(approximate(kRcpps, 0xc0000000), 0xbf000000u);
  EXPECT_EQ(approximate(kRsqrtps, 0x3f800000), 0x3f800000u);
  EXPECT_EQ(approximate(kRsqrtps, 0x40800000), 0x3f000000u);
}

TEST(Approximation, SpecialValuesAreThoseOfTheManual) {
  struct Case {
    std::uint8_t opcode;
    std::uint32_t x, result;
  };
  for (const Case& c :
       {Case{kRcpps, 0, 0x7f800000}, Case{kRcpps, 0x80000000, 0xff800000},
        Case{kRcpps, 1, 0x7f800000},  // a denormal is zero
        Case{kRcpps, 0x7f800000, 0}, Case{kRcpps, 0xff800000, 0x80000000},
        Case{kRcpps, 0x7f7fffff, 0},  // underflows
        Case{kRcpps, 0x7f800001, 0x7fc00001}, Case{kRsqrtps, 0, 0x7f800000},
        Case{kRsqrtps, 0x80000000, 0xff800000}, Case{kRsqrtps, 0xbf800000, 0xffc00000},
        Case{kRsqrtps, 0x7f800000, 0}, Case{kRsqrtps, 0xff800000, 0xffc00000},
        Case{kRsqrtps, 0xff800001, 0xffc00001}}) {
    EXPECT_EQ(approximate(c.opcode, c.x), c.result) << std::hex << c.x;
  }
}

}  // namespace
}  // namespace vpmu::machine::x86::testing
