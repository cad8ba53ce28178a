// SPDX-License-Identifier: MIT
//
// A CPU that holds branches back is asked for them before anybody could notice.
#include <functional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "lbr_models.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::silicon::x86 {
namespace {

class HoldingCpu final : public BranchSource {
 public:
  explicit HoldingCpu(LbrStack& stack) : stack_{stack} { stack.set_source(this); }
  void hand_over_branches() override {
    for (const TakenBranch& branch : std::exchange(held_, {})) stack_.record(branch);
  }
  void hold(const TakenBranch& branch) { held_.push_back(branch); }
  [[nodiscard]] std::size_t held() const { return held_.size(); }

 private:
  LbrStack& stack_;
  std::vector<TakenBranch> held_;
};

constexpr TakenBranch kBranch{
    .from = 0x1000, .to = 0x2000, .next = 0x1005, .cycle = 7, .type = BranchType::kConditional};

TEST(LbrSource, IsAskedBeforeRecordsAreRead) {
  LbrStack stack{*kLegacyModels[0]};
  HoldingCpu cpu{stack};
  const std::vector<std::function<std::uint64_t()>> looks{
      [&] { return stack.newest(0).to; },
      [&] { return stack.save().records[stack.save().tos].to; },
      [&] {
        const auto tos = stack.read(msr::MSR_LASTBRANCH_TOS).value_or(0);
        return stack.read(MsrIndex{raw(stack.model().to) + static_cast<std::uint32_t>(tos)})
            .value_or(0);
      },
  };
  std::uint64_t to = kBranch.to;
  for (const auto& look : looks) {
    TakenBranch branch = kBranch;
    branch.to = ++to;
    cpu.hold(branch);
    EXPECT_NE(stack.held().records[stack.held().tos].to, to) << "held() asks nobody";
    EXPECT_EQ(look(), to);
    EXPECT_EQ(cpu.held(), 0u);
  }
}

TEST(LbrSource, RecordsByTheFilterThatWasInForce) {
  for (const LbrModel* model : kLegacyModels) {
    LbrStack stack{*model};
    HoldingCpu cpu{stack};
    cpu.hold(kBranch);
    ASSERT_TRUE(stack.write(msr::MSR_LBR_SELECT, mask_of(LbrSelect::kJcc)));
    EXPECT_EQ(stack.newest(0).to, kBranch.to);
  }
}

TEST(LbrSource, HasNothingLeftAfterAResetOrARestore) {
  for (const LbrModel* model : kLegacyModels) {
    LbrStack stack{*model};
    HoldingCpu cpu{stack};
    const LbrState empty = stack.save();
    cpu.hold(kBranch);
    stack.reset();
    EXPECT_EQ(stack.newest(0), LbrState::Record{});
    cpu.hold(kBranch);
    ASSERT_TRUE(stack.restore(empty));
    EXPECT_EQ(stack.save(), empty);
  }
}

TEST(LbrSource, IsAskedALastTimeWhenAnotherTakesItsPlace) {
  LbrStack stack{*kLegacyModels[0]};
  HoldingCpu cpu{stack};
  cpu.hold(kBranch);
  stack.set_source(nullptr);
  EXPECT_EQ(cpu.held(), 0u);
  EXPECT_EQ(stack.newest(0).to, kBranch.to);
}

}  // namespace
}  // namespace vpmu::silicon::x86
