// SPDX-License-Identifier: MIT
//
// Call-stack mode: calls put a record on the stack, returns take the newest off.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "lbr_models.hpp"

namespace vpmu::silicon::x86 {
namespace {

class LbrCallStack : public testing::TestWithParam<const LbrModel*> {
 protected:
  LbrCallStack() { keep_call_stack(stack); }

  void call(std::uint64_t n, BranchType type = BranchType::kDirectCall) {
    stack.record({.from = from(n), .to = to(n), .next = from(n) + 5, .type = type});
  }
  void ret() { stack.record({.from = 0x9000, .to = 0x9100, .type = BranchType::kReturn}); }
  static std::uint64_t from(std::uint64_t n) { return 0x1000 + 0x10 * n; }
  static std::uint64_t to(std::uint64_t n) { return 0x5000 + 0x10 * n; }

  /// Calls that are open, the innermost first, until a record is empty.
  std::vector<std::uint64_t> chain() {
    std::vector<std::uint64_t> calls;
    for (unsigned age = 0; age < stack.depth() && stack.newest(age).from != 0; ++age)
      calls.push_back((stack.newest(age).from - 0x1000) / 0x10);
    return calls;
  }
  using Calls = std::vector<std::uint64_t>;

  LbrStack stack{*GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Formats, LbrCallStack,
                         testing::Values(&kFormat4, &kFormat4Tsx, &kFormat5, &kFormat5Tsx,
                                         &kArchitectural, &kArchitecturalTsx));

TEST_P(LbrCallStack, KeepsTheCallsThatAreOpen) {
  EXPECT_TRUE(stack.in_call_stack_mode());
  call(1);
  call(2);
  call(3);
  EXPECT_EQ(chain(), (Calls{3, 2, 1}));
  ret();
  EXPECT_EQ(chain(), (Calls{2, 1}));
  call(4, BranchType::kIndirectCall);
  EXPECT_EQ(chain(), (Calls{4, 2, 1}));
  ret();
  ret();
  EXPECT_EQ(chain(), Calls{1});
}

TEST_P(LbrCallStack, ARecordThatAReturnTookOffReadsZeroEverywhere) {
  stack.record({.from = 0x1000,
                .to = 0x2000,
                .cycle = 5,
                .type = BranchType::kDirectCall,
                .mispredicted = true});
  ret();
  EXPECT_EQ(stack.save().records, LbrState{}.records);
}

TEST_P(LbrCallStack, TosGoesForthAndBack) {
  if (GetParam()->architectural()) return;
  const auto tos = [this] { return stack.read(msr::MSR_LASTBRANCH_TOS); };
  call(1);
  call(2);
  EXPECT_EQ(tos(), 2u);
  ret();
  EXPECT_EQ(tos(), 1u);
  EXPECT_EQ(stack.read(nth(GetParam()->from, 1)), from(1));
  EXPECT_EQ(stack.read(nth(GetParam()->from, 2)), 0u);
}

TEST_P(LbrCallStack, DepthOfNestingBeyondTheRecordsLosesTheOutermost) {
  const unsigned depth = stack.depth();
  for (std::uint64_t n = 1; n <= depth + 3; ++n) call(n);
  Calls expected;
  for (std::uint64_t n = depth + 3; n > 3; --n) expected.push_back(n);
  EXPECT_EQ(chain(), expected);
  for (unsigned n = 0; n < depth; ++n) ret();
  EXPECT_EQ(chain(), Calls{});
}

TEST_P(LbrCallStack, AReturnFromAnEmptyStackLeavesItEmpty) {
  for (std::uint64_t n = 1; n <= 3; ++n) call(n);
  for (unsigned n = 0; n < 3; ++n) ret();
  const LbrState before = stack.save();
  for (unsigned n = 0; n < 40; ++n) ret();
  EXPECT_EQ(stack.save(), before);
  call(7);
  EXPECT_EQ(chain(), Calls{7});
}

TEST_P(LbrCallStack, ACallToTheNextInstructionIsNone) {
  call(1);
  for (const BranchType type : {BranchType::kDirectCall, BranchType::kIndirectCall})
    stack.record({.from = 0x3000, .to = 0x3005, .next = 0x3005, .type = type});
  EXPECT_EQ(chain(), Calls{1});
}

TEST_P(LbrCallStack, OtherBranchesDoNothingEvenIfTheyAreNotSuppressed) {
  if (GetParam()->architectural()) {
    stack.write(msr::IA32_LBR_CTL, kCaptureAll | 1 << 3);
  } else {
    stack.write(msr::MSR_LBR_SELECT, 0x200);
  }
  call(1);
  const LbrState before = stack.save();
  for (const BranchType type : {BranchType::kConditional, BranchType::kIndirectJump,
                                BranchType::kDirectJump, BranchType::kOther}) {
    stack.record({.from = 0x3000, .to = 0x4000, .type = type});
  }
  EXPECT_EQ(stack.save(), before);
}

TEST_P(LbrCallStack, FilterOfCallsAndReturnsHoldsHereToo) {
  const bool architectural = GetParam()->architectural();
  const auto suppress = [&](unsigned select, unsigned ctl) {
    const bool accepted = architectural ? stack.write(msr::IA32_LBR_CTL, 0x38'000f & ~(1ull << ctl))
                                        : stack.write(msr::MSR_LBR_SELECT, 0x3c4 | 1ull << select);
    EXPECT_TRUE(accepted);
  };
  suppress(3, 19);
  call(1, BranchType::kDirectCall);
  call(2, BranchType::kIndirectCall);
  EXPECT_EQ(chain(), Calls{2});
  suppress(4, 20);
  call(3, BranchType::kDirectCall);
  call(4, BranchType::kIndirectCall);
  EXPECT_EQ(chain(), (Calls{3, 2}));
  suppress(5, 21);
  ret();
  EXPECT_EQ(chain(), (Calls{3, 2}));
  suppress(0, 1);  // kernel, which call() ends in
  call(5);
  ret();
  EXPECT_EQ(chain(), (Calls{3, 2}));
}

TEST_P(LbrCallStack, ReturnsDoNotCountAsTheRecordThatCyclesAreCountedFrom) {
  if (!GetParam()->has_info()) return;
  stack.record({.from = 1, .to = 2, .cycle = 100, .type = BranchType::kDirectCall});
  stack.record({.from = 3, .to = 4, .cycle = 120, .type = BranchType::kReturn});
  stack.record({.from = 1, .to = 2, .cycle = 150, .type = BranchType::kDirectCall});
  EXPECT_EQ(LbrStack::decode(*GetParam(), stack.newest(0)).cycles, 50);
}

TEST_P(LbrCallStack, WithoutTheModeReturnsAreRecordedOnTop) {
  call(1);
  if (GetParam()->architectural()) {
    stack.write(msr::IA32_LBR_CTL, kCaptureAll);
  } else {
    stack.write(msr::MSR_LBR_SELECT, 0);
  }
  EXPECT_FALSE(stack.in_call_stack_mode());
  ret();
  EXPECT_EQ(stack.newest(0).to, 0x9100u);
  EXPECT_EQ(stack.newest(1).to, to(1));
  stack.record({.from = 0x3000, .to = 0x3005, .next = 0x3005, .type = BranchType::kDirectCall});
  EXPECT_EQ(stack.newest(0).to, 0x3005u) << "zero-length calls are branches";
}

}  // namespace
}  // namespace vpmu::silicon::x86
