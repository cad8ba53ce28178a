// SPDX-License-Identifier: MIT
#include "cli/filter/range_kernel_test.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "unit/kvm/fake_arm_kvm.hpp"

namespace vpmu::cli::filter {
namespace {

using test::FakeArmKvm;
using virt::arm64::FilterRange;

constexpr FilterRange kCycles{.base_event = 0x11, .nevents = 1, .action = FilterRange::kAllow};
/// Not valid where event numbers have 10 bits.
constexpr FilterRange kHigh{.base_event = 0x3ff, .nevents = 2, .action = FilterRange::kDeny};

LoadedRanges ranges(std::vector<FilterRange> list, const char* cpu = "neoverse-n1") {
  const auto* model = silicon::arm64::find_cpu_model(cpu);
  return {"ranges.toml", model, {model, std::move(list)}};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(RangeKernelTest, AgreesWithAKernelThatAccepts) {
  FakeArmKvm system;
  const auto output = test_ranges_on_kernel(ranges({kCycles, kHigh}), system);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->status, 0);
  EXPECT_EQ(output->text,
            "ranges.toml, for AArch64 guests\n"
            "  kernel   accepts it\n"
            "  vpmu     accepts it\n"
            "They agree.\n");
  ASSERT_GE(system.ranges.size(), 2u);
  EXPECT_EQ(system.ranges[0], kCycles);
  EXPECT_EQ(system.ranges[1], kHigh);
}

TEST(RangeKernelTest, JudgesByTheEventNumbersOfTheHost) {
  FakeArmKvm system;
  system.pmu_version = 1;
  const auto output = test_ranges_on_kernel(ranges({kCycles, kHigh}), system);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->status, 0) << output->text;
  EXPECT_TRUE(has(output->text,
                  "kernel   range 1 (deny 0x03ff-0x0400): refuses it: EINVAL, Invalid argument"))
      << output->text;
  EXPECT_TRUE(has(output->text, "refuses it: range 1 (deny 0x03ff-0x0400) goes beyond the last"))
      << output->text;
  EXPECT_TRUE(has(output->text, "neoverse-n1 has 65536 event numbers, and this host 1024"))
      << output->text;
}

TEST(RangeKernelTest, RangeOfNoActionIsRefusedByBoth) {
  FakeArmKvm system;
  FilterRange strange = kCycles;
  strange.action = 7;
  const auto output = test_ranges_on_kernel(ranges({strange}), system);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->status, 0) << output->text;
  EXPECT_TRUE(has(output->text, "They agree."));
}

TEST(RangeKernelTest, SaysSoIfTheKernelAnswersOtherwise) {
  FakeArmKvm system;
  system.set_error = ENODEV;
  const auto output = test_ranges_on_kernel(ranges({kCycles}), system);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->status, 1);
  EXPECT_TRUE(has(output->text, "ENODEV")) << output->text;
  EXPECT_TRUE(has(output->text, "They do not agree."));
}

TEST(RangeKernelTest, OnAnX86HostItSaysWhichHostItNeeds) {
  FakeArmKvm system;
  system.extensions.clear();
  const auto output = test_ranges_on_kernel(ranges({kCycles}), system);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().message,
            "event filter 'ranges.toml': is for AArch64 guests, and the KVM of an AArch64 host has "
            "to be asked: this kernel's KVM has no PMUv3 for guests (KVM_CAP_ARM_PMU_V3); use an "
            "AArch64 host that has a PMU");
}

}  // namespace
}  // namespace vpmu::cli::filter
