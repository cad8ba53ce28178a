// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace vpmu::bench {

/// The name of a profile in the folder for temporary files. What is there goes with it.
class TemporaryProfile {
 public:
  /// `kind`: for its name, which is this process's.
  explicit TemporaryProfile(const std::string& kind)
      : path_{std::filesystem::temp_directory_path() /
              ("vpmu_bench-" + kind + "-" + std::to_string(getpid()) + ".data")} {}
  ~TemporaryProfile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryProfile(const TemporaryProfile&) = delete;
  TemporaryProfile& operator=(const TemporaryProfile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace vpmu::bench
