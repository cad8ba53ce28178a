// SPDX-License-Identifier: MIT
//
// Builds ELF files with symbols, right or wrong, and files for them.
#pragma once

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace vpmu::test {

/// A file with that content, gone at the end of the scope.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content, const std::string& suffix = "") {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    static int count = 0;
    path_ = testing::TempDir() + "vpmu-symbols-" + std::to_string(getpid()) + "-" + test->name() +
            "-" + std::to_string(count++) + suffix;
    std::ofstream{path_, std::ios::binary} << content;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { unlink(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct ElfSymbol {
  std::string name;
  std::uint64_t value = 0;
  std::uint64_t size = 0;
  unsigned char type = STT_FUNC;
  unsigned char binding = STB_GLOBAL;
  std::uint16_t section = 1;
};

struct Elf32Types {
  using Ehdr = Elf32_Ehdr;
  using Phdr = Elf32_Phdr;
  using Shdr = Elf32_Shdr;
  using Sym = Elf32_Sym;
};
struct Elf64Types {
  using Ehdr = Elf64_Ehdr;
  using Phdr = Elf64_Phdr;
  using Shdr = Elf64_Shdr;
  using Sym = Elf64_Sym;
};

/// One segment with code, which is section 1; section 2 is data right behind it; then symbols and
/// their names. Fields may be changed before file().
template <class Types>
struct SymbolElf {
  using Ehdr = typename Types::Ehdr;
  using Phdr = typename Types::Phdr;
  using Shdr = typename Types::Shdr;
  using Sym = typename Types::Sym;

  static constexpr std::uint64_t kCodeOffset = 0x1000;
  static constexpr std::size_t kCode = 1, kData = 2, kSymbols = 3, kNames = 4, kBuildId = 5;

  std::uint64_t address;
  std::string code;
  std::string build_id;
  Ehdr header{};
  Phdr segment{};
  std::vector<Sym> symbols;
  std::string names{'\0'};
  std::vector<Shdr> sections{6};

  SymbolElf(std::uint16_t machine, std::uint64_t where, std::string bytes,
            const std::vector<ElfSymbol>& named)
      : address{where}, code{std::move(bytes)}, symbols{1} {
    constexpr bool k64 = std::is_same_v<Types, Elf64Types>;
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = k64 ? ELFCLASS64 : ELFCLASS32;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = machine;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof(Ehdr);
    header.e_phentsize = sizeof(Phdr);
    header.e_shentsize = sizeof(Shdr);
    header.e_phnum = 1;
    for (const ElfSymbol& symbol : named) add(symbol);
    lay_out();
  }

  void add(const ElfSymbol& symbol) {
    Sym entry{};
    entry.st_name = static_cast<decltype(entry.st_name)>(names.size());
    entry.st_value = static_cast<decltype(entry.st_value)>(symbol.value);
    entry.st_size = static_cast<decltype(entry.st_size)>(symbol.size);
    entry.st_info = ELF64_ST_INFO(symbol.binding, symbol.type);
    entry.st_shndx = symbol.section;
    symbols.push_back(entry);
    names += symbol.name + '\0';
  }

  /// Places for everything; after changes of contents.
  void lay_out() {
    std::uint64_t at = kCodeOffset + code.size();
    const auto place = [&at](Shdr& section, std::uint64_t bytes) {
      at = (at + 7) & ~std::uint64_t{7};
      section.sh_offset = static_cast<decltype(section.sh_offset)>(at);
      section.sh_size = static_cast<decltype(section.sh_size)>(bytes);
      at += bytes;
    };
    Shdr& text = sections[kCode];
    text.sh_type = SHT_PROGBITS;
    text.sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    text.sh_addr = static_cast<decltype(text.sh_addr)>(address);
    text.sh_offset = kCodeOffset;
    text.sh_size = static_cast<decltype(text.sh_size)>(code.size());
    Shdr& data = sections[kData];
    data.sh_type = SHT_NOBITS;
    data.sh_flags = SHF_ALLOC | SHF_WRITE;
    data.sh_addr = static_cast<decltype(data.sh_addr)>(address + code.size());
    data.sh_size = 0x100;
    sections[kSymbols].sh_type = SHT_SYMTAB;
    sections[kSymbols].sh_link = kNames;
    sections[kSymbols].sh_entsize = sizeof(Sym);
    place(sections[kSymbols], symbols.size() * sizeof(Sym));
    sections[kNames].sh_type = SHT_STRTAB;
    place(sections[kNames], names.size());
    sections[kBuildId].sh_type = build_id.empty() ? SHT_NULL : SHT_NOTE;
    sections[kBuildId].sh_addralign = 4;
    place(sections[kBuildId], build_id.empty() ? 0 : 16 + build_id.size());
    at = (at + 7) & ~std::uint64_t{7};
    header.e_phoff = sizeof(Ehdr);
    header.e_shoff = static_cast<decltype(header.e_shoff)>(at);
    header.e_shnum = static_cast<std::uint16_t>(sections.size());
    segment.p_type = PT_LOAD;
    segment.p_flags = PF_R | PF_X;
    segment.p_offset = kCodeOffset;
    segment.p_vaddr = static_cast<decltype(segment.p_vaddr)>(address);
    segment.p_filesz = static_cast<decltype(segment.p_filesz)>(code.size());
    segment.p_memsz = segment.p_filesz;
  }

  [[nodiscard]] std::string file() const {
    std::string bytes(header.e_shoff + sections.size() * sizeof(Shdr), '\0');
    const auto put = [&bytes](std::uint64_t offset, const void* what, std::size_t length) {
      std::memcpy(bytes.data() + offset, what, length);
    };
    put(0, &header, sizeof header);
    put(sizeof(Ehdr), &segment, sizeof segment);
    put(kCodeOffset, code.data(), code.size());
    put(sections[kSymbols].sh_offset, symbols.data(), symbols.size() * sizeof(Sym));
    put(sections[kNames].sh_offset, names.data(), names.size());
    if (!build_id.empty()) {
      const std::uint32_t note[4] = {4, static_cast<std::uint32_t>(build_id.size()),
                                     NT_GNU_BUILD_ID, 0x00554e47 /* "GNU" */};
      put(sections[kBuildId].sh_offset, note, sizeof note);
      put(sections[kBuildId].sh_offset + sizeof note, build_id.data(), build_id.size());
    }
    put(header.e_shoff, sections.data(), sections.size() * sizeof(Shdr));
    return bytes;
  }
};

using SymbolElf32 = SymbolElf<Elf32Types>;
using SymbolElf64 = SymbolElf<Elf64Types>;

}  // namespace vpmu::test
