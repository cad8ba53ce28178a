// SPDX-License-Identifier: MIT
//
// x87 control: pending exceptions, the host's x87 afterwards, environments. The instructions
// themselves are compared with the host's in x87_differential_test.cpp.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "unit/x86_simd/simd_fixture.hpp"

namespace vpmu::machine::x86::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::optional<Exception> run(const Bytes& code, const Buffer& buffer, State& state) {
  state.gpr[kRsi] = buffer.address() + Buffer::kOperand;
  return run_handler(*decode(code), buffer, state, kUsualCr0, kUsualCr4);
}

TEST(X87Control, AnUnmaskedDivisionByZeroIsRaisedByTheNextWaitingInstruction) {
  const Buffer buffer;
  State state;
  EXPECT_FALSE(run({0xd9, 0xe8}, buffer, state));  // fld1
  EXPECT_FALSE(run({0xd9, 0xee}, buffer, state));  // fldz
  state.fx.control = 0x37b;                        // ZM clear
  EXPECT_FALSE(run({0xde, 0xf9}, buffer, state));  // fdivp st1, st0
  EXPECT_EQ(state.fx.status & 0x80bf, 0x8084);
  EXPECT_EQ(state.fx.status >> 11 & 7, 6);  // not popped
  const auto exception = run({0xd9, 0xe8}, buffer, state);
  ASSERT_TRUE(exception);
  EXPECT_EQ(exception->vector, kX87Error);
  EXPECT_FALSE(run({0xdb, 0xe2}, buffer, state));  // fnclex
  EXPECT_FALSE(run({0xd9, 0xe8}, buffer, state));
}

TEST(X87Control, UnmaskingAFlagThatIsSetMakesItPending) {
  const Buffer buffer;
  State state;
  state.fx.status = 1;
  const std::uint16_t control = 0x37e;
  std::memcpy(buffer.data() + Buffer::kOperand, &control, 2);
  EXPECT_FALSE(run({0xd9, 0x2e}, buffer, state));  // fldcw
  EXPECT_EQ(state.fx.status, 0x8081);
}

TEST(X87Control, TheHostsControlWordSurvives) {
  const Buffer buffer;
  std::uint16_t before = 0x27f, usual, after;
  asm volatile("fnstcw %0" : "=m"(usual));
  asm volatile("fldcw %0" : : "m"(before));
  State state;
  state.fx.control = 0xf7f;
  run({0xd9, 0xe8}, buffer, state);
  asm volatile("fnstcw %0" : "=m"(after));
  asm volatile("fldcw %0" : : "m"(usual));
  EXPECT_EQ(after, before);
}

TEST(X87Control, EnvironmentAndStateComeBackAsTheyWere) {
  Values values(3);
  // fnstenv/fldenv, fnsave/frstor, each in 32- and 16-bit format.
  struct Pair {
    Bytes store, load;
  };
  for (const Pair& pair : {Pair{{0xd9, 0x36}, {0xd9, 0x26}}, Pair{{0xdd, 0x36}, {0xdd, 0x26}},
                           Pair{{0x66, 0xd9, 0x36}, {0x66, 0xd9, 0x26}},
                           Pair{{0x66, 0xdd, 0x36}, {0x66, 0xdd, 0x26}}}) {
    const Buffer buffer;
    State state;
    state.fx.status = 0x3d21;
    state.fx.valid = 0x5a;
    for (auto& st : state.fx.st) st = values.extended();
    const State before = state;
    EXPECT_FALSE(run(pair.store, buffer, state));
    EXPECT_FALSE(run(pair.load, buffer, state));
    EXPECT_EQ(state.fx.control, before.fx.control);
    EXPECT_EQ(state.fx.status, before.fx.status);
    EXPECT_EQ(state.fx.valid, before.fx.valid);
    EXPECT_EQ(state.fx.st, before.fx.st);
  }
}

TEST(X87Control, TheTagWordTellsZeroSpecialAndEmpty) {
  const Buffer buffer;
  State state;
  state.fx.valid = 0x0f;  // R0 to R3, with the top at 0
  const auto set = [&](unsigned i, std::uint16_t sign_exponent, std::uint64_t significand) {
    std::memcpy(state.fx.st[i].data(), &significand, 8);
    std::memcpy(state.fx.st[i].data() + 8, &sign_exponent, 2);
  };
  set(0, 0x3fff, 0x8000000000000000);  // 1
  set(1, 0x8000, 0);                   // -0
  set(2, 0x7fff, 0x8000000000000000);  // infinity
  set(3, 0, 1);                        // denormal
  EXPECT_FALSE(run({0xd9, 0x36}, buffer, state));
  std::uint32_t tags;
  std::memcpy(&tags, buffer.data() + Buffer::kOperand + 8, 4);
  EXPECT_EQ(tags, 0xffffffa4u);
}

}  // namespace
}  // namespace vpmu::machine::x86::testing
