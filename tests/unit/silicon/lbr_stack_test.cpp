// SPDX-License-Identifier: MIT
//
// The stack of last branch records: which record is where, and how it is encoded.
#include "vpmu/silicon/x86/lbr_stack.hpp"

#include <gtest/gtest.h>

#include "lbr_models.hpp"

namespace vpmu::silicon::x86 {
namespace {

constexpr std::uint64_t kUserFrom = 0x401000, kUserTo = 0x402000;
constexpr std::uint64_t kKernelFrom = 0xffff'ffff'8100'0000, kKernelTo = 0xffff'ffff'8200'0000;
constexpr std::uint64_t kMispredicted = 1ull << 63, kAbort = 1ull << 61;

constexpr TakenBranch jump(std::uint64_t n) {
  return {.from = kUserFrom + 16 * n, .to = kUserTo + 16 * n, .type = BranchType::kDirectJump};
}

void record_jumps(LbrStack& stack, unsigned count) {
  for (unsigned n = 0; n < count; ++n) stack.record(jump(n));
}

TEST(LbrStack, StartsEmptyAtTheGreatestDepth) {
  for (const LbrModel* model : kAllLbrModels) {
    const LbrStack stack{*model};
    EXPECT_EQ(stack.save(), (LbrState{.depth = model->depth}));
    EXPECT_EQ(stack.enabled(), !model->architectural()) << "LBR_SELECT 0 suppresses nothing";
  }
}

TEST(LbrStack, AdvancesTosBeforeItWritesARecord) {
  for (const LbrModel* model : kLegacyModels) {
    LbrStack stack{*model};
    stack.record(jump(0));
    EXPECT_EQ(stack.read(msr::MSR_LASTBRANCH_TOS), 1u);
    EXPECT_EQ(stack.read(nth(model->from, 0)), 0u);
    EXPECT_EQ(stack.read(nth(model->from, 1)), jump(0).from);
    EXPECT_EQ(stack.read(nth(model->to, 1)), jump(0).to);
  }
}

TEST(LbrStack, LegacyRecordKIsBehindTosByKAlsoWhenTheRingHasWrapped) {
  for (const LbrModel* model : kLegacyModels) {
    LbrStack stack{*model};
    const unsigned count = model->depth + 5;
    record_jumps(stack, count);
    EXPECT_EQ(stack.read(msr::MSR_LASTBRANCH_TOS), 5u);
    for (unsigned age = 0; age < model->depth; ++age) {
      const TakenBranch expected = jump(count - 1 - age);
      const unsigned index = (5 + model->depth - age) % model->depth;
      EXPECT_EQ(stack.read(nth(model->from, index)), expected.from) << age;
      EXPECT_EQ(stack.read(nth(model->to, index)), expected.to) << age;
      EXPECT_EQ(stack.newest(age).from, expected.from) << age;
    }
  }
}

TEST(LbrStack, ArchitecturalRecordZeroIsTheNewest) {
  for (const LbrModel* model : kArchitecturalModels) {
    LbrStack stack{*model};
    accept_all(stack);
    const unsigned count = model->depth + 5;
    record_jumps(stack, count);
    for (unsigned age = 0; age < model->depth; ++age) {
      const TakenBranch expected = jump(count - 1 - age);
      EXPECT_EQ(stack.read(nth(model->from, age)), expected.from) << age;
      EXPECT_EQ(stack.read(nth(model->to, age)), expected.to) << age;
      EXPECT_EQ(stack.newest(age).to, expected.to) << age;
    }
  }
}

TEST(LbrStack, EncodesFlagsAsTheFormatHasThem) {
  struct Case {
    const char* what;
    const LbrModel& model;
    bool mispredicted, aborted;
    std::uint64_t from, info;
  };
  constexpr std::uint64_t kIn63 = kKernelFrom & ~(1ull << 63);
  constexpr std::uint64_t kIn61 = kKernelFrom & ~(7ull << 61);
  // Type 8, other; cycles are valid.
  constexpr std::uint64_t kOtherValid = 0x1800'0000'0000'0000;
  const Case cases[] = {
      {"3", kFormat3, false, false, kIn63, 0},
      {"3, mispredicted", kFormat3, true, false, kIn63 | kMispredicted, 0},
      {"3, aborted", kFormat3, false, true, kIn63, 0},
      {"4", kFormat4, false, false, kIn61, 0},
      {"4, mispredicted", kFormat4, true, false, kIn61 | kMispredicted, 0},
      {"4, aborted", kFormat4, false, true, kIn61, 0},
      {"4 TSX", kFormat4Tsx, false, false, kIn61, 0},
      {"4 TSX, both", kFormat4Tsx, true, true, kIn61 | kMispredicted | kAbort, 0},
      {"4 TSX, aborted", kFormat4Tsx, false, true, kIn61 | kAbort, 0},
      {"5", kFormat5, false, false, kKernelFrom, 0},
      {"5, both", kFormat5, true, true, kKernelFrom, kMispredicted},
      {"5 TSX, both", kFormat5Tsx, true, true, kKernelFrom, kMispredicted | kAbort},
      {"5 TSX, aborted", kFormat5Tsx, false, true, kKernelFrom, kAbort},
      {"architectural", kArchitectural, false, false, kKernelFrom, kOtherValid},
      {"architectural, both", kArchitectural, true, true, kKernelFrom, kOtherValid | kMispredicted},
      {"architectural TSX, both", kArchitecturalTsx, true, true, kKernelFrom,
       kOtherValid | kMispredicted | kAbort},
  };
  for (const Case& one : cases) {
    LbrStack stack{one.model};
    accept_all(stack);
    stack.record({.from = kKernelFrom,
                  .to = kKernelTo,
                  .mispredicted = one.mispredicted,
                  .aborted = one.aborted});
    EXPECT_EQ(stack.newest(0), (LbrState::Record{one.from, kKernelTo, one.info})) << one.what;
    const LbrStack::Decoded decoded = LbrStack::decode(one.model, stack.newest(0));
    EXPECT_EQ(decoded.from, kKernelFrom) << one.what;
    EXPECT_EQ(decoded.to, kKernelTo) << one.what;
    EXPECT_EQ(decoded.mispredicted, one.mispredicted) << one.what;
    EXPECT_EQ(decoded.aborted, one.aborted && one.model.tsx) << one.what;
    EXPECT_FALSE(decoded.in_transaction) << one.what;
  }
}

}  // namespace
}  // namespace vpmu::silicon::x86
