// SPDX-License-Identifier: MIT
#include "cli/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

namespace vpmu::cli {

namespace {
tl::unexpected<Error> failure(const char* what, const std::string& path, int error) {
  return fail(fmt::format("{} '{}': {}; give another file", what, path, std::strerror(error)));
}

Result<void> write_in_place(const std::string& path, std::string_view content, const char* what) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return failure(what, path, errno);
  const int error = write_all(file, content);
  const int close_error = close(file) != 0 ? errno : 0;
  if (error != 0 || close_error != 0) return failure(what, path, error != 0 ? error : close_error);
  return {};
}
}  // namespace

int write_all(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t wrote = write(descriptor, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno;
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return 0;
}

Result<void> write_file(const std::string& path, std::string_view content, const char* what) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return write_in_place(path, content, what);
  }
  std::string temporary = path + ".XXXXXX";
  const int file = mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return failure(what, path, errno);
  // mkostemp() makes it private; a new file gets the permissions any other program would give it.
  const mode_t mask = umask(0);
  umask(mask);
  int error = fchmod(file, 0666 & ~mask) != 0 ? errno : 0;
  if (error == 0) error = write_all(file, content);
  if (error == 0 && fsync(file) != 0 && errno != EINVAL) error = errno;
  if (close(file) != 0 && error == 0) error = errno;
  if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    unlink(temporary.c_str());
    return failure(what, path, error);
  }
  return {};
}

}  // namespace vpmu::cli
