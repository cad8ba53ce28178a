// SPDX-License-Identifier: MIT
#include "cli/arm64_register_name.hpp"

#include <gtest/gtest.h>

#include "vpmu/silicon/arm64/pmu_registers.hpp"
#include "vpmu/silicon/arm64/spe_registers.hpp"

namespace vpmu::cli {
namespace {

using silicon::arm64::system_register;

TEST(Arm64RegisterName, IsTheManualsOrTheEncoding) {
  EXPECT_EQ(register_name(silicon::arm64::reg::PMCR_EL0), "PMCR_EL0");
  EXPECT_EQ(register_name(silicon::arm64::reg::PMEVCNTR_EL0(0)), "PMEVCNTR0_EL0");
  EXPECT_EQ(register_name(silicon::arm64::reg::PMEVTYPER_EL0(30)), "PMEVTYPER30_EL0");
  EXPECT_EQ(register_name(silicon::arm64::reg::PMCCFILTR_EL0), "PMCCFILTR_EL0");
  EXPECT_EQ(register_name(silicon::arm64::reg::PMBLIMITR_EL1), "PMBLIMITR_EL1");
  EXPECT_EQ(register_name(system_register(3, 0, 9, 9, 0)), "PMSCR_EL1");
  EXPECT_EQ(register_name(system_register(3, 0, 12, 12, 0)), "ICC_IAR1_EL1");
  EXPECT_EQ(register_name(system_register(3, 3, 14, 3, 1)), "CNTV_CTL_EL0");
  EXPECT_EQ(register_name(system_register(3, 0, 1, 0, 1)), "S3_0_C1_C0_1");
}

}  // namespace
}  // namespace vpmu::cli
