// SPDX-License-Identifier: MIT
//
// What a profile needs of a guest's image besides its names: where code is mapped from which part
// of the file, its build-id, and its bytes for disassembly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vpmu/base/result.hpp"

namespace vpmu::profile {

struct ElfSegment {
  std::uint64_t address = 0;  ///< as linked
  std::uint64_t file_offset = 0;
  std::uint64_t file_bytes = 0;
  bool executable = false;
};

enum class CodeSet : std::uint8_t { kX86_64, kX86_32, kAArch64, kOther };

struct ElfImage {
  CodeSet code = CodeSet::kOther;
  std::vector<ElfSegment> segments;    ///< that are loaded
  std::vector<std::uint8_t> build_id;  ///< empty: none
  std::uint64_t text = 0;              ///< address of the section .text; 0: there is none
};

Result<ElfImage> read_elf_image(const std::string& path);
/// Segments with code. An image may leave it to its reader which those are: then all with content.
std::vector<ElfSegment> code_segments(const ElfImage& image);
/// `bytes` of the image as linked at `address`; fewer at a segment's end.
Result<std::vector<std::uint8_t>> read_code(const std::string& path, std::uint64_t address,
                                            std::uint64_t bytes);

}  // namespace vpmu::profile
