// SPDX-License-Identifier: MIT
//
// Source lines for addresses, from an image's DWARF (elfutils).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vpmu/base/result.hpp"

namespace vpmu::profile {

struct SourceLine {
  std::string file;  ///< absolute where the image says in which folder it was compiled
  unsigned line = 0;
  friend bool operator==(const SourceLine&, const SourceLine&) = default;
};

/// A function that was inlined at an address.
struct InlinedCall {
  std::string function;
  SourceLine called_at;
};

class SourceLines {
 public:
  /// An image without DWARF gives no lines. An error: it is no ELF file, or cannot be read.
  static Result<SourceLines> open(const std::string& path);
  SourceLines(SourceLines&&) noexcept;
  SourceLines& operator=(SourceLines&&) noexcept;
  ~SourceLines();

  [[nodiscard]] std::optional<SourceLine> find(std::uint64_t address) const;
  /// The innermost first.
  [[nodiscard]] std::vector<InlinedCall> inlined(std::uint64_t address) const;

 private:
  SourceLines();
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::profile
