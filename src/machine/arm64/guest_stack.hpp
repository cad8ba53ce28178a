// SPDX-License-Identifier: MIT
//
// The call stack of AArch64 code, by the frame records that X29 begins (walk_stack()), and by the
// link register, X30, where a function has no record: compilers give leaf functions none, and all
// others have theirs only between the STP and the LDP of X29 and X30. Which it is, the code that
// comes next tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vpmu::machine::arm64 {

/// Where a stack begins.
struct StackTop {
  std::uint64_t ip = 0;  ///< what is first in the chain
  /// The next instruction of the same function, or of one that has been called or returned to.
  std::uint64_t next = 0;
  std::uint64_t stack_pointer = 0;
  std::uint64_t frame_pointer = 0;  ///< X29
  std::uint64_t link = 0;           ///< X30
  /// The caller is what `link` says (a return that has been executed), or what the frame says (a
  /// call that has); otherwise the code decides.
  enum class Caller : std::uint8_t { kByCode, kInLink, kInFrame } caller = Caller::kByCode;
};

/// Where the host has the guest's pages.
class Pages {
 public:
  /// Null: unmapped, or no RAM. `linear` is of any byte of it.
  [[nodiscard]] virtual const std::uint8_t* page(std::uint64_t linear) const = 0;

 protected:
  ~Pages() = default;
};

/// Fills `chain` (not empty) as walk_stack() does.
std::size_t call_chain(const StackTop& top, const Pages& pages, std::span<std::uint64_t> chain);

}  // namespace vpmu::machine::arm64
