// SPDX-License-Identifier: MIT
#include "machine/boot/image_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/descriptor.hpp"

namespace vpmu::machine::boot {

namespace {
constexpr off_t kLargest = off_t{1} << 30;
}  // namespace

Result<std::vector<std::uint8_t>> read_file(const std::string& path, const char* what) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not hang.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number() < 0) {
    const int error = errno;
    return fail(fmt::format("{} '{}': {}; check the path{}", what, path, std::strerror(error),
                            error == EACCES ? " and its permissions" : ""));
  }
  struct stat status {};
  if (fstat(file.number(), &status) != 0) {
    return fail(fmt::format("{} '{}': {}", what, path, std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(fmt::format("{} '{}': {}; give a regular file", what, path,
                            S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file"));
  }
  if (status.st_size == 0) {
    return fail(fmt::format("{} '{}': the file is empty; build or copy it again", what, path));
  }
  if (status.st_size > kLargest) {
    return fail(
        fmt::format("{} '{}': {} bytes are more than the 1 GiB that can be loaded; give a "
                    "smaller file",
                    what, path, status.st_size));
  }
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(status.st_size));
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = read(file.number(), bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(fmt::format("{} '{}': {}", what, path, std::strerror(errno)));
    if (got == 0) {
      return fail(fmt::format("{} '{}': became shorter while it was read; try again", what, path));
    }
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace vpmu::machine::boot
