// SPDX-License-Identifier: MIT
//
// AArch64 code as assembler text.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cli/annotate/disassembly.hpp"

namespace vpmu::cli::annotate {

/// One after the other; a word that is no instruction is ".inst", what is less than a word at the
/// end ".byte".
std::vector<Instruction> disassemble_arm64(std::span<const std::uint8_t> bytes,
                                           std::uint64_t address);

}  // namespace vpmu::cli::annotate
