// SPDX-License-Identifier: MIT
#include "cli/doctor/linux_host.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

namespace vpmu::cli::doctor {
namespace {

class LinuxHostTest : public testing::Test {
 protected:
  const LinuxHost host{};
  const std::filesystem::path folder =
      std::filesystem::path{testing::TempDir()} /
      (std::string{"vpmu host "} + testing::UnitTest::GetInstance()->current_test_info()->name());

  void SetUp() override {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string write(const char* name, const std::string& text, unsigned mode) {
    const std::string path = folder / name;
    std::ofstream{path} << text;
    chmod(path.c_str(), mode);
    return path;
  }
};

TEST_F(LinuxHostTest, ReadsFilesOrSaysWhyNot) {
  EXPECT_EQ(host.read(write("file", "hello\n", 0644)), "hello\n");
  EXPECT_EQ(host.read(folder / "missing").error(), ENOENT);
  EXPECT_EQ(host.read(folder).error(), EISDIR);
}

TEST_F(LinuxHostTest, ListsOnlyWhatCanBeRun) {
  write("program", "#!/bin/sh\n", 0755);
  write("text", "hello", 0644);
  std::filesystem::create_directory(folder / "directory");
  EXPECT_EQ(host.programs(folder), std::vector<std::string>{"program"});
  EXPECT_TRUE(host.programs(folder / "missing").empty());
}

TEST_F(LinuxHostTest, RunsAProgramForItsVersion) {
  const ProgramRun run =
      host.version_of(write("tool", "#!/bin/sh\necho \"tool $1\"; echo more >&2; exit 3\n", 0755));
  EXPECT_EQ(run.error, 0);
  EXPECT_EQ(run.status, 3);
  EXPECT_EQ(run.output, "tool --version\nmore\n");
}

TEST_F(LinuxHostTest, AProgramGetsNoInput) {
  const ProgramRun run = host.version_of(write("reads", "#!/bin/sh\ncat; echo end\n", 0755));
  EXPECT_EQ(run.output, "end\n");
}

TEST_F(LinuxHostTest, AProgramThatCannotStartIsAnError) {
  EXPECT_EQ(host.version_of(folder / "missing").error, ENOENT);
  EXPECT_EQ(host.version_of(write("garbage", "\x7f", 0755)).error, ENOEXEC);
}

TEST_F(LinuxHostTest, OwnersHaveModeAndGroup) {
  const auto owner = host.owner(write("file", "", 0640));
  ASSERT_TRUE(owner.has_value());
  EXPECT_EQ(owner->mode, 0640u);
  EXPECT_EQ(owner->user, host.user());
  EXPECT_EQ(host.owner(folder / "missing").error(), ENOENT);
}

TEST_F(LinuxHostTest, LimitsAreTheProcesss) {
  EXPECT_GT(host.limit(LimitKind::kOpenFiles), 3u);
  EXPECT_FALSE(host.architecture().empty());
  EXPECT_FALSE(host.kernel().empty());
}

}  // namespace
}  // namespace vpmu::cli::doctor
