// SPDX-License-Identifier: MIT
#include "machine/boot/elf.hpp"

#include <elf.h>

#include <cstring>
#include <string_view>

#include <fmt/format.h>

namespace vpmu::machine::boot {

namespace {
constexpr std::uint32_t kXenPhys32Entry = 18;

/// An ELF file header, the fields in use, in the wider type of the two classes.
struct FileHeader {
  std::uint16_t type, machine, program_header_size, program_header_count;
  std::uint64_t entry, program_headers;
};

struct ProgramHeader {
  std::uint32_t type;
  std::uint64_t offset, virtual_address, physical_address, file_size, memory_size, alignment;
};

template <class Ehdr>
std::optional<FileHeader> read_file_header(Bytes file) {
  const auto raw = field<Ehdr>(file, 0);
  if (!raw) return std::nullopt;
  return FileHeader{raw->e_type,  raw->e_machine, raw->e_phentsize,
                    raw->e_phnum, raw->e_entry,   raw->e_phoff};
}

template <class Phdr>
std::optional<ProgramHeader> read_program_header(Bytes file, std::uint64_t offset) {
  const auto raw = field<Phdr>(file, offset);
  if (!raw) return std::nullopt;
  return ProgramHeader{raw->p_type,   raw->p_offset, raw->p_vaddr, raw->p_paddr,
                       raw->p_filesz, raw->p_memsz,  raw->p_align};
}

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_386: return "i386";
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "AArch64";
    case EM_ARM: return "32-bit Arm";
    case EM_RISCV: return "RISC-V";
    case EM_PPC64: return "64-bit PowerPC";
    case EM_S390: return "s390";
    default: return fmt::format("machine number {}", machine);
  }
}

/// What an architecture's machine runs, for people who are to build it.
const char* accepted(Architecture architecture) {
  return architecture == Architecture::kArm64 ? "AArch64" : "x86-64 or i386";
}

bool accepts(Architecture architecture, std::uint16_t machine) {
  if (architecture == Architecture::kArm64) return machine == EM_AARCH64;
  return machine == EM_386 || machine == EM_X86_64;
}

/// The entry point in a PHYS32_ENTRY note, if there is one among `notes`.
std::optional<std::uint64_t> find_pvh_entry(Bytes notes, std::uint64_t alignment) {
  const std::uint64_t unit = alignment == 8 ? 8 : 4;
  const auto padded = [unit](std::uint64_t size) { return (size + unit - 1) / unit * unit; };
  std::uint64_t at = 0;
  while (const auto note = field<Elf32_Nhdr>(notes, at)) {
    const std::uint64_t owner = at + sizeof(Elf32_Nhdr);
    const std::uint64_t value = at + padded(sizeof(Elf32_Nhdr) + note->n_namesz);
    if (!within(owner, note->n_namesz, notes.size())) break;
    const std::string_view name{reinterpret_cast<const char*>(notes.data() + owner),
                                note->n_namesz};
    if (name == std::string_view{"Xen\0", 4} && note->n_type == kXenPhys32Entry) {
      if (note->n_descsz >= 8) return field<std::uint64_t>(notes, value);
      if (note->n_descsz >= 4) return field<std::uint32_t>(notes, value);
    }
    at = value + padded(note->n_descsz);
  }
  return std::nullopt;
}

Result<void> check_machine(const FileHeader& header, Architecture architecture,
                           const std::string& path) {
  if (accepts(architecture, header.machine)) return {};
  return fail(fmt::format("guest image '{}': is for {}, this machine is {}; build it for {}", path,
                          machine_name(header.machine), name(architecture),
                          accepted(architecture)));
}

