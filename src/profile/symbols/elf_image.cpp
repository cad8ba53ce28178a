// SPDX-License-Identifier: MIT
#include "profile/symbols/elf_image.hpp"

#include <elfutils/libdwelf.h>
#include <gelf.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>

#include "profile/symbols/elf_file.hpp"

namespace vpmu::profile {

namespace {
CodeSet code_set(const GElf_Ehdr& header) {
  switch (header.e_machine) {
    case EM_X86_64: return CodeSet::kX86_64;
    case EM_386: return CodeSet::kX86_32;
    case EM_AARCH64: return CodeSet::kAArch64;
    default: return CodeSet::kOther;
  }
}

std::vector<std::uint8_t> build_id(Elf* elf) {
  constexpr ssize_t kMost = 64;  // longer ones are made by nobody
  const void* bytes = nullptr;
  const ssize_t length = dwelf_elf_gnu_build_id(elf, &bytes);
  if (length <= 0 || length > kMost) return {};
  const auto* first = static_cast<const std::uint8_t*>(bytes);
  return {first, first + length};
}

/// 0 also if the sections are broken: only segments matter for what is loaded.
std::uint64_t text_address(Elf* elf) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return 0;
  for (Elf_Scn* section = elf_nextscn(elf, nullptr); section != nullptr;
       section = elf_nextscn(elf, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (name != nullptr && std::string_view{name} == ".text") return header.sh_addr;
  }
  return 0;
}

Result<ElfImage> image_of(const ElfFile& file) {
  GElf_Ehdr header;
  std::size_t count = 0;
  if (gelf_getehdr(file.get(), &header) == nullptr || elf_getphdrnum(file.get(), &count) != 0) {
    return file.broken("its header cannot be read");
  }
  ElfImage image{code_set(header), {}, build_id(file.get()), text_address(file.get())};
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(file.get(), static_cast<int>(i), &segment) == nullptr) {
      return file.broken("its program headers are not in the file");
    }
    if (segment.p_type != PT_LOAD) continue;
    if (segment.p_offset > file.size() || segment.p_filesz > file.size() - segment.p_offset) {
      return file.broken("a segment ends behind the file's end");
    }
    if (segment.p_filesz > ~segment.p_vaddr) return file.broken("a segment's address overflows");
    image.segments.push_back(
        {segment.p_vaddr, segment.p_offset, segment.p_filesz, (segment.p_flags & PF_X) != 0});
  }
  return image;
}
}  // namespace

Result<ElfImage> read_elf_image(const std::string& path) {
  const auto file = ElfFile::open(path);
  if (!file) return tl::unexpected{file.error()};
  return image_of(*file);
}

std::vector<ElfSegment> code_segments(const ElfImage& image) {
  const bool told = std::ranges::any_of(image.segments, &ElfSegment::executable);
  std::vector<ElfSegment> code;
  std::ranges::copy_if(image.segments, std::back_inserter(code), [told](const ElfSegment& segment) {
    return segment.executable == told && segment.file_bytes != 0;
  });
  return code;
}

Result<std::vector<std::uint8_t>> read_code(const std::string& path, std::uint64_t address,
                                            std::uint64_t bytes) {
  const auto file = ElfFile::open(path);
  if (!file) return tl::unexpected{file.error()};
  const auto image = image_of(*file);
  if (!image) return tl::unexpected{image.error()};
  for (const ElfSegment& segment : image->segments) {
    if (address < segment.address || address - segment.address >= segment.file_bytes) continue;
    const std::uint64_t into = address - segment.address;
    const std::uint64_t length = std::min(bytes, segment.file_bytes - into);
    const Elf_Data* data = elf_getdata_rawchunk(
        file->get(), static_cast<std::int64_t>(segment.file_offset + into), length, ELF_T_BYTE);
    if (data == nullptr) return file->broken("its code cannot be read");
    const auto* first = static_cast<const std::uint8_t*>(data->d_buf);
    return std::vector<std::uint8_t>(first, first + length);
  }
  return std::vector<std::uint8_t>{};
}

}  // namespace vpmu::profile
