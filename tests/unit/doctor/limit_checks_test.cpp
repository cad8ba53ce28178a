// SPDX-License-Identifier: MIT
#include "unit/doctor/fakes.hpp"

namespace vpmu::test {
namespace {

using cli::doctor::HostFacts;
using cli::doctor::limit_checks;

constexpr const char* kMlock = "/proc/sys/kernel/perf_event_mlock_kb";

TEST(LimitChecks, UnlimitedIsOk) {
  FakeHost host;
  host.put(kMlock, "516\n");
  for (const Check& each : limit_checks({}, host))
    EXPECT_EQ(each.result, CheckResult::kOk) << each.name;
}

TEST(LimitChecks, SmallLimitsWarnAndSayHowToRaiseThem) {
  FakeHost host;
  host.locked_memory = 64 << 10;
  host.open_files = 256;
  host.put(kMlock, "64\n");
  for (const Check& each : limit_checks({}, host)) {
    EXPECT_EQ(each.result, CheckResult::kWarning) << each.name;
    EXPECT_FALSE(each.cause.empty()) << each.name;
    EXPECT_FALSE(each.remedy.empty()) << each.name;
  }
  EXPECT_TRUE(contains(find(limit_checks({}, host), "limits.memlock").detail, "64 KiB"));
}

TEST(LimitChecks, LockedMemoryDoesNotLimitWhoMayLock) {
  FakeHost host;
  host.locked_memory = 64 << 10;
  HostFacts facts;
  facts.lock_memory = true;
  EXPECT_EQ(find(limit_checks(facts, host), "limits.memlock").result, CheckResult::kOk);
}

TEST(LimitChecks, UnreadableSettingIsSkipped) {
  const FakeHost host;
  EXPECT_EQ(find(limit_checks({}, host), "limits.perf-buffer").result, CheckResult::kSkipped);
}

}  // namespace
}  // namespace vpmu::test
