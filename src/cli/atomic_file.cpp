// SPDX-License-Identifier: MIT
#include "cli/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace vpmu::cli {

namespace {
tl::unexpected<Error> failure(const char* what, const std::string& path, int error) {
  return fail(fmt::format("{} '{}': {}; give another file", what, path, std::strerror(error)));
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

AtomicFile::AtomicFile(int descriptor, std::string path, std::string temporary, const char* what)
    : descriptor_{descriptor},
      path_{std::move(path)},
      temporary_{std::move(temporary)},
      what_{what} {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : descriptor_{std::exchange(other.descriptor_, -1)},
      path_{std::move(other.path_)},
      temporary_{std::exchange(other.temporary_, {})},
      what_{other.what_} {}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Result<AtomicFile> AtomicFile::create(const std::string& path, const char* what) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return failure(what, path, errno);
    return AtomicFile{file, path, {}, what};
  }
  std::string temporary = path + ".XXXXXX";
  const int file = mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return failure(what, path, errno);
  AtomicFile created{file, path, std::move(temporary), what};
  // mkostemp() makes it private; a new file gets the permissions any other program would give it.
  const mode_t mask = umask(0);
  umask(mask);
  if (fchmod(file, 0666 & ~mask) != 0) return failure(what, path, errno);
  return created;
}

Result<void> AtomicFile::write(std::string_view bytes) {
  if (const int error = write_all(descriptor_, bytes)) return failure(what_, path_, error);
  return {};
}

Result<void> AtomicFile::commit() {
  int error = 0;
  if (!temporary_.empty() && fsync(descriptor_) != 0 && errno != EINVAL) error = errno;
  if (close(std::exchange(descriptor_, -1)) != 0 && error == 0) error = errno;
  if (temporary_.empty()) {
    if (error != 0) return failure(what_, path_, error);
    return {};
  }
  if (error == 0 && std::rename(temporary_.c_str(), path_.c_str()) != 0) error = errno;
  if (error != 0) return failure(what_, path_, error);
  temporary_.clear();
  return {};
}

Result<void> write_file(const std::string& path, std::string_view content, const char* what) {
  auto file = AtomicFile::create(path, what);
  if (!file) return tl::unexpected(file.error());
  if (auto written = file->write(content); !written) return written;
  return file->commit();
}

}  // namespace vpmu::cli
