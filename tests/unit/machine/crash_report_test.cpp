// SPDX-License-Identifier: MIT
#include "machine/pc/crash_report.hpp"

#include <gtest/gtest.h>

#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

TEST_F(MachineTest, CrashReportShowsRegistersPageWalksAndCode) {
  run(mov_eax(0x12345678) + Code{0x0f, 0x0b, 0x90});
  const std::string text = machine::crash_report(*machine->vcpus()[0], machine->board().memory);
  EXPECT_NE(text.find("vCPU 0 shut down"), std::string::npos) << text;
  EXPECT_NE(text.find("RAX=0000000012345678"), std::string::npos) << text;
  EXPECT_NE(text.find("RIP 0000000000100005 > PML4E["), std::string::npos) << text;
  EXPECT_NE(text.find("physical 100005"), std::string::npos) << text;
  EXPECT_NE(text.find("0f 0b  ud2"), std::string::npos) << text;
}

TEST_F(MachineTest, CrashReportShowsTheExceptionsThatLedToTheTripleFault) {
  // A freestanding image starts without an IDT. Error codes: 8 * vector, IDT, external event.
  run(mov_eax(0) + Code{0x0f, 0x0b});
  const std::string text = machine::crash_report(*machine->vcpus()[0], machine->board().memory);
  const std::string at = "  at 0000000000100005: vector ";
  const std::string chain =
      at + "6 (#UD invalid opcode): could not be delivered because of\n" +  //
      at + "13 (#GP general protection), error code 0x33: could not be delivered because of\n" +
      at + "13 (#GP general protection), error code 0x6b: makes a double fault with it\n" +  //
      at + "8 (#DF double fault), error code 0x0: could not be delivered because of\n" +     //
      at + "13 (#GP general protection), error code 0x43: triple fault\n";
  EXPECT_NE(text.find("the last one last:\n" + chain), std::string::npos) << text;
}

TEST_F(MachineTest, CrashReportOfCodeThatIsNotThereSaysSo) {
  // JMP to 0xd0000000, where there is no RAM.
  run(mov_eax(0xd0000000) + Code{0xff, 0xe0});
  const std::string text = machine::crash_report(*machine->vcpus()[0], machine->board().memory);
  EXPECT_NE(text.find("which is not RAM"), std::string::npos) << text;
  EXPECT_NE(text.find("cannot be read"), std::string::npos) << text;
}

}  // namespace
}  // namespace vpmu::test
