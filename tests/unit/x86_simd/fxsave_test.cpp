// SPDX-License-Identifier: MIT
//
// FXSAVE and XSAVE areas: layout, what is left alone, what is refused.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "unit/x86_simd/simd_fixture.hpp"

namespace vpmu::machine::x86::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;
const Bytes kFxsave = {0x0f, 0xae, 0x06}, kFxsave64 = {0x48, 0x0f, 0xae, 0x06},
            kFxrstor = {0x0f, 0xae, 0x0e}, kFxrstor64 = {0x48, 0x0f, 0xae, 0x0e},
            kXsave = {0x0f, 0xae, 0x26}, kXsaveopt = {0x0f, 0xae, 0x36},
            kXrstor = {0x0f, 0xae, 0x2e}, kXgetbv = {0x0f, 0x01, 0xd0},
            kXsetbv = {0x0f, 0x01, 0xd1};
constexpr std::uint64_t kXsaveCr4 = kUsualCr4 | kCr4Osxsave;

struct Fxsave : ::testing::Test {
  Buffer buffer;
  State state;
  Values values{7};

  Fxsave() {
    state.gpr[kRsi] = buffer.address() + Buffer::kOperand;
    state.fx.control = 0x27f;
    state.fx.status = 0x2821;
    state.fx.valid = 0xa5;
    state.fx.mxcsr = 0x3fa1;
    for (auto& st : state.fx.st) st = values.extended();
    for (Xmm& xmm : state.fx.xmm) xmm = values.xmm();
    std::memset(buffer.data(), 0xee, Buffer::kSize);
  }
  std::uint8_t* area() { return buffer.data() + Buffer::kOperand; }
  int run(const Bytes& code, std::uint64_t cr0 = kUsualCr0, std::uint64_t cr4 = kXsaveCr4) {
    const auto exception = run_handler(*decode(code), buffer, state, cr0, cr4);
    return exception ? int{exception->vector} : -1;
  }
  template <class T>
  T at(unsigned offset) {
    T value;
    std::memcpy(&value, area() + offset, sizeof value);
    return value;
  }
  template <class T>
  void put(unsigned offset, T value) {
    std::memcpy(area() + offset, &value, sizeof value);
  }
  void request(std::uint64_t states) {
    state.gpr[kRax] = states & 0xffffffff;
    state.gpr[kRdx] = states >> 32;
  }
  void enable(std::uint64_t states) {
    const State before = state;
    request(states);
    state.gpr[kRcx] = 0;
    EXPECT_EQ(run(kXsetbv), -1);
    state = before;
  }
};

TEST_F(Fxsave, StoresTheImageThatTheHostStores) {
  for (const Bytes& code : {kFxsave, kFxsave64}) {
    State native = state;
    run_native(code, native);
    const std::vector<std::uint8_t> host(area(), area() + 512);
    std::memset(area(), 0xee, 512);
    EXPECT_EQ(run(code), -1);
    for (unsigned i = 0; i < 416; ++i) {
      if ((i >= 6 && i < 24) || (i >= 28 && i < 32)) continue;  // opcode, pointers; MXCSR_MASK
      EXPECT_EQ(area()[i], host[i]) << i;
    }
    EXPECT_EQ(at<std::uint32_t>(28), 0xffffu);
    EXPECT_EQ(area()[512], 0xee);
  }
}

TEST_F(Fxsave, ComesBackAsItWas) {
  const State before = state;
  EXPECT_EQ(run(kFxsave), -1);
  state.fx = FxImage{};
  EXPECT_EQ(run(kFxrstor64), -1);
  EXPECT_EQ(state.fx.control, before.fx.control);
  EXPECT_EQ(state.fx.status, before.fx.status);
  EXPECT_EQ(state.fx.valid, before.fx.valid);
  EXPECT_EQ(state.fx.mxcsr, before.fx.mxcsr);
  EXPECT_EQ(state.fx.st, before.fx.st);
  EXPECT_EQ(state.fx.xmm, before.fx.xmm);
}

TEST_F(Fxsave, RefusesMisalignmentAndReservedMxcsrBits) {
  put(24, 0x11f80u);
  const State before = state;
  EXPECT_EQ(run(kFxrstor), kGeneralProtection);
  EXPECT_EQ(state.fx.xmm, before.fx.xmm);
  state.gpr[kRsi] += 8;
  EXPECT_EQ(run(kFxsave), kGeneralProtection);
  EXPECT_EQ(run(kFxrstor), kGeneralProtection);
}

