// SPDX-License-Identifier: MIT
//
// What a load or store accesses, from its word and the registers that it finds. Encodings as in the
// Arm ARM, C4.1.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/arm64/registers.hpp"

namespace vpmu::machine::arm64 {

/// What a load or store accesses. Loads of pairs and structures: all of it.
struct MemoryOperand {
  std::uint64_t address = 0;  ///< virtual, of the first byte
  unsigned bytes = 0;         ///< at most 64

  friend bool operator==(const MemoryOperand&, const MemoryOperand&) = default;
};
/// Of the instruction at the program counter, which has not been executed yet. Nothing: it is no
/// load and no store (memory_kind()).
[[nodiscard]] std::optional<MemoryOperand> memory_operand(std::uint32_t word,
                                                          const Registers& registers);

/// The base register as the instruction leaves it; nothing: as it finds it.
[[nodiscard]] std::optional<std::uint64_t> written_back(std::uint32_t word,
                                                        const Registers& registers);

}  // namespace vpmu::machine::arm64
