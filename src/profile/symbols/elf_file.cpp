// SPDX-License-Identifier: MIT
#include "profile/symbols/elf_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>

#include "base/user_text.hpp"

namespace vpmu::profile {

Result<void> ElfFile::open_file() {
  // Without waiting: for a pipe there may be nobody to write it.
  file_ = std::make_unique<Descriptor>(
      ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (file_->number() < 0 || fstat(file_->number(), &status) != 0) {
    return fail(
        fmt::format("image {}: {}; check the path", in_quotes(path_), std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(fmt::format("image {} is no regular file; name an ELF file", in_quotes(path_)));
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
  elf_version(EV_CURRENT);
  return {};
}

Result<void> ElfFile::take(Elf* elf) {
  elf_.reset(elf);
  if (elf != nullptr && elf_kind(elf) == ELF_K_ELF) return {};
  return fail(fmt::format("image {} is no ELF file; name an ELF file", in_quotes(path_)));
}

Result<ElfFile> ElfFile::open(const std::string& path) {
  ElfFile file{path};
  if (auto opened = file.open_file(); !opened) return tl::unexpected{opened.error()};
  auto taken = file.take(elf_begin(file.file_->number(), ELF_C_READ, nullptr));
  if (!taken) return tl::unexpected{taken.error()};
  return file;
}

Result<ElfFile> ElfFile::open_in_memory(const std::string& path) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 30;
  constexpr std::size_t kZeros = 4096;
  ElfFile file{path};
  if (auto opened = file.open_file(); !opened) return tl::unexpected{opened.error()};
  if (file.size_ > kMostBytes) {
    return fail(fmt::format("image {} has more than {} GiB; name one with less debug information",
                            in_quotes(path), kMostBytes >> 30));
  }
  file.content_ = std::make_unique_for_overwrite<char[]>(file.size_ + kZeros);
  std::size_t have = 0;
  while (have < file.size_) {
    const ssize_t got = read(file.file_->number(), &file.content_[have], file.size_ - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(fmt::format("image {} cannot be read; check it", in_quotes(path)));
    have += static_cast<std::size_t>(got);
  }
  std::memset(&file.content_[have], 0, kZeros);
  auto taken = file.take(elf_memory(file.content_.get(), file.size_));
  if (!taken) return tl::unexpected{taken.error()};
  return file;
}

tl::unexpected<Error> ElfFile::broken(const char* what) const {
  const int error = elf_errno();
  return fail(fmt::format("image {} is a broken ELF file: {}{}{}{}; make or copy it again",
                          in_quotes(path_), what, error != 0 ? " (" : "",
                          error != 0 ? elf_errmsg(error) : "", error != 0 ? ")" : ""));
}

}  // namespace vpmu::profile