Result<void> check_header(Bytes file, const FileHeader& header, std::uint64_t entry_size,
                          const std::string& path) {
  if (header.type != ET_EXEC) {
    return fail(
        fmt::format("guest image '{}': is {}, not an executable with fixed addresses; link "
                    "it with -static -no-pie",
                    path,
                    header.type == ET_DYN   ? "position-independent or a shared library"
                    : header.type == ET_REL ? "an object file"
                                            : "not an executable"));
  }
  if (header.program_header_count == 0) {
    return fail(
        fmt::format("guest image '{}': has no program headers, so nothing to load; link it "
                    "as an executable",
                    path));
  }
  if (header.program_header_size < entry_size) {
    return fail(
        fmt::format("guest image '{}': program headers of {} bytes are too small; the file "
                    "is damaged, build or copy it again",
                    path, header.program_header_size));
  }
  const std::uint64_t length =
      std::uint64_t{header.program_header_count} * header.program_header_size;
  if (!within(header.program_headers, length, file.size())) {
    return fail(
        fmt::format("guest image '{}': is truncated, its program headers are not within "
                    "its {} bytes; build or copy it again",
                    path, file.size()));
  }
  return {};
}

Result<void> add_segment(Elf& elf, Bytes file, const ProgramHeader& header, unsigned number,
                         const std::string& path) {
  if (header.memory_size == 0) return {};
  if (header.file_size > header.memory_size) {
    return fail(
        fmt::format("guest image '{}': segment {} has {} bytes in the file but only {} in "
                    "memory; the file is damaged, build it again",
                    path, number, header.file_size, header.memory_size));
  }
  if (!within(header.offset, header.file_size, file.size())) {
    return fail(
        fmt::format("guest image '{}': is truncated, segment {} ({} bytes at offset {:#x}) "
                    "is not within its {} bytes; build or copy it again",
                    path, number, header.file_size, header.offset, file.size()));
  }
  elf.segments.push_back({header.virtual_address, header.physical_address, header.memory_size,
                          file.subspan(header.offset, header.file_size)});
  return {};
}
}  // namespace

bool looks_like_elf(Bytes file) {
  return file.size() >= SELFMAG && std::memcmp(file.data(), ELFMAG, SELFMAG) == 0;
}

Result<Elf> parse_elf(Bytes file, const std::string& path, Architecture architecture) {
  const auto truncated = [&] {
    return fail(
        fmt::format("guest image '{}': is truncated, {} bytes do not hold an ELF header; "
                    "build or copy it again",
                    path, file.size()));
  };
  if (file.size() < EI_NIDENT) return truncated();
  if (file[EI_DATA] != ELFDATA2LSB ||
      (file[EI_CLASS] != ELFCLASS32 && file[EI_CLASS] != ELFCLASS64)) {
    return fail(
        fmt::format("guest image '{}': is not a little-endian 32- or 64-bit ELF file; "
                    "build it for {}",
                    path, accepted(architecture)));
  }
  Elf elf;
  elf.is_64 = file[EI_CLASS] == ELFCLASS64;
  const auto header =
      elf.is_64 ? read_file_header<Elf64_Ehdr>(file) : read_file_header<Elf32_Ehdr>(file);
  if (!header) return truncated();
  const auto machine = check_machine(*header, architecture, path);
  if (!machine) return tl::unexpected(machine.error());
  const auto checked =
      check_header(file, *header, elf.is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr), path);
  if (!checked) return tl::unexpected(checked.error());

  elf.entry = header->entry;
  for (unsigned i = 0; i < header->program_header_count; ++i) {
    const std::uint64_t at =
        header->program_headers + std::uint64_t{i} * header->program_header_size;
    const auto program = elf.is_64 ? read_program_header<Elf64_Phdr>(file, at)
                                   : read_program_header<Elf32_Phdr>(file, at);
    if (!program) return truncated();
    if (program->type == PT_LOAD) {
      const auto added = add_segment(elf, file, *program, i, path);
      if (!added) return tl::unexpected(added.error());
    } else if (program->type == PT_NOTE && !elf.pvh_entry &&
               within(program->offset, program->file_size, file.size())) {
      elf.pvh_entry =
          find_pvh_entry(file.subspan(program->offset, program->file_size), program->alignment);
    }
  }
  return elf;
}

}  // namespace vpmu::machine::boot
