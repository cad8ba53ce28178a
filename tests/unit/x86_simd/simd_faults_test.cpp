// SPDX-License-Identifier: MIT
//
// Faults that do not depend on values: availability, alignment, reserved bits.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "unit/x86_simd/simd_fixture.hpp"

namespace vpmu::machine::x86::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr int kNone = -1;

/// The vector that `code` raises, with [rsi] `offset` bytes off the operand's place.
int raised(const Bytes& code, std::uint64_t cr0 = kUsualCr0, std::uint64_t cr4 = kUsualCr4,
           unsigned offset = 0, std::uint16_t x87_status = 0) {
  const Buffer buffer;
  State state;
  state.gpr[kRsi] = state.gpr[kRdi] = buffer.address() + Buffer::kOperand + offset;
  state.fx.status = x87_status;
  const State before = state;
  const auto decoded = decode(code);
  EXPECT_TRUE(decoded && decoded->translated);
  if (!decoded || !decoded->translated) return -2;
  const auto exception = run_handler(*decoded, buffer, state, cr0, cr4);
  if (!exception) return kNone;
  EXPECT_EQ(state.gpr, before.gpr);
  EXPECT_EQ(state.fx.xmm, before.fx.xmm);
  EXPECT_EQ(state.fx.status, before.fx.status);
  EXPECT_EQ(exception->has_error_code,
            exception->vector == kGeneralProtection || exception->vector == kPageFault);
  EXPECT_EQ(exception->error_code, 0u);
  return exception->vector;
}

const Bytes kAddps = {0x0f, 0x58, 0xc1};              // addps xmm0, xmm1
const Bytes kPaddbMmx = {0x0f, 0xfc, 0xc1};           // paddb mm0, mm1
const Bytes kEmms = {0x0f, 0x77};                     // emms
const Bytes kFadd = {0xd8, 0xc1};                     // fadd st0, st1
const Bytes kFwait = {0x9b};                          // fwait
const Bytes kFninit = {0xdb, 0xe3};                   // fninit
const Bytes kMovnti = {0x0f, 0xc3, 0x06};             // movnti [rsi], eax
const Bytes kCrc32 = {0xf2, 0x0f, 0x38, 0xf1, 0xc1};  // crc32 eax, ecx
const Bytes kCvtpi2ps = {0x0f, 0x2a, 0xc1};           // cvtpi2ps xmm0, mm1

TEST(SimdFaults, FollowTheControlRegisters) {
  constexpr std::uint64_t kEm = kUsualCr0 | kCr0Em, kTs = kUsualCr0 | kCr0Ts;
  constexpr std::uint64_t kNoSse = kUsualCr4 & ~kCr4Osfxsr;
  struct Case {
    const Bytes& code;
    int em, ts, both, no_osfxsr;
  };
  for (const Case& c : {
           Case{kAddps, kInvalidOpcode, kDeviceNotAvailable, kInvalidOpcode, kInvalidOpcode},
           Case{kCvtpi2ps, kInvalidOpcode, kDeviceNotAvailable, kInvalidOpcode, kInvalidOpcode},
           Case{kPaddbMmx, kInvalidOpcode, kDeviceNotAvailable, kInvalidOpcode, kNone},
           Case{kEmms, kInvalidOpcode, kDeviceNotAvailable, kInvalidOpcode, kNone},
           Case{kFadd, kDeviceNotAvailable, kDeviceNotAvailable, kDeviceNotAvailable, kNone},
           Case{kFninit, kDeviceNotAvailable, kDeviceNotAvailable, kDeviceNotAvailable, kNone},
           Case{kFwait, kNone, kDeviceNotAvailable, kDeviceNotAvailable, kNone},
           Case{kMovnti, kNone, kNone, kNone, kNone},
           Case{kCrc32, kNone, kNone, kNone, kNone},
       }) {
    EXPECT_EQ(raised(c.code), kNone);
    EXPECT_EQ(raised(c.code, kEm), c.em);
    EXPECT_EQ(raised(c.code, kTs), c.ts);
    EXPECT_EQ(raised(c.code, kEm | kCr0Ts), c.both);
    EXPECT_EQ(raised(c.code, kUsualCr0, kNoSse), c.no_osfxsr);
  }
  EXPECT_EQ(raised(kFwait, kTs & ~kCr0Mp), kNone);
}

