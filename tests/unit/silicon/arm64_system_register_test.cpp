// SPDX-License-Identifier: MIT
#include "vpmu/silicon/arm64/system_register.hpp"

#include <gtest/gtest.h>

namespace vpmu::silicon::arm64 {
namespace {

TEST(SystemRegister, FieldsArePackedAsInKvmsRegisterIdentifiers) {
  // PMCR_EL0 is S3_3_C9_C12_0; KVM_REG_ARM64_SYSREG gives its low half 0xdce0.
  constexpr SystemRegister kPmcr = system_register(3, 3, 9, 12, 0);
  EXPECT_EQ(raw(kPmcr), 0xdce0);
  EXPECT_EQ(raw(system_register(3, 0, 0, 0, 0)), 0xc000) << "MIDR_EL1";
}

TEST(SystemRegister, EachFieldComesBack) {
  constexpr SystemRegister kWhich = system_register(2, 5, 11, 6, 3);
  EXPECT_EQ(op0(kWhich), 2u);
  EXPECT_EQ(op1(kWhich), 5u);
  EXPECT_EQ(crn(kWhich), 11u);
  EXPECT_EQ(crm(kWhich), 6u);
  EXPECT_EQ(op2(kWhich), 3u);
}

TEST(SystemRegister, LargestFieldsFillTheNumber) {
  constexpr SystemRegister kAll = system_register(3, 7, 15, 15, 7);
  EXPECT_EQ(raw(kAll), 0xffff);
  EXPECT_EQ(op1(kAll), 7u);
  EXPECT_EQ(op2(kAll), 7u);
}

}  // namespace
}  // namespace vpmu::silicon::arm64
