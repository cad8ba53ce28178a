// SPDX-License-Identifier: MIT
//
// Which branches are recorded: every bit of LBR_SELECT and of IA32_LBR_CTL, in both senses.
#include <gtest/gtest.h>

#include "lbr_models.hpp"

namespace vpmu::silicon::x86 {
namespace {

/// The bits of a type, as manuals number them.
struct TypeBits {
  BranchType type;
  unsigned select, ctl;
};
constexpr TypeBits kTypeBits[] = {
    {BranchType::kConditional, 2, 16},  {BranchType::kDirectJump, 7, 17},
    {BranchType::kIndirectJump, 6, 18}, {BranchType::kDirectCall, 3, 19},
    {BranchType::kIndirectCall, 4, 20}, {BranchType::kReturn, 5, 21},
    {BranchType::kOther, 8, 22},
};
struct PrivilegeBits {
  Privilege privilege;
  unsigned select, ctl;
};
constexpr PrivilegeBits kPrivilegeBits[] = {{Privilege::kKernel, 0, 1}, {Privilege::kUser, 1, 2}};

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}

bool records(LbrStack& stack, BranchType type, Privilege privilege) {
  static std::uint64_t from = 0x1000;
  from += 16;
  stack.record({.from = from, .to = 0x2000, .next = from + 5, .type = type, .ends_in = privilege});
  return stack.newest(0).from == from;
}

/// Calls `check(type, privilege)` for all of them.
template <class Check>
void for_each_branch(Check check) {
  for (const TypeBits& type : kTypeBits) {
    for (const PrivilegeBits& privilege : kPrivilegeBits) check(type, privilege);
  }
}

TEST(LbrFilter, EachBitOfLbrSelectSuppressesItsBranchesAndNoOthers) {
  for (const LbrModel* model : kLegacyModels) {
    for (unsigned number = 0; number <= 8; ++number) {
      LbrStack stack{*model};
      ASSERT_TRUE(stack.write(msr::MSR_LBR_SELECT, bit(number)));
      for_each_branch([&](const TypeBits& type, const PrivilegeBits& privilege) {
        const bool suppressed = type.select == number || privilege.select == number;
        EXPECT_EQ(records(stack, type.type, privilege.privilege), !suppressed) << number;
      });
    }
  }
}

TEST(LbrFilter, EachBitOfLbrSelectThatIsClearAdmitsItsBranchesAndNoOthers) {
  for (const LbrModel* model : kLegacyModels) {
    for_each_branch([&](const TypeBits& admitted, const PrivilegeBits& admitted_in) {
      LbrStack stack{*model};
      const std::uint64_t filter = 0x1ff & ~bit(admitted.select) & ~bit(admitted_in.select);
      ASSERT_TRUE(stack.write(msr::MSR_LBR_SELECT, filter));
      for_each_branch([&](const TypeBits& type, const PrivilegeBits& privilege) {
        const bool expected =
            type.type == admitted.type && privilege.privilege == admitted_in.privilege;
        EXPECT_EQ(records(stack, type.type, privilege.privilege), expected) << filter;
      });
    });
  }
}

TEST(LbrFilter, EachBitOfLbrCtlAdmitsItsBranchesAndNoOthers) {
  for (const LbrModel* model : kArchitecturalModels) {
    for_each_branch([&](const TypeBits& admitted, const PrivilegeBits& admitted_in) {
      LbrStack stack{*model};
      const std::uint64_t filter = 1 | bit(admitted.ctl) | bit(admitted_in.ctl);
      ASSERT_TRUE(stack.write(msr::IA32_LBR_CTL, filter));
      for_each_branch([&](const TypeBits& type, const PrivilegeBits& privilege) {
        const bool expected =
            type.type == admitted.type && privilege.privilege == admitted_in.privilege;
        EXPECT_EQ(records(stack, type.type, privilege.privilege), expected) << filter;
      });
    });
  }
}

TEST(LbrFilter, EachBitOfLbrCtlThatIsClearLeavesOutItsBranchesAndNoOthers) {
  for (const LbrModel* model : kArchitecturalModels) {
    for (const unsigned number : {0u, 1u, 2u, 16u, 17u, 18u, 19u, 20u, 21u, 22u}) {
      LbrStack stack{*model};
      ASSERT_TRUE(stack.write(msr::IA32_LBR_CTL, kCaptureAll & ~bit(number)));
      for_each_branch([&](const TypeBits& type, const PrivilegeBits& privilege) {
        const bool left_out = number == 0 || type.ctl == number || privilege.ctl == number;
        EXPECT_EQ(records(stack, type.type, privilege.privilege), !left_out) << number;
      });
    }
  }
}

TEST(LbrFilter, IsEnabledIfAnyBranchCouldBeRecorded) {
  LbrStack legacy{kFormat5};
  EXPECT_TRUE(legacy.enabled());
  legacy.write(msr::MSR_LBR_SELECT, 0x003);
  EXPECT_FALSE(legacy.enabled()) << "no privilege";
  legacy.write(msr::MSR_LBR_SELECT, 0x1fc);
  EXPECT_FALSE(legacy.enabled()) << "no type";

  LbrStack architectural{kArchitectural};
  EXPECT_FALSE(architectural.enabled());
  architectural.write(msr::IA32_LBR_CTL, kCaptureAll);
  EXPECT_TRUE(architectural.enabled());
  architectural.write(msr::IA32_LBR_CTL, kCaptureAll & ~1ull);
  EXPECT_FALSE(architectural.enabled());
}

TEST(LbrFilter, AcceptedIsWhatRecordLooksAt) {
  for (const LbrModel* model : kLegacyModels) {
    for (std::uint64_t filter = 0; filter <= 0x1ff; ++filter) {
      LbrStack stack{*model};
      ASSERT_TRUE(stack.write(msr::MSR_LBR_SELECT, filter));
      for_each_branch([&](const TypeBits& type, const PrivilegeBits& privilege) {
        const unsigned accept = LbrStack::accept_bit(type.type, privilege.privilege);
        EXPECT_EQ(records(stack, type.type, privilege.privilege),
                  (stack.accepted() >> accept & 1) != 0)
            << filter;
      });
    }
  }
}

}  // namespace
}  // namespace vpmu::silicon::x86
