// SPDX-License-Identifier: MIT
//
// Files that appear whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// A file on its way: what is written goes beside `path`, and takes its place with commit().
/// Without that nothing is left of it, and an older file stays as it was. What is no regular file
/// (a pipe, a device) is written in place. `what` names the file in errors: "report", "profile".
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::string& path, const char* what);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  Result<void> write(std::string_view bytes);
  /// Once, last.
  Result<void> commit();

 private:
  AtomicFile(int descriptor, std::string path, std::string temporary, const char* what);

  int descriptor_;
  std::string path_;
  std::string temporary_;  ///< empty: written in place, or done
  const char* what_;
};

/// Writes `content` to `path` as an AtomicFile.
Result<void> write_file(const std::string& path, std::string_view content, const char* what);

/// All of `content` to a descriptor; the errno of the failure, or 0.
int write_all(int descriptor, std::string_view content);

}  // namespace vpmu::cli