TEST_F(Fxsave, ThatFaultsHasWrittenNothing) {
  state.gpr[kRsi] = buffer.address() + Buffer::kSize - 256;
  EXPECT_EQ(run(kFxsave), kPageFault);
  EXPECT_EQ(buffer.data()[Buffer::kSize - 256], 0xee);
}

TEST_F(Fxsave, FollowsTheControlRegisters) {
  EXPECT_EQ(run(kFxsave, kUsualCr0 | kCr0Ts), kDeviceNotAvailable);
  EXPECT_EQ(run(kFxsave, kUsualCr0 | kCr0Em), kInvalidOpcode);
  EXPECT_EQ(run(kXsave, kUsualCr0 | kCr0Ts), kDeviceNotAvailable);
  for (const Bytes& code : {kXsave, kXsaveopt, kXrstor, kXgetbv, kXsetbv})
    EXPECT_EQ(run(code, kUsualCr0, kUsualCr4), kInvalidOpcode);
}

TEST_F(Fxsave, XsaveStoresWhatIsAskedForAndEnabled) {
  enable(3);
  put<std::uint64_t>(512, 0);
  request(~std::uint64_t{1});
  EXPECT_EQ(run(kXsave), -1);
  EXPECT_EQ(at<std::uint64_t>(512), 2u);
  EXPECT_EQ(at<std::uint16_t>(0), 0xeeeeu);  // no x87 state
  EXPECT_EQ(at<std::uint32_t>(24), state.fx.mxcsr);
  EXPECT_EQ(at<Xmm>(160), state.fx.xmm[0]);
  EXPECT_EQ(at<Xmm>(400), state.fx.xmm[15]);
  EXPECT_EQ(at<std::uint64_t>(520), 0xeeeeeeeeeeeeeeeeu);

  request(1);
  put<std::uint32_t>(24, 0x12345678);
  EXPECT_EQ(run(kXsaveopt), -1);
  EXPECT_EQ(at<std::uint64_t>(512), 3u);
  EXPECT_EQ(at<std::uint16_t>(0), state.fx.control);
  EXPECT_EQ(at<std::uint32_t>(24), 0x12345678u);
}

TEST_F(Fxsave, XrstorInitialisesWhatTheHeaderLacks) {
  enable(3);
  std::memset(area(), 0, 576);
  put<std::uint32_t>(24, 0x1fa0);
  request(3);
  EXPECT_EQ(run(kXrstor), -1);
  EXPECT_EQ(state.fx.control, 0x37f);
  EXPECT_EQ(state.fx.status, 0);
  EXPECT_EQ(state.fx.valid, 0);
  EXPECT_EQ(state.fx.mxcsr, 0x1fa0u);
  for (const Xmm& xmm : state.fx.xmm) EXPECT_EQ(xmm, Xmm{});
}

TEST_F(Fxsave, XrstorRefusesWhatItDoesNotKnow) {
  enable(3);
  request(3);
  std::memset(area(), 0, 576);
  put<std::uint32_t>(24, 0x1f80);
  struct Case {
    unsigned offset;
    std::uint64_t value;
  };
  for (const Case& c : {Case{512, 4}, Case{520, 1}, Case{520, std::uint64_t{1} << 63}, Case{528, 1},
                        Case{24, 0x10000}}) {
    const auto before = at<std::uint64_t>(c.offset);
    put(c.offset, c.value);
    EXPECT_EQ(run(kXrstor), kGeneralProtection) << c.offset;
    put(c.offset, before);
  }
  EXPECT_EQ(run(kXrstor), -1);
  state.gpr[kRsi] += 16;
  EXPECT_EQ(run(kXrstor), kGeneralProtection);
  EXPECT_EQ(run(kXsave), kGeneralProtection);
}

TEST_F(Fxsave, XsetbvTakesX87AndSseOnly) {
  state.gpr[kRcx] = 0;
  for (const std::uint64_t value : {0ull, 2ull, 4ull, 7ull, 1ull << 63}) {
    request(value);
    EXPECT_EQ(run(kXsetbv), kGeneralProtection) << value;
  }
  request(3);
  state.gpr[kRcx] = 1;
  EXPECT_EQ(run(kXsetbv), kGeneralProtection);
  EXPECT_EQ(run(kXgetbv), kGeneralProtection);
  state.gpr[kRcx] = 0;
  EXPECT_EQ(run(kXsetbv), -1);
  request(~std::uint64_t{0});
  EXPECT_EQ(run(kXgetbv), -1);
  EXPECT_EQ(state.gpr[kRax], 3u);
  EXPECT_EQ(state.gpr[kRdx], 0u);
}

}  // namespace
}  // namespace vpmu::machine::x86::testing
