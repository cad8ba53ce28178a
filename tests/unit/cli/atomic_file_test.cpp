// SPDX-License-Identifier: MIT
#include "cli/atomic_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace vpmu::cli {
namespace {

class AtomicFileTest : public testing::Test {
 protected:
  // Tests run at the same time, each in a process of its own.
  std::filesystem::path folder =
      std::filesystem::path{testing::TempDir()} / ("vpmu-atomic-file-" + std::to_string(getpid()));
  void SetUp() override {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder / name; }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{folder}, {}));
  }
  static std::string content(const std::string& file) {
    std::stringstream text;
    text << std::ifstream{file}.rdbuf();
    return text.str();
  }
};

TEST_F(AtomicFileTest, WritesAndReplacesWholeFiles) {
  const std::string file = path("report");
  ASSERT_TRUE(write_file(file, std::string(100'000, 'x'), "report").has_value());
  ASSERT_TRUE(write_file(file, "new", "report").has_value());
  EXPECT_EQ(content(file), "new");
  EXPECT_EQ(files(), 1u) << "no temporary file is left";
}

TEST_F(AtomicFileTest, FolderThatDoesNotExistIsAnErrorThatNamesTheFile) {
  const auto result = write_file(path("no/report"), "x", "report");
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("report '" + path("no/report") + "'"), std::string::npos);
}

TEST_F(AtomicFileTest, FolderInTheWayIsAnErrorAndLeavesNothing) {
  std::filesystem::create_directory(path("report"));
  EXPECT_FALSE(write_file(path("report"), "x", "report").has_value());
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFileTest, FullDeviceIsAnError) {
  const auto result = write_file("/dev/full", "x", "report");
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("No space left"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::cli
