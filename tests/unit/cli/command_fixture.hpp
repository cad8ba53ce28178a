// SPDX-License-Identifier: MIT
//
// `vpmu` as a process, in a folder of the test's own.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "unit/boot/elf_builder.hpp"
#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {

/// Of a process that has ended.
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
       std::string{testing::UnitTest::GetInstance()->current_test_info()->test_suite_name()} + " " +
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

  std::string write_text(const std::string& name, const std::string& text) {
    return write(name, FileBytes{text.begin(), text.end()});
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

}  // namespace vpmu::test
