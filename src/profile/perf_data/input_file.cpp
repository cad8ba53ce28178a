// SPDX-License-Identifier: MIT
#include "profile/perf_data/input_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/descriptor.hpp"
#include "base/read_all.hpp"
#include "base/user_text.hpp"

namespace vpmu::profile::perf_data {
namespace {
namespace fs = std::filesystem;
/// Linux' own are some ten MiB.
constexpr std::size_t kMostKallsyms = std::size_t{256} << 20;
}  // namespace

InputFile::InputFile(InputFile&& other) noexcept
    : path_{std::move(other.path_)},
      kallsyms_{std::move(other.kallsyms_)},
      bytes_{std::exchange(other.bytes_, {})} {}

InputFile::~InputFile() {
  if (!bytes_.empty()) munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
}

Result<InputFile> InputFile::open(const std::string& path) {
  InputFile input{path};
  std::error_code error;
  const bool directory = fs::is_directory(path, error);
  if (auto mapped = input.map(directory ? path + "/data" : path); !mapped) {
    return tl::unexpected(mapped.error());
  }
  if (directory) {
    if (fs::exists(path + "/data.0", error)) {
      return input.failure("a recording in several files; record it without --threads");
    }
    if (auto symbols = input.read_kallsyms(); !symbols) return tl::unexpected(symbols.error());
  }
  return input;
}

Result<void> InputFile::map(const std::string& file) {
  const Descriptor data{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status {};
  if (data.number() < 0 || fstat(data.number(), &status) != 0) {
    return failure(std::string{std::strerror(errno)} + "; give a file by perf or vpmu record");
  }
  if (!S_ISREG(status.st_mode)) return failure("no regular file; save it in one first");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return failure("an empty file; give one by perf or vpmu record");
  void* const mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, data.number(), 0);
  if (mapped == MAP_FAILED) {
    return failure(std::string{std::strerror(errno)} + "; give a file that can be mapped");
  }
  madvise(mapped, size, MADV_SEQUENTIAL);
  bytes_ = {static_cast<const std::uint8_t*>(mapped), size};
  return {};
}

Result<void> InputFile::read_kallsyms() {
  std::error_code error;
  std::vector<fs::path> candidates;
  for (const auto& entry : fs::directory_iterator{path_, error}) {
    if (!entry.path().filename().string().starts_with("kcore_dir__")) continue;
    if (fs::path file = entry.path() / "kallsyms"; fs::is_regular_file(file, error)) {
      candidates.push_back(std::move(file));
    }
  }
  if (candidates.empty()) return {};
  const fs::path& first = *std::min_element(candidates.begin(), candidates.end());
  const std::uintmax_t size = fs::file_size(first, error);
  if (error || size > kMostKallsyms) return failure("kallsyms: more than 256 MiB; remove it");
  auto text = read_all(first, size);
  if (!text) return failure("kallsyms: " + text.error().message);
  kallsyms_ = std::move(*text);
  return {};
}

void InputFile::forget() const {
  madvise(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
}

tl::unexpected<Error> InputFile::failure(std::string_view what) const {
  return fail(fmt::format("profile '{}': {}", printable(path_), what));
}

tl::unexpected<Error> InputFile::malformed(std::uint64_t offset, std::string_view what) const {
  return failure(fmt::format("at byte {}: {}; record it anew", offset, what));
}

}  // namespace vpmu::profile::perf_data
