// SPDX-License-Identifier: MIT
//
// The parts of an ELF file that loading needs, from a file whose every field may be wrong.
// Sources: System V ABI chapters 4 and 5, <elf.h> for the layouts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine/architecture.hpp"
#include "machine/boot/bytes.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

struct ElfSegment {
  std::uint64_t virtual_address = 0;
  std::uint64_t physical_address = 0;
  std::uint64_t memory_size = 0;
  Bytes content;
};

struct Elf {
  bool is_64 = false;
  std::uint64_t entry = 0;                 ///< e_entry: a virtual address
  std::vector<ElfSegment> segments;        ///< PT_LOADs that occupy memory, in file order
  std::optional<std::uint64_t> pvh_entry;  ///< XEN_ELFNOTE_PHYS32_ENTRY: a physical address
};

bool looks_like_elf(Bytes file);

/// Expects looks_like_elf(). Executables for i386 and x86-64, or for AArch64, only. `path` names
/// the file in errors.
Result<Elf> parse_elf(Bytes file, const std::string& path,
                      Architecture architecture = Architecture::kX86);

}  // namespace vpmu::machine::boot
