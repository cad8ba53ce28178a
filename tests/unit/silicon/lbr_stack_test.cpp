// SPDX-License-Identifier: MIT
//
// The stack of last branch records: which record is where, and how it is encoded.
#include "vpmu/silicon/x86/lbr_stack.hpp"

#include <algorithm>
#include <optional>

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

TEST(LbrStack, BranchesThatArePassedOverLeaveNothingButTos) {
  for (const LbrModel* model : kLegacyModels) {
    for (const unsigned passed : {0u, 1u, 15u, 31u, 32u, 500u}) {
      LbrStack all{*model}, some{*model};
      const unsigned kept = model->depth + 1;
      record_jumps(all, passed + kept);
      some.pass_over(passed);
      for (unsigned n = passed; n < passed + kept; ++n) some.record(jump(n));
      EXPECT_EQ(some.save(), all.save()) << passed;
    }
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

// ---- Cycles and types ---------------------------------------------------------------------------

std::optional<std::uint16_t> cycles_of_newest(const LbrStack& stack) {
  return LbrStack::decode(stack.model(), stack.newest(0)).cycles;
}

TEST(LbrStack, CountsCyclesSinceTheRecordBeforeAndSaturates) {
  for (const LbrModel* model : {&kFormat5, &kArchitectural}) {
    LbrStack stack{*model};
    accept_all(stack);
    std::uint64_t now = 1000;
    stack.set_cycle(now);
    for (const std::uint64_t step :
         {0ull, 1ull, 7ull, 0xfffeull, 0xffffull, 0x10000ull, 1ull << 40}) {
      now += step;
      stack.record({.from = 1, .to = 2, .cycle = now});
      EXPECT_EQ(cycles_of_newest(stack), std::min<std::uint64_t>(step, 0xffff)) << step;
      EXPECT_EQ(stack.newest(0).info & 0xffff'ffff, std::min<std::uint64_t>(step, 0xffff));
    }
  }
}

TEST(LbrStack, CyclesOfBranchesThatAreNotRecordedGoToTheNextRecord) {
  LbrStack stack{kFormat5};
  stack.write(msr::MSR_LBR_SELECT, 0x004);  // no conditional branches
  stack.record({.cycle = 100, .type = BranchType::kDirectJump});
  stack.record({.cycle = 130, .type = BranchType::kConditional});
  stack.record({.cycle = 150, .type = BranchType::kDirectJump});
  EXPECT_EQ(cycles_of_newest(stack), 50);
}

TEST(LbrStack, FormatsWithoutInfoHaveNoCyclesAndNoTypes) {
  for (const LbrModel* model : {&kFormat3, &kFormat4, &kFormat4Tsx}) {
    LbrStack stack{*model};
    stack.record({.from = 0x1000, .to = 0x2000, .cycle = 9, .type = BranchType::kReturn});
    EXPECT_EQ(stack.newest(0), (LbrState::Record{0x1000, 0x2000, 0}));
    const LbrStack::Decoded decoded = LbrStack::decode(*model, stack.newest(0));
    EXPECT_FALSE(decoded.cycles.has_value());
    EXPECT_FALSE(decoded.type.has_value());
  }
}

TEST(LbrStack, ArchitecturalInfoHasTheTypeOfTheBranch) {
  LbrStack stack{kArchitectural};
  accept_all(stack);
  for (const BranchType type : kBranchTypes) {
    stack.record({.from = 0x1000, .to = 0x2000, .type = type});
    EXPECT_EQ(stack.newest(0).info, 1ull << 60 | static_cast<std::uint64_t>(type) << 56);
    EXPECT_EQ(LbrStack::decode(kArchitectural, stack.newest(0)).type, type);
  }
}

TEST(LbrStack, DecodesWhatSoftwareWrote) {
  const auto info_of = [](const LbrModel& model, std::uint64_t info) {
    return LbrStack::decode(model, {.from = 1, .to = 2, .info = info});
  };
  EXPECT_FALSE(info_of(kArchitectural, 0x1234).cycles.has_value()) << "they are not valid";
  EXPECT_EQ(info_of(kArchitectural, 1ull << 60 | 0x1234).cycles, 0x1234);
  for (const std::uint64_t type : {6u, 7u, 8u, 9u, 15u})
    EXPECT_EQ(info_of(kArchitectural, type << 56).type, BranchType::kOther) << type;
  EXPECT_EQ(info_of(kFormat5, 0x1234).cycles, 0x1234);
  EXPECT_FALSE(info_of(kFormat5, 5ull << 56).type.has_value());
  EXPECT_TRUE(info_of(kFormat5Tsx, 1ull << 62).in_transaction);
  EXPECT_FALSE(info_of(kFormat5, 1ull << 62).in_transaction);
  EXPECT_TRUE(LbrStack::decode(kFormat4Tsx, {.from = 1ull << 62}).in_transaction);
}

TEST(LbrStack, ResetClearsRegistersAndCountsCyclesOn) {
  for (const LbrModel* model : kAllLbrModels) {
    LbrStack stack{*model};
    if (model->architectural()) stack.write(msr::IA32_LBR_DEPTH, 8);
    accept_all(stack);
    stack.record({.from = 1, .to = 2, .cycle = 77});
    stack.reset();
    EXPECT_EQ(stack.save(), (LbrState{.depth = model->depth, .cycle = 77}));
    EXPECT_EQ(stack.enabled(), !model->architectural());
    EXPECT_FALSE(stack.in_call_stack_mode());
  }
}

}  // namespace
}  // namespace vpmu::silicon::x86
