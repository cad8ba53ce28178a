// SPDX-License-Identifier: MIT
#include "cli/errno_name.hpp"
#include "unit/doctor/fakes.hpp"

namespace vpmu::test {
namespace {

using cli::doctor::tool_checks;

class ToolChecksTest : public testing::Test {
 protected:
  FakeHost host;
  ToolChecksTest() { host.variables["PATH"] = "/first::/second"; }

  void install(const std::string& folder, const std::string& name, const std::string& output) {
    host.folders[folder].push_back(name);
    host.versions[folder + "/" + name] = {.error = 0, .status = 0, .output = output};
  }
  Check check(const std::string& tool) { return find(tool_checks(host), "tools." + tool); }
};

TEST_F(ToolChecksTest, WhatIsNotInPathNamesItsPackage) {
  const std::pair<const char*, const char*> packages[] = {
      {"perf", "linux-perf"},      {"perf2bolt", "bolt-16"}, {"llvm-bolt", "bolt-16"},
      {"llvm-profgen", "llvm-14"}, {"gdb", "gdb"},           {"valgrind", "valgrind"},
  };
  EXPECT_EQ(tool_checks(host).size(), std::size(packages));
  for (const auto& [tool, package] : packages) {
    EXPECT_EQ(check(tool).result, CheckResult::kMissing);
    EXPECT_EQ(check(tool).remedy, std::string{"apt-get install "} + package);
  }
}

TEST_F(ToolChecksTest, ShowsTheFirstVersionLineAndThePath) {
  install("/second", "gdb", "GNU gdb 13.1\nCopyright 2023\n");
  EXPECT_EQ(check("gdb").result, CheckResult::kOk);
  EXPECT_EQ(check("gdb").detail, "GNU gdb 13.1 (/second/gdb)");
  install("/second", "perf2bolt", "\nLLVM (https://llvm.org/):\n  LLVM version 16.0.6\n");
  EXPECT_EQ(check("perf2bolt").detail, "LLVM version 16.0.6 (/second/perf2bolt)");
}

TEST_F(ToolChecksTest, TakesTheNewestVersionSuffixButTheVeryNameFirst) {
  install("/first", "llvm-bolt-9", "9");
  install("/second", "llvm-bolt-16", "16");
  install("/second", "llvm-bolt-heatmap", "17");
  install("/second", "llvm-bolt-16x", "18");
  EXPECT_EQ(check("llvm-bolt").detail, "16 (/second/llvm-bolt-16)");
  install("/second", "llvm-bolt", "15");
  EXPECT_EQ(check("llvm-bolt").detail, "15 (/second/llvm-bolt)");
}

TEST_F(ToolChecksTest, AProgramThatDoesNotRunHasFailed) {
  install("/first", "perf", "");
  auto& run = host.versions["/first/perf"];
  run = {.error = 0, .status = 2, .output = "WARNING: perf not found for kernel 6.1\n"};
  EXPECT_EQ(check("perf").result, CheckResult::kFailed);
  EXPECT_TRUE(contains(check("perf").cause, "status 2: WARNING: perf not found for kernel 6.1"));
  for (const int error : {ENOEXEC, ETIMEDOUT, EACCES}) {
    run = {.error = error, .status = 0, .output = ""};
    EXPECT_EQ(check("perf").result, CheckResult::kFailed);
    EXPECT_TRUE(contains(check("perf").cause, cli::errno_name(error)));
  }
}

}  // namespace
}  // namespace vpmu::test
