// SPDX-License-Identifier: MIT
#include "machine/boot/image_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace vpmu::machine::boot {
namespace {

std::string scratch(const std::string& file) {
  return testing::TempDir() + "vpmu-image-file-" + file;
}

void expect_error(const std::string& path, const std::string& part) {
  const auto result = read_file(path, "guest image");
  ASSERT_FALSE(result.has_value()) << path;
  EXPECT_EQ(result.error().message.rfind("guest image '" + path + "': ", 0), 0u)
      << result.error().message;
  EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
}

TEST(ImageFile, GivesTheWholeContent) {
  const std::string path = scratch("whole");
  std::ofstream{path, std::ios::binary} << std::string(100'000, 'x') << "end";
  const auto bytes = read_file(path, "guest image");
  ASSERT_TRUE(bytes.has_value());
  EXPECT_EQ(bytes->size(), 100'003u);
  EXPECT_EQ(bytes->back(), 'd');
}

TEST(ImageFile, MissingEmptyAndDirectoriesAreErrors) {
  expect_error(scratch("missing"), "No such file");
  expect_error(testing::TempDir(), "is a directory");
  const std::string empty = scratch("empty");
  std::ofstream{empty}.flush();
  expect_error(empty, "the file is empty");
}

TEST(ImageFile, PipesDoNotHang) {
  const std::string path = scratch("pipe");
  std::filesystem::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  expect_error(path, "not a regular file");
  std::filesystem::remove(path);
}

TEST(ImageFile, HugeFilesAreRefusedUnread) {
  const std::string path = scratch("huge");
  std::ofstream{path}.flush();
  std::filesystem::resize_file(path, (1ULL << 30) + 1);  // sparse
  expect_error(path, "more than the 1 GiB");
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace vpmu::machine::boot
