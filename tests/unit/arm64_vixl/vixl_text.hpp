// SPDX-License-Identifier: MIT
//
// What VIXL's disassembler says of an instruction, read from its text: which branch it is, what it
// loads or stores, how its address is computed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "machine/arm64/instruction_kinds.hpp"
#include "machine/arm64/registers.hpp"

namespace vpmu::machine::arm64 {

/// How an address is said: "[x1, w2, sxtw #3]", "[sp, #-16]!", "[x1], #16", "[x1], x2", "pc+8".
struct AddressText {
  bool literal = false;            ///< from the program counter
  unsigned base = 0;               ///< 31: SP
  std::int64_t offset = 0;         ///< before the access, or, post-indexed, behind it
  bool pre = false, post = false;  ///< the base is written back
  std::optional<unsigned> index{};
  bool index_is_word = false, index_is_signed = false;
  unsigned shift = 0;

  [[nodiscard]] std::uint64_t address(const Registers& registers) const;
  /// The base as the instruction leaves it; nothing: as it is.
  [[nodiscard]] std::optional<std::uint64_t> written_back(const Registers& registers) const;

 private:
  [[nodiscard]] std::uint64_t displacement(const Registers& registers) const;
};

struct AccessText {
  bool loads = false, stores = false;
  bool simd = false, atomic = false, exclusive = false, ordered = false;
  unsigned bytes = 0;
  AddressText where{};
};

struct InstructionText {
  std::string text;
  BranchKind branch = BranchKind::kNone;
  std::optional<AccessText> access{};
  bool conditional = false;  ///< a select or compare, no branch
};

class VixlText {
 public:
  VixlText();
  VixlText(const VixlText&) = delete;
  VixlText& operator=(const VixlText&) = delete;
  ~VixlText();

  /// Nothing: it is not allocated, VIXL does not know it, or it belongs to SVE, memory tags or
  /// pointer authentication, which no CPU of the machine has.
  std::optional<InstructionText> read(std::uint32_t word);

 private:
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::machine::arm64
