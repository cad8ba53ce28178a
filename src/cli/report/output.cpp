// SPDX-License-Identifier: MIT
#include "cli/report/output.hpp"

#include <unistd.h>

#include <cstring>

#include <fmt/format.h>

namespace vpmu::cli::report {

Result<ViewOutput> ViewOutput::create(const std::string& path, const char* what) {
  if (path == "-") return ViewOutput{std::nullopt};
  auto file = AtomicFile::create(path, what);
  if (!file) return tl::unexpected(file.error());
  return ViewOutput{std::move(*file)};
}

Result<void> ViewOutput::write(std::string_view piece) {
  if (file_) return file_->write(piece);
  if (const int error = write_all(STDOUT_FILENO, piece)) {
    return fail(
        fmt::format("standard output cannot be written: {}; give -o FILE", std::strerror(error)));
  }
  return {};
}

Result<void> ViewOutput::finish() {
  if (file_) return file_->commit();
  return {};
}

}  // namespace vpmu::cli::report
