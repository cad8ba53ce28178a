// SPDX-License-Identifier: MIT
//
// An ELF file that is open for reading through libelf, which checks what it hands out against the
// size of the file. Not mapped into memory: a file that becomes shorter meanwhile gives errors, not
// signals.
#pragma once

#include <libelf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/descriptor.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile {

class ElfFile {
 public:
  /// Only regular files: a profile may name anything. An error names the file and the remedy.
  static Result<ElfFile> open(const std::string& path);
  /// The same with all of the file in memory, and zeros behind it, for libdw: of broken files it
  /// looks for the ends of strings behind the sections that they are in (0.188 does). Sections that
  /// are compressed have no such zeros.
  static Result<ElfFile> open_in_memory(const std::string& path);

  [[nodiscard]] Elf* get() const { return elf_.get(); }
  /// Bytes.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// "PATH is a broken ELF file: WHAT; ...", with libelf's reason if it has one.
  [[nodiscard]] tl::unexpected<Error> broken(const char* what) const;

 private:
  struct Close {
    void operator()(Elf* elf) const { elf_end(elf); }
  };
  explicit ElfFile(std::string path) : path_{std::move(path)} {}
  Result<void> open_file();
  Result<void> take(Elf* elf);

  std::string path_;
  std::uint64_t size_ = 0;
  std::unique_ptr<Descriptor> file_;
  std::unique_ptr<char[]> content_;  ///< null: is read from the file
  std::unique_ptr<Elf, Close> elf_;  ///< before those it reads
};

}  // namespace vpmu::profile
