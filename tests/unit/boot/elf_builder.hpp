// SPDX-License-Identifier: MIT
//
// Builds small ELF files, right or wrong, for tests: headers at the start, contents one after the
// other behind them. Fields may be changed before build().
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace vpmu::test {

using FileBytes = std::vector<std::uint8_t>;

template <class T>
void append(FileBytes& bytes, const T& value) {
  const std::size_t at = bytes.size();
  bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

/// A multiboot header with the given flags, and the address fields if `addresses` has five.
inline FileBytes multiboot_header(std::uint32_t flags,
                                  const std::vector<std::uint32_t>& addresses = {}) {
  FileBytes bytes;
  append(bytes, std::uint32_t{0x1badb002});
  append(bytes, flags);
  append(bytes, static_cast<std::uint32_t>(-0x1badb002 - flags));
  for (const std::uint32_t address : addresses) append(bytes, address);
  return bytes;
}

/// A Xen note with a 32-bit entry point.
inline FileBytes pvh_note(std::uint32_t entry) {
  FileBytes bytes;
  append(bytes, Elf32_Nhdr{4, 4, 18});
  append(bytes, std::uint32_t{0x006e6558});  // "Xen"
  append(bytes, entry);
  return bytes;
}

template <class Ehdr, class Phdr>
struct ElfBuilder {
  Ehdr header{};
  struct Part {
    Phdr header{};
    FileBytes content;
  };
  std::vector<Part> parts;

  ElfBuilder() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    constexpr bool k64 = std::is_same_v<Ehdr, Elf64_Ehdr>;
    header.e_ident[EI_CLASS] = k64 ? ELFCLASS64 : ELFCLASS32;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = k64 ? EM_X86_64 : EM_386;
    header.e_ehsize = sizeof(Ehdr);
    header.e_phentsize = sizeof(Phdr);
  }

  Part& add(std::uint32_t type, std::uint64_t address, FileBytes content,
            std::uint64_t memory_size = 0) {
    Part part;
    part.header.p_type = type;
    part.header.p_vaddr = static_cast<decltype(part.header.p_vaddr)>(address);
    part.header.p_paddr = part.header.p_vaddr;
    part.header.p_filesz = static_cast<decltype(part.header.p_filesz)>(content.size());
    part.header.p_memsz = memory_size == 0
                              ? part.header.p_filesz
                              : static_cast<decltype(part.header.p_memsz)>(memory_size);
    part.content = std::move(content);
    parts.push_back(std::move(part));
    return parts.back();
  }

  [[nodiscard]] FileBytes build() const {
    Ehdr top = header;
    top.e_phoff = sizeof(Ehdr);
    top.e_phnum = static_cast<decltype(top.e_phnum)>(parts.size());
    FileBytes file;
    append(file, top);
    std::uint64_t offset = sizeof(Ehdr) + parts.size() * sizeof(Phdr);
    for (const Part& part : parts) {
      Phdr phdr = part.header;
      if (phdr.p_offset == 0) phdr.p_offset = static_cast<decltype(phdr.p_offset)>(offset);
      append(file, phdr);
      offset += part.content.size();
    }
    for (const Part& part : parts) {
      file.insert(file.end(), part.content.begin(), part.content.end());
    }
    return file;
  }
};

using Elf64Builder = ElfBuilder<Elf64_Ehdr, Elf64_Phdr>;
using Elf32Builder = ElfBuilder<Elf32_Ehdr, Elf32_Phdr>;

/// The smallest freestanding image: 16 bytes at 1 MiB, entered at the first.
inline Elf64Builder freestanding_elf() {
  Elf64Builder elf;
  elf.header.e_entry = 0x100000;
  elf.add(PT_LOAD, 0x100000, FileBytes(16, 0xf4));
  return elf;
}

/// The same for arm64: four instructions at the start of RAM.
inline Elf64Builder arm64_elf() {
  Elf64Builder elf;
  elf.header.e_machine = EM_AARCH64;
  elf.header.e_entry = 0x4000'0000;
  elf.add(PT_LOAD, 0x4000'0000, FileBytes(16, 0x1f));
  return elf;
}

/// An arm64 Linux `Image` of 4096 bytes in the file.
inline FileBytes linux_image(std::uint64_t text_offset, std::uint64_t image_size,
                             std::uint64_t flags) {
  FileBytes file(8);
  append(file, text_offset);
  append(file, image_size);
  append(file, flags);
  file.resize(56);
  append(file, std::uint32_t{0x644d5241});
  file.resize(4096, 0x5a);
  return file;
}

}  // namespace vpmu::test
