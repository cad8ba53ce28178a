// SPDX-License-Identifier: MIT
//
// Names for addresses: from an image's ELF symbol table, a kallsyms file, or a symbol file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "profile/symbols/nested_ranges.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile {

struct Symbol {
  std::uint64_t start = 0;
  std::uint64_t size = 0;    ///< bytes; up to the next symbol where the source does not say
  std::string name;          ///< demangled
  std::string linkage_name;  ///< as in the source
};

/// Sorted by start; at most one symbol begins at an address, the one that people mean (functions
/// before labels, global before local, the shortest name). Names are safe to show: what acts on a
/// terminal is escaped, and what is longer than anybody reads is cut (printable_name()).
class SymbolTable {
 public:
  SymbolTable() = default;
  /// In any order. Sizes of 0 become the distance to the next symbol, at most kMostGuessedBytes.
  explicit SymbolTable(std::vector<Symbol> symbols);
  static constexpr std::uint64_t kMostGuessedBytes = 1 << 20;

  /// Symbols of code in an ELF image, 32- or 64-bit, addresses as linked. No symbols: an empty
  /// table. An error names the file and what is wrong with it.
  static Result<SymbolTable> from_elf(const std::string& path);
  /// "ADDRESS TYPE NAME [MODULE]" lines, as /proc/kallsyms; code only. `name`: for messages.
  static Result<SymbolTable> from_kallsyms(std::string_view text, const std::string& name);
  /// "START SIZE NAME" lines, as perf's map files, hexadecimal; blank lines and # comments.
  static Result<SymbolTable> from_map(std::string_view text, const std::string& name);
  /// Whichever of the three the file is.
  static Result<SymbolTable> from_file(const std::string& path);

  /// The symbol that has the address in it, the innermost; null if none. One binary search.
  [[nodiscard]] const Symbol* find(std::uint64_t address) const;
  /// By name or by linkage name; the first of several. Looks at all of them.
  [[nodiscard]] const Symbol* find_name(std::string_view name) const;
  [[nodiscard]] const std::vector<Symbol>& symbols() const { return symbols_; }
  /// As a kallsyms file.
  [[nodiscard]] std::string kallsyms() const;

 private:
  std::vector<Symbol> symbols_;
  NestedRanges ranges_;
};

/// The name as people write it in C++ or Rust (legacy and v0), at most kLongestName bytes; the text
/// itself if it is not mangled, or stands for something longer.
std::string demangle(const std::string& linkage_name);

}  // namespace vpmu::profile
