// SPDX-License-Identifier: MIT
//
// The command as its users meet it: started as a process, judged by what it prints and by its exit
// status.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "unit/boot/elf_builder.hpp"
#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

struct Result {
  int status = -1;
  std::string output;
  std::string errors;
};

class CommandTest : public testing::Test {
 protected:
  std::filesystem::path folder =
      std::filesystem::path{testing::TempDir()} /
      ("vpmu command " +
       std::string{testing::UnitTest::GetInstance()->current_test_info()->name()});

  void SetUp() override {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder / name; }

  static std::string content(const std::string& file) {
    std::stringstream text;
    text << std::ifstream{file}.rdbuf();
    return text.str();
  }

  /// A freestanding guest of that code; its path.
  std::string guest(const Code& code) {
    Elf64Builder elf;
    elf.header.e_entry = 0x100000;
    elf.add(PT_LOAD, 0x100000, code);
    return write("guest.elf", elf.build());
  }

  std::string write(const std::string& name, const FileBytes& bytes) {
    std::ofstream{path(name), std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()),
                                                      static_cast<std::streamsize>(bytes.size()));
    return path(name);
  }

  /// Runs `vpmu ARGUMENTS`, with shell syntax, without input.
  Result vpmu(const std::string& arguments) {
    const std::string line = std::string{"'" VPMU_COMMAND "' "} + arguments + " < /dev/null > '" +
                             path("out") + "' 2> '" + path("err") + "'";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content(path("out")),
            content(path("err"))};
  }

  /// Status 2, nothing on standard output, one line on standard error that has `part` in it.
  void expect_bad_input(const std::string& arguments, const std::string& part) {
    const Result result = vpmu(arguments);
    EXPECT_EQ(result.status, 2) << arguments;
    EXPECT_EQ(result.output, "") << arguments;
    EXPECT_NE(result.errors.find(part), std::string::npos) << result.errors;
    EXPECT_EQ(result.errors.find('\n'), result.errors.size() - 1) << result.errors;
  }
};

TEST_F(CommandTest, ConsoleGoesToStandardOutputAndTheSummaryToStandardError) {
  const Result result = vpmu("run '" + guest(print('h') + print('i') + debug_exit(0)) + "'");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "hi");
  EXPECT_NE(result.errors.find("debug-exit 0"), std::string::npos) << result.errors;
}

TEST_F(CommandTest, LimitsEndARunWithStatus124) {
  const std::string endless = "run '" + guest(forever()) + "' ";
  EXPECT_EQ(vpmu(endless + "--max-instructions 100000").status, 124);
  EXPECT_EQ(vpmu(endless + "--timeout 0.05").status, 124);
  EXPECT_EQ(vpmu("run '" + guest(halt()) + "'").status, 124);
}

TEST_F(CommandTest, CrashPrintsRegistersAndCodeWithStatus125) {
  const Result result = vpmu("run '" + guest({0x0f, 0x0b}) + "'");
  EXPECT_EQ(result.status, 125);
  EXPECT_NE(result.errors.find("RIP=0000000000100000"), std::string::npos) << result.errors;
  EXPECT_NE(result.errors.find("ud2"), std::string::npos) << result.errors;
}

TEST_F(CommandTest, CtrlCEndsTheRunWithTheReportAndStatus130) {
  const std::string file = guest(forever());
  // An interrupt a moment after the start.
  const std::string line = std::string{"'" VPMU_COMMAND "' run '"} + file + "' --json '" +
                           path("report") + "' < /dev/null 2> /dev/null & pid=$!; sleep 0.3; " +
                           "kill -INT $pid; wait $pid";
  // A shell without job control ignores SIGINT in what it starts in the background: bash -m.
  std::ofstream{path("script")} << line << "\n";
  const int status = std::system(("bash -m '" + path("script") + "' 2> /dev/null").c_str());
  EXPECT_EQ(WEXITSTATUS(status), 130);
  const auto json = nlohmann::json::parse(content(path("report")), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["outcome"]["reason"], "interrupted");
}