TEST(SimdFaults, PendingX87ExceptionsStopWaitingInstructionsOnly) {
  constexpr std::uint16_t kPending = 0x8081;  // IE, ES, B
  const auto with = [](const Bytes& code) {
    const Buffer buffer;
    State state;
    state.fx.control = 0x37e;
    state.fx.status = kPending;
    state.gpr[kRsi] = buffer.address() + Buffer::kOperand;
    const auto exception = run_handler(*decode(code), buffer, state, kUsualCr0, kUsualCr4);
    return exception ? int{exception->vector} : kNone;
  };
  for (const Bytes& code : {kFadd, kFwait, kPaddbMmx, kEmms, kCvtpi2ps, Bytes{0xd9, 0x2e},
                            Bytes{0xd9, 0xd0}, Bytes{0xdd, 0x26}})
    EXPECT_EQ(with(code), kX87Error);
  // fninit, fnclex, fnstcw, fnstsw, fnstenv, fnsave; addps
  for (const Bytes& code : {kFninit, Bytes{0xdb, 0xe2}, Bytes{0xd9, 0x3e}, Bytes{0xdd, 0x3e},
                            Bytes{0xdf, 0xe0}, Bytes{0xd9, 0x36}, Bytes{0xdd, 0x36}, kAddps})
    EXPECT_EQ(with(code), kNone);
}

TEST(SimdFaults, MisalignedOperandsAreRefusedWhereTheManualSaysSo) {
  const Bytes aligned[] = {
      {0x0f, 0x58, 0x06},                    // addps xmm0, [rsi]
      {0x66, 0x0f, 0x6f, 0x06},              // movdqa xmm0, [rsi]
      {0x66, 0x0f, 0x7f, 0x06},              // movdqa [rsi], xmm0
      {0x0f, 0x28, 0x06},                    // movaps xmm0, [rsi]
      {0x0f, 0x29, 0x06},                    // movaps [rsi], xmm0
      {0x66, 0x0f, 0xe7, 0x06},              // movntdq [rsi], xmm0
      {0x0f, 0x2b, 0x06},                    // movntps [rsi], xmm0
      {0x66, 0x0f, 0x38, 0x2a, 0x06},        // movntdqa xmm0, [rsi]
      {0x66, 0x0f, 0x60, 0x06},              // punpcklbw xmm0, [rsi]
      {0x66, 0x0f, 0x38, 0x17, 0x06},        // ptest xmm0, [rsi]
      {0x66, 0x0f, 0x3a, 0x44, 0x06, 0x00},  // pclmulqdq xmm0, [rsi], 0
      {0x66, 0x0f, 0x3a, 0x08, 0x06, 0x00},  // roundps xmm0, [rsi], 0
      {0x0f, 0x5b, 0x06},                    // cvtdq2ps xmm0, [rsi]
      {0x0f, 0xc2, 0x06, 0x00},              // cmpps xmm0, [rsi], 0
      {0x0f, 0x53, 0x06},                    // rcpps xmm0, [rsi]
  };
  const Bytes any[] = {
      {0x0f, 0x10, 0x06},                    // movups xmm0, [rsi]
      {0x0f, 0x11, 0x06},                    // movups [rsi], xmm0
      {0xf3, 0x0f, 0x6f, 0x06},              // movdqu xmm0, [rsi]
      {0xf2, 0x0f, 0xf0, 0x06},              // lddqu xmm0, [rsi]
      {0xf3, 0x0f, 0x58, 0x06},              // addss xmm0, [rsi]
      {0xf2, 0x0f, 0x58, 0x06},              // addsd xmm0, [rsi]
      {0x66, 0x0f, 0x3a, 0x63, 0x06, 0x00},  // pcmpistri xmm0, [rsi], 0
      {0x66, 0x0f, 0x3a, 0x60, 0x06, 0x00},  // pcmpestrm xmm0, [rsi], 0
      {0x66, 0x0f, 0x38, 0x20, 0x06},        // pmovsxbw xmm0, [rsi]
      {0xf2, 0x0f, 0x12, 0x06},              // movddup xmm0, [rsi]
      {0x66, 0x0f, 0x3a, 0x21, 0x06, 0x00},  // insertps xmm0, [rsi], 0
      {0xf3, 0x0f, 0xe6, 0x06},              // cvtdq2pd xmm0, [rsi]
      {0x66, 0x0f, 0xf7, 0xc1},              // maskmovdqu xmm0, xmm1
      {0x0f, 0xfc, 0x06},                    // paddb mm0, [rsi]
      {0x0f, 0x12, 0x06},                    // movlps xmm0, [rsi]
  };
  for (const unsigned offset : {1u, 8u, 15u}) {
    for (const Bytes& code : aligned)
      EXPECT_EQ(raised(code, kUsualCr0, kUsualCr4, offset), kGeneralProtection);
    for (const Bytes& code : any) EXPECT_EQ(raised(code, kUsualCr0, kUsualCr4, offset), kNone);
  }
}

