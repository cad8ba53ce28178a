// SPDX-License-Identifier: MIT
//
// Code as assembler text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profile/symbols/elf_image.hpp"

namespace vpmu::cli::annotate {

enum class Syntax : std::uint8_t { kAtt, kIntel };

struct Instruction {
  std::uint64_t address = 0;
  std::uint64_t length = 0;             ///< bytes
  std::string text;                     ///< mnemonic and operands
  std::optional<std::uint64_t> target;  ///< of a branch or call that says where it goes
};

/// One after the other; a byte that begins no instruction is one by itself, ".byte"; on AArch64 a
/// word, ".inst". `code`: not kOther. `syntax` is of x86.
std::vector<Instruction> disassemble(std::span<const std::uint8_t> bytes, std::uint64_t address,
                                     profile::CodeSet code, Syntax syntax);

}  // namespace vpmu::cli::annotate
