// SPDX-License-Identifier: MIT
//
// Where a view is written to: a file that appears whole or not at all, or standard output.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cli/atomic_file.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::report {

class ViewOutput {
 public:
  /// `path` "-": standard output. `what` names the view in errors.
  static Result<ViewOutput> create(const std::string& path, const char* what);

  Result<void> write(std::string_view piece);
  /// Once, last.
  Result<void> finish();

 private:
  explicit ViewOutput(std::optional<AtomicFile> file) : file_{std::move(file)} {}
  std::optional<AtomicFile> file_;  ///< none: standard output
};

}  // namespace vpmu::cli::report
