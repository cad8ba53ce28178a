// SPDX-License-Identifier: MIT
#include "profile/symbols/elf_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"

namespace vpmu::profile {

ElfFile::ElfFile(std::unique_ptr<Descriptor> file, std::unique_ptr<Elf, Close> elf,
                 std::string path, std::uint64_t size)
    : file_{std::move(file)}, elf_{std::move(elf)}, path_{std::move(path)}, size_{size} {}

Result<ElfFile> ElfFile::open(const std::string& path) {
  // Without waiting: for a pipe there may be nobody to write it.
  auto file = std::make_unique<Descriptor>(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (file->number() < 0 || fstat(file->number(), &status) != 0) {
    return fail(fmt::format("image {}: {}; check the path", in_quotes(path), std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(fmt::format("image {} is no regular file; name an ELF file", in_quotes(path)));
  }
  elf_version(EV_CURRENT);
  std::unique_ptr<Elf, Close> elf{elf_begin(file->number(), ELF_C_READ, nullptr)};
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF) {
    return fail(fmt::format("image {} is no ELF file; name an ELF file", in_quotes(path)));
  }
  return ElfFile{std::move(file), std::move(elf), path, static_cast<std::uint64_t>(status.st_size)};
}

tl::unexpected<Error> ElfFile::broken(const char* what) const {
  const int error = elf_errno();
  return fail(fmt::format("image {} is a broken ELF file: {}{}{}{}; make or copy it again",
                          in_quotes(path_), what, error != 0 ? " (" : "",
                          error != 0 ? elf_errmsg(error) : "", error != 0 ? ")" : ""));
}

}  // namespace vpmu::profile
