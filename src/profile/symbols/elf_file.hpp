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

#include "base/descriptor.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile {

class ElfFile {
 public:
  /// Only regular files: a profile may name anything. An error names the file and the remedy.
  static Result<ElfFile> open(const std::string& path);

  [[nodiscard]] Elf* get() const { return elf_.get(); }
  /// Bytes.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// "PATH is a broken ELF file: WHAT; ...", with libelf's reason if it has one.
  [[nodiscard]] tl::unexpected<Error> broken(const char* what) const;

 private:
  struct Close {
    void operator()(Elf* elf) const { elf_end(elf); }
  };
  ElfFile(std::unique_ptr<Descriptor> file, std::unique_ptr<Elf, Close> elf, std::string path,
          std::uint64_t size);

  std::unique_ptr<Descriptor> file_;
  std::unique_ptr<Elf, Close> elf_;
  std::string path_;
  std::uint64_t size_;
};

}  // namespace vpmu::profile
