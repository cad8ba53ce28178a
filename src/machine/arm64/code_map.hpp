// SPDX-License-Identifier: MIT
//
// Which code has been compiled, and where its blocks begin and end. Blocks do not overlap: an
// instruction is in one of them at most, so that whoever knows where a block was left knows how
// many instructions of it have retired. A block ends with a branch or whatever else the code
// generator ends it with, where another one begins, with its page, and after kLongestBlock.
//
// By virtual address; one map for each code generator.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "machine/arm64/instruction_kinds.hpp"

namespace vpmu::machine::arm64 {

inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kPageMask = kPageBytes - 1;

/// What a block retires when it is run to its end.
struct BlockProfile {
  std::uint8_t instructions = 0;
  std::uint8_t loads = 0, stores = 0;
  BranchKind branch = BranchKind::kNone;  ///< of its last instruction

  void add(std::uint32_t word);
  [[nodiscard]] bool only_returns() const {
    return instructions == 1 && branch == BranchKind::kReturn;
  }
  friend bool operator==(const BlockProfile&, const BlockProfile&) = default;
};

/// A page of code as the guest has mapped it.
struct CodeMapping {
  std::uint64_t physical = 0;
  const std::uint8_t* host = nullptr;
  std::uint8_t size_bits = 12;  ///< of what is mapped as one
  bool global = true;           ///< for every ASID

  friend bool operator==(const CodeMapping&, const CodeMapping&) = default;
};

class CodePage {
 public:
  static constexpr std::size_t kInstructions = kPageBytes / kInstructionBytes;

  CodePage(std::uint64_t address, const CodeMapping& mapping)
      : address_{address}, mapping_{mapping} {}

  [[nodiscard]] std::uint64_t address() const { return address_; }
  [[nodiscard]] const CodeMapping& mapping() const { return mapping_; }
  [[nodiscard]] std::uint32_t word(std::uint64_t address) const;

 private:
  friend class CodeMap;
  static std::size_t index(std::uint64_t address) {
    return (address & kPageMask) / kInstructionBytes;
  }

  std::uint64_t address_;
  CodeMapping mapping_;
  std::bitset<kInstructions> begins_;                   ///< blocks begin here
  std::array<std::uint8_t, kInstructions> position_{};  ///< in its block, from 1; 0: in none
  std::array<BlockProfile, kInstructions> profile_{};   ///< of the block that begins here
};

class CodeMap {
 public:
  static constexpr unsigned kLongestBlock = 16;
  /// `longest`: a block's instructions, at most.
  explicit CodeMap(unsigned longest = kLongestBlock) : longest_{longest} {}

  /// More pages than that are not kept: full() then.
  static constexpr std::size_t kMostPages = 4096;

  /// The page of an address; null if there is none.
  [[nodiscard]] CodePage* find(std::uint64_t address) {
    CodePage* recent = recent_[recent_slot(address)];
    if (recent != nullptr && recent->address() == (address & ~kPageMask)) return recent;
    return find_slowly(address);
  }
  CodePage& add(std::uint64_t address, const CodeMapping& mapping);
  [[nodiscard]] bool full() const { return pages_.size() >= kMostPages; }

  // While a block is compiled: begin(), then append() for each of its instructions as long as
  // goes_on().

  /// False: another block that began before reaches over `address`. It has to be forgotten first.
  [[nodiscard]] static bool may_begin(const CodePage& page, std::uint64_t address);
  /// A block begins at `address`, and will whenever code is compiled there.
  void begin(CodePage& page, std::uint64_t address);
  /// The block that is being compiled goes on with the instruction at `address`.
  [[nodiscard]] bool goes_on(std::uint64_t address) const;
  void append(std::uint32_t word);

  /// How far from the beginning of its block an instruction is; 0 if it is in none.
  [[nodiscard]] std::uint64_t instructions_before(std::uint64_t address);
  /// How many instructions it is from there to the end of the block that it is inside of; 0 at the
  /// beginning of a block, or in none.
  [[nodiscard]] std::uint64_t rest_of_block(std::uint64_t address);
  /// Of the block that begins at `address`; null if none is known to.
  [[nodiscard]] const BlockProfile* profile(std::uint64_t address);

  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t bytes = 0;
  };
  /// Forgets the block that reaches over `address`; from now on one begins there. What is to be
  /// compiled anew.
  Range split(std::uint64_t address);
  void forget_page(std::uint64_t address);
  void clear();

  /// Calls `function(page)` for each page.
  template <class Function>
  void for_each(Function function) const {
    for (const auto& [address, page] : pages_) function(*page);
  }

 private:
  static constexpr std::size_t kRecent = 256;
  static std::size_t recent_slot(std::uint64_t address) { return address / kPageBytes % kRecent; }
  CodePage* find_slowly(std::uint64_t address);

  const unsigned longest_;
  std::unordered_map<std::uint64_t, std::unique_ptr<CodePage>> pages_;
  std::array<CodePage*, kRecent> recent_{};
  CodePage* compiling_ = nullptr;  ///< the page of the block that is being compiled
  std::size_t first_ = 0;          ///< its first instruction
};

}  // namespace vpmu::machine::arm64
