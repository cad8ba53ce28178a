// SPDX-License-Identifier: MIT
#include "vpmu/silicon/x86/cpu_model.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace vpmu::silicon::x86 {
namespace {

TEST(CpuModel, IsFoundByItsNameOnly) {
  for (const CpuModel* model : cpu_models()) EXPECT_EQ(find_cpu_model(model->name), model);
  EXPECT_NE(find_cpu_model("icelake-server"), nullptr);
  EXPECT_EQ(find_cpu_model(""), nullptr);
  EXPECT_EQ(find_cpu_model("icelake"), nullptr);
  EXPECT_EQ(find_cpu_model("Icelake-Server"), nullptr);
}

TEST(CpuModel, ModelsAreSortedByName) {
  EXPECT_TRUE(std::ranges::is_sorted(cpu_models(), {}, &CpuModel::name));
}

TEST(CpuModel, IcelakeServerHasThePmuOfItsManual) {
  const CpuModel* model = find_cpu_model("icelake-server");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->pmu.version, 5);
  EXPECT_EQ(model->pmu.gp_counters, 8);
  EXPECT_EQ(model->pmu.gp_width, 48);
  EXPECT_EQ(model->pmu.fixed_counters, 4);
  EXPECT_EQ(model->pmu.fixed_width, 48);
  EXPECT_EQ(model->pmu.perf_capabilities, 1u << 13);  // FW_WRITE
}

}  // namespace
}  // namespace vpmu::silicon::x86
