// SPDX-License-Identifier: MIT
//
// Unmasked SIMD floating-point exceptions, against what the host does when it gets one (SIGFPE).
#include <gtest/gtest.h>
#include <ucontext.h>

#include <csetjmp>
#include <csignal>
#include <cstring>
#include <map>

#include "unit/x86_simd/encodings.hpp"
#include "unit/x86_simd/simd_fixture.hpp"

namespace vpmu::machine::x86::testing {
namespace {

sigjmp_buf back;
volatile std::uint32_t mxcsr_at_fault;

void on_fpe(int, siginfo_t*, void* context) {
  mxcsr_at_fault = static_cast<ucontext_t*>(context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(back, 1);
}

/// True if the host raised #XM; MXCSR is then in mxcsr_at_fault.
bool host_faults(std::span<const std::uint8_t> code, State& state) {
  if (sigsetjmp(back, 1) != 0) {
    const std::uint32_t usual = 0x1f80;
    asm volatile("ldmxcsr %0\n\tfninit" : : "m"(usual));
    return true;
  }
  run_native(code, state);
  return false;
}

TEST(SimdExceptions, AreRaisedWhenTheHostRaisesThem) {
  struct sigaction action = {}, before = {};
  action.sa_sigaction = on_fpe;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &action, &before);
  const Buffer buffer;
  Values values(1985);
  std::map<std::string, unsigned> failures;
  unsigned raised = 0;
  for_each_simd_encoding(values, [&](const Decoded& decoded, std::span<const std::uint8_t> code) {
    if (!decoded.translated || !host_has(decoded.instruction.zydis.meta.isa_set)) return;
    switch (decoded.instruction.mnemonic()) {
      case ZYDIS_MNEMONIC_RCPPS:
      case ZYDIS_MNEMONIC_RCPSS:
      case ZYDIS_MNEMONIC_RSQRTPS:
      case ZYDIS_MNEMONIC_RSQRTSS:
      case ZYDIS_MNEMONIC_LDMXCSR:
      case ZYDIS_MNEMONIC_FXSAVE:
      case ZYDIS_MNEMONIC_FXSAVE64:
      case ZYDIS_MNEMONIC_FXRSTOR64:
      case ZYDIS_MNEMONIC_FXRSTOR: return;
      default: break;
    }
    for (int i = 0; i < 12; ++i) {
      State state = random_simd_state(values, buffer);
      fill_operand(values, buffer);
      // Unmask some; their flags have to be clear, as they are after a handler.
      const std::uint32_t unmasked = values.below(64);
      state.fx.mxcsr &= ~(unmasked << 7 | unmasked);
      State native = state, ours = state;
      std::vector<std::uint8_t> memory(buffer.data(), buffer.data() + Buffer::kSize);
      const bool faults = host_faults(code, native);
      std::memcpy(buffer.data(), memory.data(), memory.size());
      const auto exception = run_handler(decoded, buffer, ours, kUsualCr0, kUsualCr4);
      raised += faults;
      // With unmasked underflow, PE may be set where the host leaves it clear (fp_environment.hpp).
      if (faults && (mxcsr_at_fault & ~(mxcsr_at_fault >> 7) & 0x10)) {
        mxcsr_at_fault = mxcsr_at_fault | 0x20;
        ours.fx.mxcsr |= 0x20;
      }
      const bool same = faults ? exception && exception->vector == kSimdException &&
                                     ours.fx.mxcsr == mxcsr_at_fault &&
                                     ours.fx.xmm == state.fx.xmm && ours.gpr == state.gpr
                               : !exception && ours.fx.mxcsr == native.fx.mxcsr &&
                                     ours.fx.xmm == native.fx.xmm && ours.gpr == native.gpr;
      if (!same && failures[decoded.text.substr(0, decoded.text.find(' '))]++ < 2) {
        ADD_FAILURE() << decoded.text << ": host " << (faults ? "faults" : "does not") << std::hex
                      << ", mxcsr before " << state.fx.mxcsr << " host "
                      << (faults ? std::uint32_t{mxcsr_at_fault} : native.fx.mxcsr) << " handler "
                      << ours.fx.mxcsr << " exception "
                      << (exception ? int{exception->vector} : -1);
      }
    }
  });
  for (const auto& [name, count] : failures) std::printf("failed: %s %u\n", name.c_str(), count);
  EXPECT_GT(raised, 1000u);
  sigaction(SIGFPE, &before, nullptr);
}

/// divps xmm0, xmm1 with xmm1 = 0.
Decoded division() {
  return *decode(std::array<std::uint8_t, 3>{0x0f, 0x5e, 0xc1});
}

TEST(SimdExceptions, BecomeUndefinedOpcodeWithoutOsxmmexcpt) {
  const Buffer buffer;
  State state;
  state.fx.xmm[0] = {0x3f8000003f800000, 0x3f8000003f800000};
  state.fx.mxcsr = 0x1f80 & ~(4u << 7);
  const auto exception =
      run_handler(division(), buffer, state, kUsualCr0, kUsualCr4 & ~kCr4Osxmmexcpt);
  ASSERT_TRUE(exception);
  EXPECT_EQ(exception->vector, kInvalidOpcode);
  EXPECT_EQ(state.fx.mxcsr & 0x3f, 4u);
  EXPECT_EQ(state.fx.xmm[0].lo, 0x3f8000003f800000u);
}

TEST(SimdExceptions, LeaveTheHostsMxcsrAlone) {
  std::uint32_t before, after;
  const Buffer buffer;
  for (const std::uint32_t guest : {0x1f80u, 0x7fc0u, 0xffffu, 0x0000u}) {
    State state;
    state.fx.mxcsr = guest;
    state.fx.xmm[0] = {0x3f8000003f800000, 1};
    asm volatile("stmxcsr %0" : "=m"(before));
    run_handler(division(), buffer, state, kUsualCr0, kUsualCr4);
    asm volatile("stmxcsr %0" : "=m"(after));
    EXPECT_EQ(before, after);
  }
}

}  // namespace
}  // namespace vpmu::machine::x86::testing