TEST_F(CommandTest, JsonGoesToAFileOrBehindTheConsole) {
  const std::string run = "run '" + guest(print('x') + debug_exit(3)) + "' ";
  ASSERT_EQ(vpmu(run + "--json '" + path("report") + "'").status, 7);
  const auto json = nlohmann::json::parse(content(path("report")), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["outcome"]["status"], 7);

  const Result both = vpmu(run + "--json -");
  ASSERT_FALSE(both.output.empty());
  EXPECT_EQ(both.output[0], 'x');
  EXPECT_EQ(both.output.substr(1), content(path("report"))) << "the same bytes";
}

TEST_F(CommandTest, ReportThatCannotBeWrittenIsAnError) {
  const std::string run = "run '" + guest(debug_exit(0)) + "' ";
  const Result full = vpmu(run + "--json /dev/full");
  EXPECT_EQ(full.status, 2);
  EXPECT_NE(full.errors.find("/dev/full"), std::string::npos);
  EXPECT_EQ(vpmu(run + "--json '" + path("no/such/folder") + "'").status, 2);
}

TEST_F(CommandTest, TraceShowsWhatWasAskedFor) {
  const std::string run = "run '" + guest(wrmsr(0x38f, 1) + debug_exit(0)) + "' ";
  const Result msr = vpmu(run + "--trace msr");
  EXPECT_NE(msr.errors.find("wrmsr 0x38f = 0x1"), std::string::npos) << msr.errors;
  EXPECT_EQ(msr.errors.find("exit port-io"), std::string::npos);
  EXPECT_NE(vpmu(run + "--trace exit,irq").errors.find("exit port-io"), std::string::npos);
}

TEST_F(CommandTest, BadUsageIsOneLineAndStatus2) {
  expect_bad_input("", "subcommand");
  expect_bad_input("run", "GUEST");
  expect_bad_input("frobnicate", "frobnicate");
  const std::string run = "run '" + guest(debug_exit(0)) + "' ";
  expect_bad_input(run + "--no-such-option", "--no-such-option");
  expect_bad_input(run + "--cpu z80", "'z80'");
  expect_bad_input(run + "--mem lots", "'lots'");
  expect_bad_input(run + "--mem 4K", "1 MiB");
  expect_bad_input(run + "--smp 0", "--smp");
  expect_bad_input(run + "--smp 1000", "--smp");
  expect_bad_input(run + "--pmu maybe", "--pmu");
  expect_bad_input(run + "--pmu version=1,fixed=3", "version 1 has no fixed counters");
  expect_bad_input(run + "--timeout -1", "--timeout");
  expect_bad_input(run + "--quantum 0", "--quantum");
  expect_bad_input(run + "--max-instructions x", "--max-instructions");
  expect_bad_input(run + "--trace everything", "--trace");
  expect_bad_input("cpu show z80", "'z80'");
}

TEST_F(CommandTest, BadImagesAreOneLineAndStatus2) {
  expect_bad_input("run '" + path("missing") + "'", "missing': No such file");
  expect_bad_input("run '" + write("empty", {}) + "'", "is empty");
  expect_bad_input("run '" + write("text", {'h', 'e', 'l', 'l', 'o'}) + "'", "neither an ELF");
  expect_bad_input("run '" + folder.string() + "'", "is a directory");
  FileBytes file = freestanding_elf().build();
  file.resize(file.size() - 1);
  expect_bad_input("run '" + write("short", file) + "'", "truncated");
  auto large = freestanding_elf();
  large.parts[0].header.p_memsz = 1 << 30;
  expect_bad_input("run '" + write("large", large.build()) + "'", "--mem");
  auto other = freestanding_elf();
  other.header.e_machine = EM_AARCH64;
  expect_bad_input("run '" + write("other", other.build()) + "'", "AArch64");
  const std::string good = guest(debug_exit(0));
  expect_bad_input("run '" + good + "' --initrd '" + path("missing") + "'", "initrd");
}

TEST_F(CommandTest, HelpAndVersionGoToStandardOutput) {
  EXPECT_EQ(vpmu("--version").output.rfind("vpmu ", 0), 0u);
  const Result help = vpmu("run --help");
  EXPECT_EQ(help.status, 0);
  EXPECT_NE(help.output.find("--max-instructions"), std::string::npos);
  EXPECT_EQ(vpmu("cpu list").status, 0);
  EXPECT_EQ(vpmu("cpu show icelake-server").status, 0);
  EXPECT_EQ(vpmu("cpu show zen4 --events").output.rfind("name ", 0), 0u);
}

}  // namespace
}  // namespace vpmu::test