TEST(SimdFaults, PageFaultsChangeNothing) {
  // The page behind the buffer is not mapped: 8 bytes before it, 16-byte accesses fail.
  constexpr unsigned kLast = Buffer::kSize - Buffer::kOperand;
  for (const Bytes& code : {Bytes{0x0f, 0x10, 0x06}, Bytes{0x0f, 0x11, 0x06}, Bytes{0xdb, 0x2e},
                            Bytes{0xdb, 0x3e}, Bytes{0xdd, 0x36}}) {
    EXPECT_EQ(raised(code, kUsualCr0, kUsualCr4, kLast - 8), kPageFault);
  }
  EXPECT_EQ(raised({0x0f, 0x12, 0x06}, kUsualCr0, kUsualCr4, kLast - 8), kNone);
}

TEST(SimdFaults, MaskedBytesAreNotAccessed) {
  const Buffer buffer;
  State state;
  state.gpr[kRdi] = buffer.address() + Buffer::kSize - 4;
  state.fx.xmm[0] = {0x0807060504030201, 0};
  state.fx.xmm[1] = {0x80008080, 0};  // bytes 0, 1 and 3
  const auto decoded = decode(Bytes{0x66, 0x0f, 0xf7, 0xc1});
  EXPECT_FALSE(run_handler(*decoded, buffer, state, kUsualCr0, kUsualCr4));
  std::uint32_t stored;
  std::memcpy(&stored, buffer.data() + Buffer::kSize - 4, 4);
  EXPECT_EQ(stored, 0x04000201u);
  state.fx.xmm[1].lo = 0x8000000080;  // bytes 0 and 4: the second is not mapped
  std::memset(buffer.data() + Buffer::kSize - 4, 0, 4);
  EXPECT_TRUE(run_handler(*decoded, buffer, state, kUsualCr0, kUsualCr4));
  EXPECT_EQ(buffer.data()[Buffer::kSize - 4], 0);
}

TEST(SimdFaults, ReservedMxcsrBitsAreRefused) {
  const Buffer buffer;
  for (const std::uint32_t value : {0x1f80u, 0xffffu, 0x10000u, 0x20000u, 0x80001f80u}) {
    State state;
    state.gpr[kRsi] = buffer.address() + Buffer::kOperand;
    std::memcpy(buffer.data() + Buffer::kOperand, &value, 4);
    const auto exception =
        run_handler(*decode(Bytes{0x0f, 0xae, 0x16}), buffer, state, kUsualCr0, kUsualCr4);
    if (value > 0xffff) {
      ASSERT_TRUE(exception);
      EXPECT_EQ(exception->vector, kGeneralProtection);
      EXPECT_EQ(state.fx.mxcsr, 0x1f80u);
    } else {
      EXPECT_FALSE(exception);
      EXPECT_EQ(state.fx.mxcsr, value);
    }
  }
}

TEST(SimdFaults, VexEncodingsAreNotTranslated) {
  EXPECT_FALSE(decode(Bytes{0xc5, 0xf8, 0x58, 0xc1})->translated);        // vaddps
  EXPECT_FALSE(decode(Bytes{0xc5, 0xf8, 0x77})->translated);              // vzeroupper
  EXPECT_FALSE(decode(Bytes{0xc4, 0xe2, 0x7d, 0x18, 0x06})->translated);  // vbroadcastss
}

}  // namespace
}  // namespace vpmu::machine::x86::testing
