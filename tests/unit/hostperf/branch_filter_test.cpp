// SPDX-License-Identifier: MIT
#include "hostperf/branch_filter.hpp"

#include "unit/hostperf/small_lbr.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"

namespace vpmu::hostperf {
namespace {

using silicon::x86::LbrCtl;

TEST(BranchFilter, SuppressesInLbrSelectWhatIsNotWanted) {
  struct Row {
    std::uint32_t branch_type;
    std::uint64_t select;
  };
  constexpr std::uint64_t kAllTypes = mask_of(
      LbrSelect::kJcc, LbrSelect::kNearRelCall, LbrSelect::kNearIndCall, LbrSelect::kNearRet,
      LbrSelect::kNearIndJmp, LbrSelect::kNearRelJmp, LbrSelect::kFarBranch);
  constexpr std::uint64_t kUserOnly = mask_of(LbrSelect::kCplEq0);
  constexpr std::uint64_t kKernelOnly = mask_of(LbrSelect::kCplNeq0);
  constexpr Row kRows[] = {
      {kBranchAny | kBranchUser | kBranchKernel, 0},
      {kBranchAny, 0},
      {kBranchAny | kBranchUser, 0x001},
      {kBranchAny | kBranchKernel, kKernelOnly},
      {kBranchCallStack | kBranchUser, 0x3c5},
      {kBranchAnyCall, kAllTypes & ~mask_of(LbrSelect::kNearRelCall, LbrSelect::kNearIndCall,
                                            LbrSelect::kFarBranch)},
      {kBranchAnyReturn, kAllTypes & ~mask_of(LbrSelect::kNearRet, LbrSelect::kFarBranch)},
      {kBranchIndirectCall, kAllTypes & ~mask_of(LbrSelect::kNearIndCall)},
      {kBranchConditional | kBranchUser, (kAllTypes & ~mask_of(LbrSelect::kJcc)) | kUserOnly},
      {kBranchIndirectJump, kAllTypes & ~mask_of(LbrSelect::kNearIndJmp)},
      {kBranchCall, kAllTypes & ~mask_of(LbrSelect::kNearRelCall)},
      {kBranchCall | kBranchConditional,
       kAllTypes & ~mask_of(LbrSelect::kNearRelCall, LbrSelect::kJcc)},
      {kBranchAny | kBranchCall, 0},
  };
  for (const Row& row : kRows) {
    EXPECT_EQ(branch_filter(row.branch_type, kFourRecords), row.select) << row.branch_type;
  }
}

TEST(BranchFilter, AsksInLbrCtlForWhatIsWanted) {
  constexpr std::uint64_t kOn = mask_of(LbrCtl::kEn);
  constexpr std::uint64_t kBoth = mask_of(LbrCtl::kOs, LbrCtl::kUsr);
  EXPECT_EQ(branch_filter(kBranchAny, kArchitecturalRecords),
            LbrCtl::kAll & ~mask_of(LbrCtl::kCallStack));
  EXPECT_EQ(branch_filter(kBranchConditional, kArchitecturalRecords),
            kOn | kBoth | mask_of(LbrCtl::kJcc));
  EXPECT_EQ(branch_filter(kBranchCallStack | kBranchUser, kArchitecturalRecords),
            kOn | mask_of(LbrCtl::kUsr, LbrCtl::kCallStack, LbrCtl::kNearRelCall,
                          LbrCtl::kNearIndCall, LbrCtl::kNearRet));
}

TEST(BranchFilter, RefusesWhatIsNotValid) {
  EXPECT_FALSE(branch_filter(0, kFourRecords));
  EXPECT_FALSE(branch_filter(kBranchUser | kBranchKernel, kFourRecords)) << "no branches";
  EXPECT_FALSE(branch_filter(kBranchAny | 1u << 2, kFourRecords)) << "hypervisors";
  EXPECT_FALSE(branch_filter(kBranchAny | 1u << 31, kFourRecords));
  EXPECT_FALSE(branch_filter(kBranchCallStack | kBranchCall, kFourRecords));
  EXPECT_FALSE(branch_filter(kBranchCallStack | kBranchAny | kBranchUser, kFourRecords));
}

TEST(BranchFilter, RefusesWhatTheCpuCannotDo) {
  EXPECT_FALSE(branch_filter(kBranchAny, LbrModel{}));
  LbrModel without_call_stack = kFourRecords;
  without_call_stack.call_stack = false;
  EXPECT_TRUE(branch_filter(kBranchAny, without_call_stack));
  EXPECT_FALSE(branch_filter(kBranchCallStack, without_call_stack));
}

}  // namespace
}  // namespace vpmu::hostperf
