// SPDX-License-Identifier: MIT
#include "profile/perf_data/output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/descriptor.hpp"
#include "base/user_text.hpp"
#include "profile/perf_data/format.hpp"

namespace vpmu::profile::perf_data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kData = "data";
constexpr const char* kElsewhere = "give another path with -o";

int write_all_at(int descriptor, std::uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote =
        pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno;
    if (wrote == 0) return ENOSPC;
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
  return 0;
}

/// Negative: errno is set.
int create(const std::string& path) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

/// By which a nameless file can be given a name.
std::string name_of(int descriptor) {
  return fmt::format("/proc/self/fd/{}", descriptor);
}

/// A file on the file system of `path`, where nothing may be yet. Negative: that cannot be done.
int create_nameless(const std::string& path) {
  struct stat there {};
  if (path.empty() || lstat(path.c_str(), &there) == 0) return -1;
  const fs::path folder = fs::path{path}.parent_path();
  const int file =
      open(folder.empty() ? "." : folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
  if (file < 0 || access(name_of(file).c_str(), F_OK) == 0) return file;
  close(file);  // without /proc
  return -1;
}

bool is_perf_data(const fs::path& file) {
  const Descriptor data{open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  std::array<char, sizeof kMagic> magic{};
  return data.number() >= 0 &&
         read(data.number(), magic.data(), magic.size()) == static_cast<ssize_t>(magic.size()) &&
         std::equal(magic.begin(), magic.end(), std::begin(kMagic));
}

/// Removes what recordings have in a directory, by perf and by us, and then the directory, unless
/// something else is in there.
std::error_code remove_recording(const fs::path& directory) {
  std::error_code error;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{directory, error}) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("kcore_dir") && !entry.is_symlink(ignored)) {
      for (const char* file : {"kallsyms", "kcore", "modules"}) {
        fs::remove(entry.path() / file, ignored);
      }
      fs::remove(entry.path(), ignored);
    } else if (name == kData || name.starts_with("data.")) {
      if (!entry.is_directory(ignored)) fs::remove(entry.path(), ignored);
    }
  }
  fs::remove(directory, error);
  return error;
}

/// Makes room for a recording. A regular file goes away only if nothing but its name does: whoever
/// reads it goes on reading the old one.
Result<void> clear(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  switch (status.type()) {
    case fs::file_type::not_found: return {};
    case fs::file_type::none: return profile_error(path, error.value(), kElsewhere);
    case fs::file_type::regular:
      fs::remove(path, error);  // if that is not allowed, it is overwritten
      return {};
    case fs::file_type::symlink: break;
    case fs::file_type::directory:
      if (!is_perf_data(fs::path{path} / kData)) {
        return profile_error(path, "a directory, and no recording", kElsewhere);
      }
      if (const std::error_code kept = remove_recording(path)) {
        return profile_error(path, kept.value(), kElsewhere);
      }
      return {};
    default: return profile_error(path, "neither a file nor a directory", kElsewhere);
  }
  const fs::file_type target = fs::status(path, error).type();
  if (target == fs::file_type::regular || target == fs::file_type::not_found) return {};
  return profile_error(path, "a link to what is no file", kElsewhere);
}

}  // namespace

tl::unexpected<Error> profile_error(const std::string& path, std::string_view reason,
                                    std::string_view remedy) {
  return fail(fmt::format("profile '{}': {}; {}", printable(path), reason, remedy));
}

tl::unexpected<Error> profile_error(const std::string& path, int error, std::string_view remedy) {
  return profile_error(path, std::string_view{std::strerror(error)}, remedy);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : descriptor_{std::exchange(other.descriptor_, -1)},
      path_{std::move(other.path_)},
      hidden_{std::move(other.hidden_)},
      nameless_{other.nameless_} {}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<OutputFile> OutputFile::create_file(const std::string& path) {
  if (auto cleared = clear(path); !cleared) return tl::unexpected(cleared.error());
  if (const int nameless = create_nameless(path); nameless >= 0) {
    OutputFile file{nameless, path};
    file.nameless_ = true;
    return file;
  }
  const int file = create(path);
  if (file < 0) return profile_error(path, errno, kElsewhere);
  return OutputFile{file, path};
}

Result<OutputFile> OutputFile::create_directory(const std::string& path, std::uint32_t vm_pid,
                                                std::string_view kallsyms) {
  if (auto cleared = clear(path); !cleared) return tl::unexpected(cleared.error());
  const std::string hidden = fmt::format("{}.{}", path, getpid());
  const std::string symbols = fmt::format("{}/kcore_dir__{}", hidden, vm_pid);
  // A file that could not be removed is in the way.
  if (access(path.c_str(), F_OK) == 0) return profile_error(path, EEXIST, kElsewhere);
  if (mkdir(hidden.c_str(), 0777) != 0) return profile_error(path, errno, kElsewhere);
  if (mkdir(symbols.c_str(), 0777) != 0) return profile_error(path, errno, kElsewhere);
  const Descriptor file{create(symbols + "/kallsyms")};
  if (file.number() < 0) return profile_error(path, errno, kElsewhere);
  if (const int error = write_all_at(file.number(), 0, kallsyms)) {
    return profile_error(path, error, kElsewhere);
  }
  const int data = create(hidden + "/" + kData);
  if (data < 0) return profile_error(path, errno, kElsewhere);
  return OutputFile{data, path, hidden};
}

int OutputFile::publish() {
  if (!hidden_.empty()) return rename(hidden_.c_str(), path_.c_str()) == 0 ? 0 : errno;
  if (!nameless_) return 0;
  const std::string name = name_of(descriptor_);
  return linkat(AT_FDCWD, name.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0 ? 0
                                                                                         : errno;
}

int OutputFile::write_at(std::uint64_t offset, std::string_view bytes) {
  return write_all_at(descriptor_, offset, bytes);
}

int OutputFile::cut(std::uint64_t size) {
  return ftruncate(descriptor_, static_cast<off_t>(size)) == 0 ? 0 : errno;
}

int OutputFile::close() {
  return ::close(std::exchange(descriptor_, -1)) == 0 ? 0 : errno;
}

}  // namespace vpmu::profile::perf_data
