// SPDX-License-Identifier: MIT
#include "machine/arm64_board/crash_report.hpp"

#include "unit/arm64_board/machine_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

class CrashReportTest : public MachineFixture {};

TEST_F(CrashReportTest, ReportHasWhyRegistersAndCode) {
  Code code;
  set(code, 20, 0x1234'5678);
  code.push_back(code::kUdf);
  const auto machine = loaded(code);
  ASSERT_EQ(machine->run({}).reason, Outcome::Reason::kCrash);
  const std::string report = crash_report(*machine->vcpus()[0]);
  for (const char* part :
       {"vCPU 0 crashed: its exception vector at 0000000000000200", "instruction abort",
        "X20=0000000012345678", "FAR=0000000000000200", "0000000000000200  cannot be read"}) {
    EXPECT_NE(report.find(part), std::string::npos) << part << '\n' << report;
  }
}

}  // namespace
}  // namespace vpmu::machine::arm64
